"""What a scope keeps while it goes through a clause: open cues, pending findings, choices, interpretations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from judges.rules import constructions
from judges.rules import lexicon as lx
from judges.rules.findings import ABSENT, UNCERTAIN, Event, Mention

SEPARATOR: Final = lx.COMMA | lx.AND | lx.OR | lx.WITH
BREAKS: Final = (
    lx.AND | lx.WITH | lx.NEG | lx.NEG_AFTER | lx.TERM | lx.EXIST | lx.READING | lx.CONTRAST | lx.VERB | lx.COLON
    | lx.UNC | lx.UNC_AFTER
)  # fmt: skip
"""Cues between two findings that make them no alternatives; `HEARD` and `HEARD_RARE`: those that `hear` takes in."""
HEARD: Final = (
    SEPARATOR | BREAKS & ~(lx.VERB | lx.COLON | lx.CONTRAST) | lx.PARTIAL | lx.HYP | lx.NEVER | lx.INTRODUCTION
)  # fmt: skip
HEARD_RARE: Final = lx.THAN | lx.SETTING | lx.SOME | lx.ANAPHOR | lx.HYP_AFTER
_ALWAYS: Final = lx.TERM | lx.EXIST | lx.WITH
"""What ends a cue whose row does not say it, or that stands in none, as the question mark does."""


class Opened:
    """A cue that acts forward and has not ended yet."""

    __slots__ = ("again", "asks", "ended", "ends_at", "event", "met", "partial", "removal", "row", "targets")

    def __init__(self, event: int, row: lx.Row | None) -> None:
        self.event, self.row = event, row
        self.ends_at, self.targets = (_ALWAYS, 0) if row is None else (row.ends_at or _ALWAYS, row.targets)
        self.met = 0
        """On how many findings it has acted."""
        self.partial: Opened | None = None
        """The cue that makes this denial a partial one: "no new ..."."""
        self.removal = False
        """A denial of what was removed: devices, whatever side each had."""
        self.again = False
        """Something else was denied before it: "no effusion, no pneumothorax"."""
        self.ended = False
        """An "or" has led to the last member of its list."""
        self.asks = row is not None and row.value in ("question", "claim")
        """It leads to what is asked, not to what is only supposed."""

    def parts(self, *, thoracic: bool) -> bool:
        """Whether a comma ends the list of this denial: "no effusion, no pneumothorax, cardiomegaly".

        Not before what is `thoracic` in a bare list, in which nothing else is denied itself: "no fracture, effusion".
        """
        return not self.removal and (self.again or self.ended or not thoracic)

    def lists(self, events: list[Event], words: Sequence[str]) -> bool:
        """Whether a colon stands directly behind it: "absent: effusion, cardiomegaly" has no other end."""
        if self.row is not None and self.row.value == "list":
            return True
        after = events[self.event + 1 : self.event + 2]
        if words[events[self.event].last] == ":":
            return True
        return bool(after and after[0].leaf.cue & lx.COLON and after[0].first == events[self.event].last + 1)

    def touches(self, events: list[Event], k: int) -> bool:
        """Whether phrase `k` comes directly after it, so that it has met nothing."""
        return self.event == k - 1 and events[k].first == events[k - 1].last + 1

    def answered(self, events: list[Event], k: int) -> bool:
        """Whether phrase `k` answers what it asks: "evaluation for effusion is | negative"."""
        return self.asks or constructions.after_colon(events, k)

    def means(self, *, device: bool) -> bool:
        """Whether it says anything of such a finding."""
        return self.row is None or self.row.applies_to != ("finding" if device else "device")

    def refutes(self) -> bool:
        """Whether it denies what is said, and has met nothing: what is said to be absent is there."""
        return not self.met and self.row is not None and self.row.value == "truth"

    def denies(self, subject: Sequence[Mention]) -> bool:
        """Whether it has denied all of this, and does not only say that it is claimed: "the claim of an effusion"."""
        framed = self.row is not None and self.row.value == "frame"
        return self.met > 0 and not framed and all(mention.state == ABSENT for mention in subject)

    def acted(self) -> bool:
        """Count a finding; whether it was the last one on which the row may act."""
        if self.partial is not None and self.partial.acted():
            self.partial = None
        self.met += 1
        return self.met == self.targets


@dataclass(slots=True)
class Pending:
    """Findings of which a cue that follows may still say something: a list in parts, which commas and "with" end."""

    mentions: list[Mention] = field(default_factory=list)
    part: int = 0
    """How many were pending where the last part that names one ended."""
    former: int = 0
    """The same of the part before."""
    firm: int = 0
    """The same of the last part that says something of its own, so that no verb to come is about it."""
    said: bool = False
    """The present part does: "small effusion", "tube in place"."""
    joined: bool = False
    """An "and" or "or" joins the present part to what is pending."""

    def end_part(self) -> None:
        if self.part < len(self.mentions):  # "the effusion, ..., is not seen"
            self.former, self.part = self.part, len(self.mentions)
            if self.said:
                self.firm = self.part
            self.joined = self.said = False

    def subject(self, *, plural: bool) -> Sequence[Mention]:
        """What a cue after them speaks of: the last part, unless they are many.

        Then all but what has its predicate: "small effusion, pneumothorax and edema not seen".
        """
        start = self.firm if self.joined or plural else self.part
        return self.mentions[start if start < len(self.mentions) else self.former :]


@dataclass(slots=True)
class Choice:
    """Findings of which one is meant: "edema, pneumonia or hemorrhage"."""

    link: bool = False
    """An "or" stands between the last finding and the next one."""
    slash: bool = False
    broken: bool = False
    """Something other than a comma stands between the last of them and the next finding."""
    whole: bool = False
    """All of them are: "opacity: edema, pneumonia or hemorrhage", "edema, pneumonia, or hemorrhage"."""
    listing: bool = False
    """In "no change in ... or ...": all of it is there."""
    run: int = 0
    """The first of the findings that only commas join, of which an "or" to come may make alternatives."""
    possible: list[Mention] = field(default_factory=list)
    """Findings under one "may represent"."""

    def taken(self, last: Mention, made: list[Mention]) -> list[Mention]:
        """What an "or" makes alternatives of the next finding. `made`: all findings of the clause."""
        ones = [m for m in made[self.run :] if m.state >= UNCERTAIN] if self.whole else [last]
        found = [*self.possible, *ones]
        self.run, self.whole, self.possible = len(made), False, []
        return found


@dataclass(slots=True)
class Interpretation:
    """What a finding is taken for: "opacity, likely atelectasis"."""

    source: Mention | None = None
    """The finding that the next one may be a name for."""
    earlier: Mention | None = None
    """The same before a comma."""
    taken: bool = False
    """And that this was said, not only that one follows the other."""
    weighed: bool = False
    """Something was said to be likely."""
    changed: bool = False
    """A word of change stood: "larger than" weighs no two findings."""

    def take(self, mention: Mention, lexicon: lx.Lexicon) -> None:
        """What an earlier finding is taken for lies where that one lies."""
        if self.source is None:
            if self.earlier is not None and lexicon.special(mention.concept, self.earlier.concept):
                mention.source = self.earlier  # "right upper lobe opacity, pneumonia"
            self.source, self.taken = mention, False
        elif self.source.state >= UNCERTAIN and self._places(mention.concept, self.source.concept, lexicon):
            mention.source = self.source

    def _places(self, concept: int, source: int, lexicon: lx.Lexicon) -> bool:
        """Whether one finding lies where the other does: its kin, or anything in the chest that it is taken for."""
        thoracic = lexicon.thoracic
        return lexicon.related(concept, source) or (self.taken and thoracic[concept] and thoracic[source])
