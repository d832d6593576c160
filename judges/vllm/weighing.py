"""From one-letter answers about statements to the answer that the conservation law works on.

What a weak model cannot do is done here, by words and in code: which statement of the one report speaks of the same
thing as which of the other, and, where the model cannot tell, in what they differ.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from judges.vllm.answer import Answer, Link
from judges.vllm.calibration import Calibration
from judges.vllm.errors import JudgeInvalidOutput
from judges.vllm.letters import LETTERS, Question
from judges.vllm.prompt import NumberedPair
from judges.vllm.statements import findings_in, reads_normal

SIDE, GRADE, CHANGE, DENIAL = list(LETTERS[Question.KIND][:4])
RULES: Final = "rules"
"""Where a stored entry holds the error that the rules judge reads: its kind, and whether it is significant."""
EVIDENCE: Final = 2.0
"""What a significant error that the rules judge reads adds to the log-odds that a statement is wrong.

Chosen on open pairs; see docs/judges.md, "What is known". It is near the logarithm of how many times likelier such a
reading is of a wrong report than of one in other words: 2.3 on 308 reports in other words that nobody had looked at.
"""
_WORD: Final = re.compile(r"[a-z0-9]+(?:\.[0-9]+)?")
_ALIKE: Final = 0.5
"""Share of the shorter statement's words that two statements about the same thing have in common."""


class Weighed(NamedTuple):
    """One statement after its questions."""

    wrong: float
    """Calibrated probability that the other report does not say it."""
    kind: str | None
    grave: bool

    @property
    def is_wrong(self) -> bool:
        return self.wrong > 0.5


def read(text: str, pair: NumberedPair, calibration: Calibration) -> Answer:
    """The answer from stored probabilities, one entry a statement. Raises `JudgeInvalidOutput`."""
    try:
        raw: dict[str, dict[str, Any]] = json.loads(text)
        refs = [_weigh(raw[f"R{n + 1}"], calibration) for n in range(len(pair.reference.statements))]
        cands = {n: _weigh(raw[f"P{n + 1}"], calibration) for n in range(len(pair.candidate)) if n not in pair.withheld}
    except (ValueError, LookupError, TypeError, AttributeError):
        raise JudgeInvalidOutput("the stored answer does not hold probabilities for every statement") from None
    return _Reading(pair, refs, cands).answer()


def _weigh(entry: Mapping[str, Any], calibration: Calibration) -> Weighed:
    asked = {name: entry[name] for name in ("said", "kind", "grave") if entry.get(name) is not None}
    for name, letters in (("said", 3), ("kind", 5), ("grave", 2)):
        if name in asked and not (len(asked[name]) == letters and all(0.0 <= p <= 1.0 for p in asked[name])):
            raise ValueError(name)
    if RULES in entry:  # so the model was not asked of which kind the error is
        kind, significant = entry[RULES]
        if kind not in LETTERS[Question.KIND] or not isinstance(significant, bool):
            raise ValueError(RULES)
        return Weighed(calibration.wrong(asked["said"], EVIDENCE if significant else 0.0), kind, significant)
    wrong = calibration.wrong(asked["said"])
    kind = calibration.kind(asked["kind"]) if "kind" in asked else None
    return Weighed(wrong, kind, calibration.grave(asked.get("grave")))


class _Reading:
    """The steps from weighed statements to an answer, and what they have found so far."""

    def __init__(self, pair: NumberedPair, refs: Sequence[Weighed], cands: Mapping[int, Weighed]) -> None:
        self._pair, self._refs, self._cands = pair, refs, cands
        self._words_r = [content(text) for text in pair.reference.shown]
        self._words_p = {p: content(pair.shown[p]) for p in cands}
        self._findings = [r for r in range(len(refs)) if r not in pair.reference.normal]
        self._denials = {p for p in cands if reads_normal(pair.candidate[p].text)}
        self._couples = self._couple()
        self._matched: list[tuple[int, int]] = []
        self._location: list[Link] = []
        self._severity: list[Link] = []
        self._missing: dict[int, bool] = {}
        self._false: dict[int, bool] = {}
        self._added: dict[int, bool] = {}
        self._omitted: dict[int, bool] = {}

    def answer(self) -> Answer:
        for r, p in self._couples.items():
            self._couple_says(r, p)
        for r in self._findings:
            if r not in self._couples and self._refs[r].is_wrong:
                self._missing[r] = self._refs[r].grave
        coupled = set(self._couples.values())
        for p, weighed in self._cands.items():
            if p not in coupled and p not in self._denials and weighed.is_wrong:
                self._false[p] = weighed.grave
        self._denials_say()
        self._support()
        accounted = {*self._false, *self._added, *(link.cand for link in [*self._location, *self._severity])}
        return Answer(
            matched=tuple(self._matched),
            location=tuple(self._location),
            severity=tuple(self._severity),
            missing=self._missing,
            false=self._false,
            comparison_added=self._added,
            comparison_omitted=self._omitted,
            normal=frozenset(self._cands.keys() - accounted),
            expected=self._expected(),
        )

    def _couple(self) -> dict[int, int]:
        """Which finding of the candidate speaks of which of the reference: the most alike first, one to one."""
        alike = [
            (-_overlap(self._words_r[r], self._words_p[p]), abs(r - p), r, p)
            for r in self._findings
            for p in self._cands
            if p not in self._denials
        ]
        couples: dict[int, int] = {}
        for likeness, _, r, p in sorted(alike):
            if -likeness >= _ALIKE and r not in couples and p not in couples.values():
                couples[r] = p
        return couples

    def _couple_says(self, r: int, p: int) -> None:
        """What two statements about the same thing have to say: they agree, differ in one respect, or one lacks."""
        ref, cand = self._refs[r], self._cands[p]
        if not ref.is_wrong and not cand.is_wrong:
            self._matched.append((r, p))
            return
        grave = (ref if ref.wrong > cand.wrong else cand).grave
        kind = self._kind(r, p)
        if kind == CHANGE:
            self._matched.append((r, p))
            (self._added if cand.is_wrong else self._omitted)[p if cand.is_wrong else r] = grave
        elif kind == SIDE:
            self._location.append(Link(r, p, grave))
        elif kind == GRADE:
            self._severity.append(Link(r, p, grave))
        else:  # a part of one of them is not said
            self._matched.append((r, p))
            if ref.is_wrong:
                self._missing[r] = ref.grave
            else:
                self._false[p] = cand.grave

    def _kind(self, r: int, p: int) -> str | None:
        """In what a couple differs, one of which at least is wrong: by the words, then by the model.

        If both are wrong and nobody can tell, it is the place: that has more names than any list.
        """
        texts = self._pair.reference.shown[r], self._pair.shown[p]
        ref, cand = self._refs[r], self._cands[p]
        if kind := contradiction(*texts):
            return kind
        if names("changes", texts[0]) != names("changes", texts[1]):
            return CHANGE
        if not (ref.is_wrong and cand.is_wrong):
            return None
        said = next((kind for kind in (cand.kind, ref.kind) if kind in (SIDE, GRADE, CHANGE)), None)
        return said or SIDE

    def _denials_say(self) -> None:
        """A denial of what the reference has is that finding missing, once; one that nothing else shows is false."""
        denied = [p for p in self._denials if self._cands[p].is_wrong and self._cands[p].kind == DENIAL]
        for p in denied[len(self._missing) :]:
            self._false[p] = self._cands[p].grave

    def _support(self) -> None:
        """Reference statements that are said, without a couple: by the statement most alike that has room for them."""
        left = {p: findings_in(self._pair.candidate[p].text) for p in self._cands}
        for r, p in self._matched:
            left[p] -= r in self._findings
        for link in (*self._location, *self._severity):
            left[link.cand] -= 1
        coupled = set(self._couples)
        for r, weighed in enumerate(self._refs):
            if weighed.is_wrong or r in coupled:
                continue
            takes = int(r in self._findings)
            able = [p for p in left if left[p] >= takes and p not in self._false]
            if able:
                p = max(able, key=lambda p: (_overlap(self._words_r[r], self._words_p[p]), -abs(r - p)))
                left[p] -= takes
                self._matched.append((r, p))

    def _expected(self) -> float:
        """Sum of the probabilities of error over all findings; of two that speak of the same thing, the larger."""
        total = 0.0
        for r in self._findings:
            total += max(self._refs[r].wrong, self._cands[self._couples[r]].wrong if r in self._couples else 0.0)
        coupled = set(self._couples.values())
        return total + sum(w.wrong for p, w in self._cands.items() if p not in coupled and p not in self._denials)


@functools.cache
def _data() -> dict[str, list[str]]:
    loaded: dict[str, list[str]] = json.loads((Path(__file__).parent / "words.json").read_text("utf-8"))
    return loaded


@functools.cache
def digest() -> str:
    """sha256 of `words.json`, which decides what is about the same thing and in what it differs."""
    return hashlib.sha256(json.dumps(_data(), sort_keys=True).encode()).hexdigest()


@functools.lru_cache(maxsize=4096)
def content(text: str) -> frozenset[str]:
    """The words that say what a statement is about: without function words, sides, grades and changes."""
    skip = {word for words in _data().values() for word in words}
    return frozenset(_stem(word) for word in _WORD.findall(text.lower()) if word not in skip)


def contradiction(reference: str, candidate: str) -> str | None:
    """In which respect either of two statements about the same thing has words that the other lacks."""
    for letter, name in ((SIDE, "sides"), (GRADE, "grades"), (CHANGE, "changes")):
        ours, theirs = names(name, reference), names(name, candidate)
        if ours - theirs and theirs - ours:
            return letter
    return None


@functools.lru_cache(maxsize=4096)
def names(of: str, text: str) -> frozenset[str]:
    """The words of one class of `words.json` in a text; numbers are grades."""
    known, numbers = _data()[of], of == "grades"
    return frozenset(word for word in _WORD.findall(text.lower()) if word in known or (numbers and word[0].isdigit()))


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _overlap(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / min(len(a), len(b)) if a and b else 0.0
