"""What the words of one clause have said so far about the findings to come: denied, possible, hypothetical.

The idea of cues with a direction and a scope is ConText's (Harkema et al., J Biomed Inform 2009); the cues are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from judges.rules import around
from judges.rules import lexicon as lx
from judges.rules.findings import ABSENT, HYPOTHETICAL, PRESENT, UNCERTAIN, Event, Mention

_SEPARATOR: Final = lx.COMMA | lx.AND | lx.OR | lx.WITH
_SMALL: Final = 0b0111
"""Grades that nobody denies in the middle of a list: "no pneumothorax, small effusion"."""


HEARD: Final = (
    _SEPARATOR | lx.NEG | lx.NEG_AFTER | lx.PARTIAL | lx.UNC | lx.UNC_SOFT | lx.UNC_AFTER | lx.HYP | lx.TERM | lx.EXIST
    | lx.READING | lx.NEVER | lx.INTRODUCTION
)  # fmt: skip
"""Cues that `Scope.hear` takes in."""


@dataclass(slots=True)
class Scope:
    """The state of reading one clause, phrase by phrase."""

    events: list[Event]
    sized: tuple[bool, ...]
    continues: bool
    """The clause has no subject of its own: it speaks of the finding before it."""
    made: list[Mention] = field(default_factory=list)
    pending: list[Mention] = field(default_factory=list)
    """What a cue that follows may still change."""
    neg: bool = False
    unc: bool = False
    hyp: bool = False
    introduced: bool = False
    """What is hypothetical ends at the next comma."""
    partial: bool = False
    bare: bool = False
    """Directly after a denial: "no new ..."."""
    denied: bool = False
    """The denial has met a finding."""
    graded: bool = False
    """Since the last finding a word stood that nobody denies in the middle of a list."""
    sided: bool = False
    """Since the last finding a side was named."""
    comma: int = 0
    """How many findings were pending at the last comma."""
    joined: bool = False
    """An "and" or "or" joins what is pending."""
    separator: int = 0
    link: bool = False
    """An "or" stands between the last finding and the next one."""
    slash: bool = False
    listing: bool = False
    """In "no change in ... or ...": all of it is there."""
    choices: list[Mention] = field(default_factory=list)
    """Findings under one "may represent"."""
    source: Mention | None = None
    """The finding that the next one may be a name for: "opacity, likely atelectasis"."""
    earlier: Mention | None = None
    """The same before a comma."""
    taken: bool = False
    """And that this was said, not only that one follows the other."""
    tip: int = -1
    """The event that names the tip of a device."""
    where: int = 0
    """The side of the anatomy that the denial speaks of: "the right lung is clear without effusion"."""
    begun: int = 0
    """Where the denial began."""
    answer: int = -1
    """The event of a denial that no finding has followed yet."""

    def hear(self, k: int, event: Event) -> None:
        """Take in the cue that phrase `k` is."""
        leaf = event.leaf
        cue = leaf.cue
        if cue & (lx.TERM | lx.EXIST):
            self._end(k)
        if cue & _SEPARATOR:
            self._separate(k, cue)
        if cue & (lx.NEG | lx.NEG_AFTER) and leaf.concept < 0:
            self._deny(k, event)
        if cue & (lx.UNC | lx.UNC_AFTER | lx.UNC_SOFT):
            if cue & lx.UNC_AFTER and self.pending and not (cue & lx.UNC and around.finds(self.events, k)):
                restate(self._subject(k), UNCERTAIN)
                self._settle()
            elif cue & (lx.UNC | lx.UNC_AFTER):
                self.unc, self.neg, self.choices = True, False, []
            elif not self.neg:
                self.unc = True
        if cue & lx.HYP:
            self.hyp = True
        if cue & lx.INTRODUCTION:
            self.introduced = True
        if cue & lx.NEVER:
            self.graded = True
        if cue & lx.PARTIAL and self.neg and leaf.concept < 0:
            self.partial = True
        if cue & (lx.READING | lx.UNC | lx.UNC_SOFT):
            if self.made:
                self.source = self.made[-1]
            self.taken = True

    def _end(self, k: int) -> None:
        """Nothing said so far reaches beyond this word."""
        self.neg = self.hyp = self.partial = self.listing = False
        self.choices = []
        if not (k and self.events[k - 1].leaf.cue & lx.UNC):  # "possibly due to pneumonia"
            self.unc, self.source = False, None
        if not self.continues:
            self._settle()

    def _settle(self) -> None:
        """What was pending is so."""
        self.pending, self.comma, self.joined = [], 0, False

    def _subject(self, k: int) -> list[Mention]:
        """What the verb before phrase `k` speaks of: a singular one not of what stands before the last comma."""
        before = self.events[k - 1]
        singular = k > 0 and before.leaf.cue & lx.VERB and not before.leaf.cue & lx.PLURAL
        return self.pending[self.comma :] if singular and not self.joined else self.pending

    def _separate(self, k: int, cue: int) -> None:
        self.separator, self.graded, self.sided = cue, False, False
        if cue & (lx.AND | lx.OR):
            self.joined = bool(self.pending)
        elif cue & lx.COMMA:
            self.comma = len(self.pending)
        if cue & lx.OR:
            self.link, self.slash = bool(self.made) and not (self.neg or self.listing), bool(cue & lx.SLASH)
            return
        self.earlier = (self.source or self.earlier) if cue & lx.COMMA else None
        self.source = None
        if cue & lx.WITH:
            if self.neg and self.denied:
                self.neg = self.partial = False  # "no pneumothorax with bibasilar atelectasis"
            elif self.choices and k and self.events[k - 1].leaf.cue & lx.COMMA:
                self.unc = False  # "mass suspicious for malignancy, with adenopathy"
            return
        self.link = False
        if cue & lx.COMMA and self.introduced:
            self.hyp = self.introduced = False
        if cue & lx.AND:
            self.choices = []
        elif self.pending and around.names_subject(self.events, k + 1):
            self._settle()

    def _deny(self, k: int, event: Event) -> None:
        first, _, leaf = event
        cue = leaf.cue
        if cue & lx.NEG_AFTER and not (cue & lx.NEG and (not self.pending or around.finds(self.events, k))):
            if leaf.change & lx.RESOLVED:  # what is removed is a device: "pneumothorax after tube removal"
                restate([m for m in self.pending if not self.sized[m.concept]], ABSENT)
            else:
                restate(self._deniable(self._subject(k)), ABSENT)
            self._settle()
            self.neg, self.tip = False, -1
        elif cue & lx.NEG:
            self.neg = self.bare = True
            self.unc = self.partial = self.denied = False
            self.answer, self.begun = k, first

    def _deniable(self, mentions: list[Mention]) -> list[Mention]:
        """Where a tip is not seen, the tube is there."""
        return mentions if self.tip < 0 else [m for m in mentions if self.sized[m.concept]]

    def state(self, k: int, leaf: lx.Leaf, concept: int) -> int:
        """What is asserted of a finding that phrase `k` names."""
        if self.neg and self.denied and not self.separator & lx.OR and self._breaks(k, concept):
            self.neg = self.partial = False
        if self.hyp:
            return HYPOTHETICAL
        if self.neg or leaf.cue & lx.NEG_AFTER:  # "extubated"
            return ABSENT
        return UNCERTAIN if self.unc else PRESENT

    def _breaks(self, k: int, concept: int) -> bool:
        """Whether this ends a denied list: "no pneumothorax, small effusion", "no effusion, PICC in the SVC"."""
        if self.graded or (not self.sized[concept] and self.sized[self.made[-1].concept]):
            return True
        return self.sided and not around.alternative_follows(self.events, k)

    def add(self, mention: Mention) -> None:
        """A finding was named."""
        if self.unc and not self.neg:
            self.choices.append(mention)
        self.made.append(mention)
        self.pending.append(mention)
        self.denied = self.denied or self.neg
        self.bare = self.link = self.graded = self.sided = False
        self.separator, self.answer = 0, -1

    def attribute(self, k: int, leaf: lx.Leaf) -> None:
        """A side, grade or change was named."""
        if leaf.severity & _SMALL or leaf.size:
            self.graded = True
        if leaf.side:
            self.sided = True
        if leaf.change & lx.STABLE and k + 1 < len(self.events) and self.events[k + 1].leaf.cue & lx.OBJECT:
            self.listing = True

    def close(self, stop: int) -> None:
        """The clause ends before word `stop`: "Pneumothorax: no."."""
        if self.answer >= 0 and self.pending and around.is_last(self.events, self.answer, stop):
            restate(self._deniable(self.pending), ABSENT)


def restate(mentions: list[Mention], state: int) -> None:
    """Change what is asserted of these, unless they are only hypothetical."""
    for mention in mentions:
        if mention.state != HYPOTHETICAL:
            mention.state = state
