"""What the words of one clause have said so far about the findings to come: denied, possible, hypothetical.

The idea of cues with a direction and a scope is ConText's (Harkema et al., J Biomed Inform 2009); the cues are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from judges.rules import context
from judges.rules import lexicon as lx
from judges.rules.findings import ABSENT, HYPOTHETICAL, PRESENT, UNCERTAIN, Event, Mention

_SEPARATOR: Final = lx.COMMA | lx.AND | lx.OR | lx.WITH
_SMALL: Final = 0b0111
"""Grades that nobody denies in the middle of a list: "no pneumothorax, small effusion"."""
_STEPS: Final = 4  # how many phrases before "consistent with" may stand between it and its denial
_NEW: Final = 6  # phrases after "exchanged for" among which the new device is looked for
_GAP: Final = 2  # and how many words further on each may stand: "not entirely consistent with"
BREAKS: Final = (
    lx.AND | lx.WITH | lx.NEG | lx.NEG_AFTER | lx.TERM | lx.EXIST | lx.READING | lx.CONTRAST | lx.VERB | lx.COLON
    | lx.UNC | lx.UNC_AFTER
)  # fmt: skip
"""Cues between two findings that make them no alternatives."""

HEARD: Final = (
    _SEPARATOR | BREAKS & ~(lx.VERB | lx.COLON | lx.CONTRAST) | lx.PARTIAL | lx.HYP | lx.NEVER
    | lx.INTRODUCTION
)  # fmt: skip
HEARD_RARE: Final = lx.THAN | lx.SETTING | lx.SOME | lx.ANAPHOR
"""Cues that `Scope.hear` takes in."""
_TURNS: Final = HEARD & ~(_SEPARATOR | lx.TERM | lx.EXIST)
"""Those of them that do more than to end or to separate something."""


@dataclass(slots=True)
class Scope:
    """The state of reading one clause, phrase by phrase."""

    events: list[Event]
    sized: tuple[bool, ...]
    continues: bool
    """The clause has no subject of its own: it speaks of the finding before it."""
    before: Mention | None = None
    """The finding that the sentence before named last: "left basal opacity. This may be pneumonia"."""
    made: list[Mention] = field(default_factory=list)
    pending: list[Mention] = field(default_factory=list)
    """What a cue that follows may still change."""
    neg: bool = False
    unc: bool = False
    hyp: bool = False
    introduced: bool = False
    """What is hypothetical ends at the next comma."""
    conditional: bool = False
    """What follows is so in a setting that may not be given: "in the right setting, compatible with pneumonia"."""
    history: bool = False
    """It is what the patient had or complains of."""
    partial: bool = False
    one: bool = False
    """It is so for the next finding only."""
    bare: bool = False
    """Directly after a denial: "no new ..."."""
    denied: bool = False
    """The denial has met a finding."""
    removal: bool = False
    """It is of what was removed: devices, whatever side each had."""
    graded: bool = False
    """Since the last finding a word stood that nobody denies in the middle of a list."""
    sided: bool = False
    """Since the last finding a side was named, or a direction of change."""
    part: int = 0
    """How many findings were pending where the last comma or "with" ended a part of the list that names one."""
    former: int = 0
    """The same of the part before."""
    firm: int = 0
    """The same of the last part that says something of its own, so that no verb to come is about it."""
    said: bool = False
    """The present part does: "small effusion", "tube in place"."""
    joined: bool = False
    """An "and" or "or" joins the present part to what is pending."""
    separator: int = 0
    link: bool = False
    """An "or" stands between the last finding and the next one."""
    slash: bool = False
    run: list[Mention] = field(default_factory=list)
    """Findings that only commas join, of which an "or" to come may make alternatives."""
    broken: bool = False
    """Something other than a comma stands between the last of them and the next finding."""
    whole: bool = False
    """All of them are: "opacity: edema, pneumonia or hemorrhage", "edema, pneumonia, or hemorrhage"."""
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
    weighed: bool = False
    """Something was said to be likely."""
    changed: bool = False
    """A word of change stood: "larger than" weighs no two findings."""
    tip: int = -1
    """The event that names the tip of a device."""
    some: bool = False
    """What follows is one of several."""
    where: int = 0
    """The side of the anatomy that the denial speaks of: "the right lung is clear without effusion"."""
    begun: int = 0
    """Where the denial began."""
    answer: int = -1
    """The event of a denial that no finding has followed yet."""

    def hear(self, k: int, event: Event) -> None:
        """Take in the cue that phrase `k` is."""
        leaf = event.leaf
        cue, rare = leaf.cue, leaf.rare
        if cue & (lx.TERM | lx.EXIST) and not (cue & lx.READING and self._denies(k)):
            self._end(k)
        if cue & _SEPARATOR:
            self._separate(k, cue)
        if not (cue & _TURNS or rare):
            return
        if cue & (lx.NEG | lx.NEG_AFTER) and leaf.concept < 0:
            self._deny(k, event)
        if cue & (lx.UNC | lx.UNC_AFTER):
            if cue & lx.UNC_AFTER and self.pending and not (cue & lx.UNC and context.finds(self.events, k)):
                restate(self.choices if self.unc and self.choices else self._subject(k), UNCERTAIN)
                self._settle()
            elif cue & lx.UNC_AFTER or (cue & lx.UNC and not ((row := leaf.row("possible", "forward")) and row.unless)):
                self.unc, self.neg, self.choices = True, False, []
            elif not self.neg:
                self.unc = True
        if rare & lx.THAN and self.weighed and not self.changed and context.weighs(self.events, k):
            self.unc, self.neg, self.choices = True, False, []
        if rare & lx.SETTING:
            if self.pending and not (k + 1 < len(self.events) and self.events[k - 1].leaf.cue & lx.COMMA):
                restate([m for m in self.pending[-1:] if m.state == PRESENT], UNCERTAIN)
            else:
                self.conditional = True
        if rare & lx.ANAPHOR and not self.made:
            self.earlier = self.before
        if rare & lx.SOME:
            self.some = True
        if cue & lx.HYP:
            self.hyp = True
            row = leaf.row("hypothetical", "forward")
            self.history = self.history or (row is not None and row.resumes)
        if cue & lx.INTRODUCTION:
            self.introduced = True
        if cue & lx.NEVER:
            self.graded = True
        if cue & lx.PARTIAL and self.neg and leaf.concept < 0:
            self.partial = True
            row = leaf.row("partial", "forward")
            self.one = row is not None and row.targets == 1
        if cue & (lx.READING | lx.UNC):
            if self.made:
                self.source = self.made[-1]
            self.taken = self.weighed = True

    def _end(self, k: int) -> None:
        """Nothing said so far reaches beyond this word."""
        self.neg = self.hyp = self.partial = self.listing = False
        self.choices = []
        if not (
            k and self.events[k - 1].leaf.cue & (lx.UNC | lx.OR | lx.READING)
        ):  # "possibly due to pneumonia", "chronic or due to"
            self.unc, self.source = False, None
        if not self.continues:
            self._settle()

    def _denies(self, k: int) -> bool:
        """Whether what something is taken for is denied: "not consistent with", "no opacity to represent"."""
        for j in range(k - 1, max(-1, k - _STEPS), -1):
            leaf = self.events[j].leaf
            if self.events[j + 1].first - self.events[j].last > _GAP or not self.neg:
                return False
            if leaf.change and leaf.cue & lx.NEG_AFTER:
                return False  # "heart border no longer visible | due to effusion"
            if leaf.cue & lx.NEG or leaf.concept >= 0:
                return True
            if not leaf.cue & (lx.READING | lx.OBJECT | lx.BODY):
                return False
        return False

    def _settle(self) -> None:
        """What was pending is so."""
        self.pending, self.part, self.former, self.firm, self.joined, self.said = [], 0, 0, 0, False, False

    def _subject(self, k: int) -> list[Mention]:
        """What phrase `k`, which follows it, speaks of: the part after the last comma or "with", unless they are many.

        Then all but what has its predicate: "small effusion, pneumothorax and edema not seen".
        """
        many = self.joined or (self.events[k].leaf.cue | (self.events[k - 1].leaf.cue if k else 0)) & lx.PLURAL
        start = self.firm if many else self.part
        return self.pending[start if start < len(self.pending) else self.former :]

    def _separate(self, k: int, cue: int) -> None:
        self.separator, self.graded, self.sided = cue, False, False
        if cue & (lx.AND | lx.OR):
            self.joined = bool(self.pending)
        elif cue & (lx.COMMA | lx.WITH) and self.part < len(self.pending):  # "the effusion, ..., is not seen"
            self.former, self.part = self.part, len(self.pending)
            if self.said:
                self.firm = self.part
            self.joined = self.said = False
        if cue & lx.OR:
            self.whole = self.whole or (k > 0 and bool(self.events[k - 1].leaf.cue & lx.COMMA))
            self.link = bool(self.made) and not (self.neg or self.listing or (self.weighed and self.broken))
            self.slash = bool(cue & lx.SLASH)
            return
        self.earlier = (self.source or self.earlier) if cue & lx.COMMA else None
        if not (self.taken and cue & lx.AND and k and not self.events[k - 1].leaf.cue & lx.COMMA):
            self.source = None  # "opacity, likely atelectasis and effusion": it is taken for both
        if cue & lx.WITH:
            if self.neg and self.denied:
                self.neg = self.partial = False  # "no pneumothorax with bibasilar atelectasis"
            elif self.choices and k and self.events[k - 1].leaf.cue & lx.COMMA:
                self.unc = False  # "mass suspicious for malignancy, with adenopathy"
            return
        self.link = False
        if cue & lx.COMMA and self.introduced:
            self.hyp = self.introduced = False
        if cue & lx.COMMA and self.history and context.resumes(self.events, k):
            self.hyp = self.history = False
        if cue & lx.AND:
            self.choices = []
        elif self.pending and context.names_subject(self.events, k + 1):
            self._settle()

    def _deny(self, k: int, event: Event) -> None:
        first, _, leaf = event
        cue = leaf.cue
        if cue & lx.NEG_AFTER and not self.pending and context.heads(self.events, k):
            cue = lx.NEG
        if leaf.rare & lx.EXCHANGED:
            new = next((e.leaf.concept for e in self.events[k + 1 : k + 1 + _NEW] if e.leaf.concept >= 0), -1)
            if new < 0 or (self.pending and self.pending[-1].concept == new):
                return  # for something of the same name: there is one
        if cue & lx.NEG_AFTER and not (cue & lx.NEG and (not self.pending or context.finds(self.events, k))):
            if k + 1 < len(self.events) and self.events[k + 1].leaf.rare & lx.VIEW:
                return
            row = leaf.row("absent", "backward")
            if row is not None and row.applies_to:  # what is removed is a device: "pneumothorax after tube removal"
                able = [m for m in self.pending if not (self.sized[m.concept] or m.several)]
                subject = self._subject(k)
                restate([m for m in able if m in subject] or able, ABSENT)
            else:
                here = self.tip >= 0 or context.place_follows(self.events, k)
                restate(self._deniable(self._subject(k), here=here), ABSENT)
            self._settle()
            self.neg, self.tip = False, -1
        elif cue & lx.NEG:
            if self.separator & lx.AND:
                self.source = None
            self.neg = self.bare = True
            self.unc = self.partial = self.denied = False
            self.answer, self.begun, self.removal = k, first, bool(leaf.change & lx.RESOLVED)

    def _deniable(self, mentions: list[Mention], *, here: bool) -> list[Mention]:
        """Where a tip is not seen, or not in its place, the tube is there."""
        return [m for m in mentions if self.sized[m.concept]] if here else mentions

    def state(self, k: int, leaf: lx.Leaf, concept: int) -> int:
        """What is asserted of a finding that phrase `k` names."""
        if self.neg and self.denied and not self.separator & lx.OR and self._breaks(k, leaf, concept):
            self.neg = self.partial = False
        if self.hyp:
            return HYPOTHETICAL
        if (self.neg and not self.some) or leaf.cue & lx.NEG_AFTER:  # "extubated"
            return ABSENT
        return UNCERTAIN if self.unc or self.conditional else PRESENT

    def _breaks(self, k: int, leaf: lx.Leaf, concept: int) -> bool:
        """Whether this ends a denied list: "no pneumothorax, small effusion", "no effusion, PICC in the SVC"."""
        one, other = self.sized[self.made[-1].concept], self.sized[concept]
        if self.graded or (one and not other) or (self.removal and one is not other):
            return True
        if not (self.sided or leaf.side) or (self.removal and self.separator & lx.AND):
            return False
        return not context.list_follows(self.events, k, lx.AND | lx.OR if self.removal else lx.OR)

    def add(self, mention: Mention) -> None:
        """A finding was named."""
        if self.unc and not self.neg:
            self.choices.append(mention)
        if self.broken:
            self.run = []
        self.run.append(mention)
        self.broken = False
        mention.several, self.some = self.some, False
        self.made.append(mention)
        self.pending.append(mention)
        self.said = self.said or bool(mention.side or mention.zone)
        self.denied = self.denied or self.neg
        if self.one:
            self.partial = self.one = False
        self.bare = self.link = self.graded = self.sided = False
        self.separator, self.answer = 0, -1

    def attribute(self, k: int, leaf: lx.Leaf) -> None:
        """A side, grade or change was named."""
        self.said = self.said or bool(leaf.severity & _SMALL or leaf.size or leaf.side or leaf.change or leaf.place)
        if leaf.severity & _SMALL or leaf.size:
            self.graded = True
        if leaf.side or leaf.change & (lx.WORSE | lx.BETTER):
            self.sided = True
        self.changed = self.changed or (bool(leaf.change) and not leaf.rare & lx.MORE)
        if leaf.change & lx.STABLE and k + 1 < len(self.events) and self.events[k + 1].leaf.cue & lx.OBJECT:
            self.listing = True

    def alternatives(self) -> list[Mention]:
        """What an "or" makes alternatives of the next finding."""
        ones = [m for m in self.run if m.state >= UNCERTAIN] if self.whole else self.pending[-1:]
        self.run, self.whole = [], False
        return ones

    def close(self, stop: int) -> None:
        """The clause ends before word `stop`: "Pneumothorax: no."."""
        if self.answer >= 0 and self.pending and context.is_last(self.events, self.answer, stop):
            restate(self._deniable(self._subject(self.answer), here=self.tip >= 0), ABSENT)


def restate(mentions: list[Mention], state: int) -> None:
    """Change what is asserted of these, unless they are only hypothetical."""
    for mention in mentions:
        if mention.state != HYPOTHETICAL:
            mention.state = state
            mention.gone = state == ABSENT
