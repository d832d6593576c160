"""Small components with a known answer, for everything that runs components.

The values can be worked out by hand: ``overlap`` is the number of distinct words that both texts have,
``length`` the number of characters of the candidate. Special words in a text make the component misbehave.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from metrics.base import Comparison
from reward_service.contracts import Pair


class WordOverlap:
    """Counts its calls; obeys the words poison, fatal, kill, hang, clash, lost, nan and missing_key in a text."""

    version = 1
    cost: Literal["inline", "pool", "model"] = "model"
    uses_prior = False
    determinism = "exact"
    keys = ("overlap", "length")

    def __init__(
        self, seconds: float = 0.0, encoding: str = "words@1", load_error: str = "", device: str = "cpu"
    ) -> None:
        del device  # all are alike
        if load_error:
            raise FileNotFoundError(load_error)
        self.seconds = seconds
        self.encoding = encoding
        self.encoded: list[str] = []
        self.batches: list[int] = []

    def manifest(self) -> Mapping[str, object]:
        return {"seconds": self.seconds}

    def nbytes(self, artefact: Any) -> int:
        return 64 + 50 * len(artefact)

    def encode(self, texts: Sequence[str]) -> list[Any]:
        words = {word for text in texts for word in text.split()}
        if "poison" in words:
            raise ValueError(f"cannot read: {' '.join(texts)}")
        if "fatal" in words:
            raise SystemExit("fatal")
        if "kill" in words:
            os.kill(os.getpid(), signal.SIGKILL)
        if "hang" in words:
            time.sleep(60.0)
        self.encoded.extend(texts)
        return [text.split() for text in texts]

    def compare(self, candidates: Sequence[Any], references: Sequence[Any], *priors: Any) -> list[Any]:
        self.batches.append(len(candidates))
        time.sleep(self.seconds)
        results = []
        for i, (candidate, reference) in enumerate(zip(candidates, references, strict=True)):
            if "clash" in candidate and "clash" in reference:
                raise ZeroDivisionError("clash of " + " ".join(candidate))
            if "lost" in candidate:
                continue  # one result too few
            values = {"overlap": float(len(set(candidate) & set(reference))), "length": float(len(" ".join(candidate)))}
            if "nan" in candidate:
                values["overlap"] = float("nan")
            if "missing_key" in candidate:
                del values["length"]
            if self.uses_prior:
                values["overlap"] += 100.0 * len(priors[0][i] or ())
            results.append(Comparison(values, ("empty",) if not candidate else ()))
        return results


class WithPrior(WordOverlap):
    """Adds 100 for every word of the prior."""

    uses_prior = True


class SlowToLoad(WordOverlap):
    """Warms up until the file `gate` exists."""

    def __init__(self, gate: str) -> None:
        super().__init__()
        self.gate = gate
        self.warm = False

    def warm_up(self) -> None:
        while not os.path.exists(self.gate):
            time.sleep(0.01)
        self.warm = True


class Held(WordOverlap):
    """Compares once the file `gate` exists; the file `gate`.held says that it has something to compare."""

    def __init__(self, gate: str) -> None:
        super().__init__()
        self.gate = gate

    def compare(self, candidates: Sequence[Any], references: Sequence[Any], *priors: Any) -> list[Any]:
        with open(f"{self.gate}.held", "w"):
            pass
        while not os.path.exists(self.gate):
            time.sleep(0.005)
        return super().compare(candidates, references)


class Together(WordOverlap):
    """Compares only when two processes do so at once; else its values are missing after a minute."""

    def __init__(self, meeting: str) -> None:
        super().__init__()
        self.meeting = meeting

    def compare(self, candidates: Sequence[Any], references: Sequence[Any], *priors: Any) -> list[Any]:
        with open(os.path.join(self.meeting, str(os.getpid())), "w"):
            pass
        end = time.monotonic() + 60.0
        while len(os.listdir(self.meeting)) < 2:
            if time.monotonic() > end:
                return []
            time.sleep(0.01)
        return super().compare(candidates, references)


def loadable_once_there_is(path: str) -> WordOverlap:
    """A factory whose weights are mounted late."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"no weights at {path}")
    return WordOverlap()


def expected(candidate: str, reference: str) -> dict[str, float]:
    """What `WordOverlap` answers."""
    left, right = candidate.split(), reference.split()
    return {"overlap": float(len(set(left) & set(right))), "length": float(len(" ".join(left)))}


def numbered(count: int, start: int = 0, reference: str = "the reference") -> list[Pair]:
    """Distinct pairs against one reference."""
    return [Pair(f"candidate number {i}", reference) for i in range(start, start + count)]
