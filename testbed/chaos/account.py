"""Pairs with a known answer, and the account of every request for them.

`words` and `model` count common words, and the scripted judge gives every pair the same verdict; where it gives none,
`words` is the declared substitute. So every reward can be checked.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

REFERENCE = " ".join(f"w{k}" for k in range(10))
COMPONENTS = {
    "words": {"component": "overlap_inline", "value": "overlap", "weight": 1},
    "model": {"component": "overlap", "value": "overlap", "weight": 10},
    "clinical": {"component": "vllm", "transform": "signed", "weight": 100, "when_missing": "substitute:words"},
}


def item(i: int) -> dict[str, str]:
    """A pair of its own for each number, with `common(i)` common words."""
    words = " ".join([*(f"w{k}" for k in range(common(i))), f"own{i}"])
    return {"id": str(i), "candidate": words, "reference": REFERENCE}


def common(i: int) -> int:
    return i % 11


@dataclass
class Tally:
    """What became of the requests, and of the rewards in them."""

    requests: int = 0
    ok: int = 0
    degraded: int = 0
    null: int = 0
    refused: int = 0
    """Answered with an error in the envelope: 429, 503."""
    wrong: int = 0
    unanswered: int = 0
    refused_connections: int = 0
    """Nobody listened any more; nothing had been sent."""
    codes: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def check(self, results: list[dict[str, Any]], clinical: float) -> None:
        """Count each result under its status, or as wrong; `clinical` is the judge's value for any pair."""
        for result in results:
            n = common(int(result["id"]))
            right = {"ok": 11.0 * n + 100 * clinical, "degraded": 111.0 * n, "null": None}[result["status"]]
            reward = result["reward"]
            same = reward == right if None in (reward, right) else abs(reward - right) < 1e-6
            coded = result["status"] == "ok" or bool(result["missing"])
            self.codes.update(m["code"] for m in result["missing"].values())
            if not same or not coded:
                self.wrong += 1
                self.examples.append(f"{result} instead of {right}")
            else:
                setattr(self, result["status"], getattr(self, result["status"]) + 1)


@dataclass
class Report:
    """One fault's line."""

    fault: str
    tally: Tally
    in_flight: int
    struck: float
    """The counter that shows that the fault happened."""
    recovery_s: float
    leaks: str

    def line(self) -> str:
        t = self.tally
        return (
            f"{self.fault:<22} {t.requests:>8} {t.ok:>7} {t.degraded:>8} {t.null:>6} {t.refused:>6} {t.unanswered:>10} "
            f"{t.wrong:>5} {self.in_flight:>9} {self.struck:>7.0f} {self.recovery_s:>8.1f}  {self.leaks or 'none'}"
        )

    def problems(self, recovery_within_s: float = 10.0) -> list[str]:
        """What breaks a promise; empty when all is well."""
        t, found = self.tally, []
        if t.wrong:
            found.append(f"{t.wrong} wrong: {t.examples[:3]}")
        if t.unanswered:
            found.append(f"{t.unanswered} unanswered: {dict(t.codes)}")
        if self.in_flight <= 200:
            found.append(f"only {self.in_flight} in flight")
        if self.struck <= 0:
            found.append("the fault did not strike")
        if not self.recovery_s <= recovery_within_s:
            found.append(f"recovery took {self.recovery_s:.1f} s")
        if self.leaks:
            found.append(self.leaks)
        return found


HEAD = (
    f"{'fault':<22} {'requests':>8} {'ok':>7} {'degraded':>8} {'null':>6} {'errors':>6} {'unanswered':>10} "
    f"{'wrong':>5} {'in flight':>9} {'struck':>7} {'recov. s':>8}  left behind"
)
