"""What takes its meaning from a phrase: a row whose `value` names one of these does not act where it holds.

"Due to motion and edema", "repeat film for line placement | shows", "hard to assess, but there". Each is a function
with its example; `suspended` is what a clause asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from judges.rules import lexicon as lx
from judges.rules.findings import Event
from judges.rules.links import Opened

_APPARENT: Final = frozenset(("apparent", "appearance", "seeming", "impression", "suggestion", "spurious", "supposed"))
_MEASURES: Final = frozenset(("size", "extent", "cause", "age", "nature", "origin", "etiology", "degree", "volume"))
_CHANGES: Final = frozenset(("change", "difference", "increase", "decrease", "enlargement", "worsening", "improvement"))
_LOOKS: Final = frozenset(("appearance", "finding", "picture", "look", "pattern"))
_REPORTS: Final = frozenset(
    ("report", "mention", "reading", "diagnosis", "impression", "statement", "call", "suggestion")
)
_REACH: Final = 4  # words before a clause among which what is retracted may be called
_REFERS: Final = frozenset(("which", "that", "as", "and", "it", "this"))
_BEFORE: Final = 2  # words before the first phrase of a clause among which one of these may stand
_ACTS: Final = ("absent backward", "hypothetical forward", "possible backward", "hypothetical backward")


class Here(NamedTuple):
    """Phrase `k` of a clause, and what is open there."""

    lexicon: lx.Lexicon
    words: Sequence[str]
    events: list[Event]
    k: int
    denial: Opened | None
    supposition: Opened | None

    def before(self) -> list[Event]:
        return self.events[: self.k]

    def after(self) -> str:
        """The word behind the phrase; "" where none stands there."""
        word = self.events[self.k].last + 1
        return self.words[word] if word < len(self.words) else ""


def suspended(here: Here) -> bool:
    """Whether the phrase says something else than its row has it."""
    acts = here.events[here.k].leaf.acts
    for act in _ACTS:
        row = acts.get(act)
        if row is not None and row.value in PROVISOS:
            return PROVISOS[row.value](here)
    return False


def _study(here: Here) -> bool:
    """ "Repeat film for line placement | shows an effusion"."""
    shows = here.lexicon.shows
    return any(
        e.leaf.cue & lx.COLON or not shows.isdisjoint(here.words[e.first : e.last + 1])
        for e in here.events[here.k + 1 :]
    )


def _seen(here: Here) -> bool:
    """ "No effusion | could be seen"."""
    return here.denial is not None


def _assess(here: Here) -> bool:
    """ "Enlarged, but | difficult to assess", "the size of the effusion is | hard to judge"."""
    if any(e.leaf.cue & lx.CONTRAST for e in here.events):
        return True
    return not _MEASURES.isdisjoint(here.words[max(0, here.events[0].first - _BEFORE) : here.events[here.k].first])


def _gauge(here: Here) -> bool:
    """ "The left effusion is | hard to gauge" is there; "effusion is | hard to judge" may be."""
    specific = any(e.leaf.side or e.leaf.severity or e.leaf.size for e in here.before())
    return specific or _assess(here) or here.after() in ("in", "large", "small")


def _assumed(here: Here) -> bool:
    """ "The nodule | cannot be assumed to be benign"; only an absence that cannot be assumed is a doubt."""
    return here.denial is None


def _explains(here: Here) -> bool:
    """ "The large effusion | could explain this", "which | may have developed since", "| may explain this pain"."""
    first = here.events[here.k].first
    for event in here.before():
        leaf = event.leaf
        if leaf.cue & (lx.EXIST | lx.COMMA | lx.VERB) or leaf.side or leaf.severity or leaf.zone or leaf.size:
            return True
    after = here.after()
    noun = after.isalpha() and after not in here.lexicon.idle and after not in _LOOKS
    return noun or (first > 0 and here.words[first - 1] in _REFERS)


def _general(here: Here) -> bool:
    """ "There is a pneumothorax, as | may occur after biopsy" tells of this one."""
    before = here.before()
    if not before or before[-1].leaf.concept < 0 or before[-1].last + 1 != here.events[here.k].first:
        return True
    return any(e.leaf.cue & (lx.EXIST | lx.COMMA | lx.VERB) or e.leaf.side or e.leaf.size for e in before)


def _takes_back(here: Here) -> bool:
    """ "The reading of an effusion | is retracted", and not "the chest wall | is retracted"."""
    if here.supposition is not None and here.supposition.asks:
        return False
    return _REPORTS.isdisjoint(here.words[max(0, here.events[0].first - _REACH) : here.events[here.k].first])


def _pretext(here: Here) -> bool:
    """Only what is apparent is due to the technique: "apparent cardiomegaly | is due to poor inspiration"."""
    named = next((e.first for e in here.before() if e.leaf.concept >= 0), here.events[here.k].first)
    if not _CHANGES.isdisjoint(here.words[max(0, here.events[0].first - _BEFORE) : here.events[here.k].first]):
        return True  # "the apparent change in the effusion | is due to the supine position"
    return _APPARENT.isdisjoint(here.words[max(0, here.events[0].first - _BEFORE) : named])


def _artifact(here: Here) -> bool:
    """ "Worsening edema | is due to projection": the change is not real. "| Due to motion and edema"."""
    events, words, k = here.events, here.words, here.k
    if any(e.leaf.change & (lx.WORSE | lx.BETTER) for e in here.before()):
        return True
    if not _CHANGES.isdisjoint(words[max(0, events[0].first - _BEFORE) : events[k].first]):
        return True
    after = events[k].last + 1
    following = events[k + 1] if k + 1 < len(events) else None
    if following is not None and following.first == after:
        joined = following.leaf.cue & (lx.AND | lx.OR) and k + 2 < len(events) and events[k + 2].leaf.concept >= 0
        return bool(joined or following.leaf.concept >= 0 or words[after] == "of")
    return after < len(words) and words[after].isalpha() and words[after] not in here.lexicon.idle


def _sought(here: Here) -> bool:
    """ "A pneumothorax was | looked for and found"; "no pneumothorax was | looked for"."""
    return here.denial is not None or here.after() == "and"


def _out(here: Here) -> bool:
    """ "ETT | out." and "line | out, effusion"; not "tube in and | out", "line | out of place"."""
    before = here.before()
    if len(before) > 1 and before[-1].leaf.cue & lx.BREAK:
        before = before[:-1]  # "effusion - see separate report"
    while len(before) > 1 and (before[-1].leaf.side or before[-1].leaf.zone or before[-1].leaf.cue & lx.PREP):
        if before[-1].leaf.concept >= 0:
            break
        before = before[:-1]  # "the drain on the right is | out"
    named = bool(before) and (before[-1].leaf.concept >= 0 or bool(before[-1].leaf.things))
    return not named or here.after() not in ("", ".", ",", "\n", ";", ":", "|")


PROVISOS: Final[Mapping[str, Callable[[Here], bool]]] = {
    "study": _study, "seen": _seen, "assess": _assess, "gauge": _gauge, "assumed": _assumed, "explains": _explains,
    "general": _general, "takes back": _takes_back, "pretext": _pretext, "artifact": _artifact,
    "out": _out, "sought": _sought,
}  # fmt: skip
"""By what a row has as its `value`."""
