"""One clause: the findings it names, what it asserts of them, to which of them each side, grade or change belongs.

The idea of cues with a direction and a scope is ConText's (Harkema et al., J Biomed Inform 2009); the cues are ours.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from judges.rules import lexicon as lx
from judges.rules.findings import ABSENT, HYPOTHETICAL, PRESENT, STUDY, UNCERTAIN, Event, Mention

_BOUNDARY: Final = lx.COMMA | lx.AND | lx.OR | lx.VERB | lx.PREP | lx.EXIST | lx.TERM | lx.COLON | lx.UNC | lx.UNC_AFTER
"""Cues across which an attribute does not reach forward: "effusion on the left with atelectasis"."""
_ENDS_NORMAL: Final = lx.VERB | lx.NORMAL | lx.NEG | lx.TERM | lx.EXIST
_NEAR: Final = 5  # how many anatomies on either side of a word are tried
_REACH: Final = 14  # and how many words away they may be


class Clauses:
    """Reads clauses of one text in order; collects mentions and changes."""

    def __init__(self, lexicon: lx.Lexicon) -> None:
        self.lexicon = lexicon
        self.mentions: list[Mention] = []
        self.changes: list[tuple[str, int, int, int]] = []
        """(concept name, ``@anatomy`` or ``@study``; set of changes; first and last word)"""
        self.carry: list[int] = []
        """Anatomies that the sentence has named so far: the subject of "and mildly enlarged"."""
        self.topic: list[int] = []
        """The anatomy of a heading: "HEART: Enlarged. Stable." """
        self._groups = 0

    def read(self, events: list[Event]) -> None:
        """All mentions of the clause, asserted, denied, possible or hypothetical, with their attributes."""
        lung = self.lexicon.lung
        named = [(e.first, e.leaf.anatomy) for e in events if e.leaf.anatomy >= 0]
        anatomies = [
            (e.first, e.leaf.anatomy if e.leaf.anatomy >= 0 else lung)
            for e in events
            if e.leaf.anatomy >= 0 or e.leaf.zone
        ]
        stops = [e.first for e in events if e.leaf.cue & (lx.COMMA | lx.VERB | lx.TERM)]
        made: list[Mention] = []
        pending: list[Mention] = []  # what a cue that follows may still change
        attributes: list[tuple[int, bool]] = []  # event index, directly denied ("no new ...")
        loose: list[int] = []  # descriptors that have found nothing to describe yet
        neg = unc = hyp = partial = bare = link = False
        since = 0  # anatomies before this word already have their verdict
        for k, (first, last, leaf) in enumerate(events):
            cue = leaf.cue
            if cue:
                if cue & (lx.TERM | lx.EXIST):
                    neg = unc = hyp = partial = False
                    pending = []
                if cue & lx.NEG_AFTER and (pending or not cue & lx.NEG):
                    _restate(pending, ABSENT)
                    pending, neg = [], False
                elif cue & lx.NEG:
                    neg, bare, unc, partial = True, True, False, False
                if cue & lx.UNC_AFTER and (pending or not cue & lx.UNC):
                    _restate(pending, UNCERTAIN)
                    pending = []
                elif cue & lx.UNC:
                    unc, neg = True, False
                elif cue & lx.UNC_SOFT and not neg:
                    unc = True
                hyp = hyp or bool(cue & lx.HYP)
                partial = partial or (neg and bool(cue & lx.PARTIAL))
                if cue & lx.OR:
                    link = bool(made) and not neg
                elif cue & (lx.COMMA | lx.AND):
                    link = False
                if cue & lx.NORMAL and not (neg or hyp or unc):
                    here = [a for p, a in named if since <= p < first] or _following(events, k)
                    self._normal(made, here or ([] if named else self.carry or self.topic), first, last)
                    since = last + 1
            if leaf.absent and not hyp:
                made += (Mention(c, first, last, ABSENT, explicit=False) for c in leaf.absent)
            concept, begin, end = leaf.concept, first, last
            if concept >= 0 or leaf.descriptors:
                pair = self._described(leaf, first, anatomies, stops)
                if pair is not None:
                    if concept < 0:
                        begin, end = min(first, pair[1]), max(last, pair[1])
                    concept = pair[0]
                elif concept < 0 and neg and not hyp and self.lexicon.abnormality in leaf.descriptors:
                    around = [a for p, a in named if since <= p] or self.carry or self.topic
                    self._normal(made, around, first, last, partial)
                elif concept < 0:
                    loose += leaf.descriptors
                    if made:  # "the granuloma is calcified"
                        made[-1].concept = self._refine(made[-1].concept, leaf.descriptors)
            if concept >= 0:
                concept = self._refine(concept, loose)  # "calcified left lower lobe granuloma"
                state = HYPOTHETICAL if hyp else ABSENT if neg else UNCERTAIN if unc else PRESENT
                mention = Mention(concept, begin, end, state, partial and neg, side=leaf.side, zone=leaf.zone)
                if link and pending and min(pending[-1].state, state) >= UNCERTAIN:
                    self._alternatives(pending[-1], mention)
                made.append(mention)
                pending.append(mention)
                loose, bare, link, since = [], False, False, end + 1
            elif leaf.side or leaf.zone or leaf.severity or leaf.change or leaf.place or leaf.size:
                attributes.append((k, bare and not cue & lx.NEG))
            bare = bare and leaf.anatomy < 0
        if named:
            self.carry = [a for _, a in named]
            if any(e.leaf.cue & lx.COLON for e in events[1:3]):
                self.topic = self.carry[:1]
        if attributes:
            self._bind(events, attributes, [m for m in made if m.explicit], named)
        for one, other in itertools.pairwise(m for m in made if m.group):
            if one.group == other.group:  # "atelectasis or pneumonia at the left base": the place is that of both
                one.side, other.side = one.side or other.side, other.side or one.side
                one.zone, other.zone = one.zone or other.zone, other.zone or one.zone
        self.mentions += made

    def _normal(
        self, made: list[Mention], anatomies: Iterable[int], first: int, last: int, partial: bool = False
    ) -> None:
        """What the normality of these anatomies rules out."""
        for anatomy in anatomies:
            made += (Mention(c, first, last, ABSENT, partial, explicit=False) for c in self.lexicon.normal[anatomy])

    def _described(
        self, leaf: lx.Leaf, at: int, anatomies: list[tuple[int, int]], stops: list[int]
    ) -> tuple[int, int] | None:
        """The concept that this word makes together with the nearest fitting anatomy, and where that stands."""
        pairs = self.lexicon.pairs
        keys = [-1 - d for d in leaf.descriptors]
        if leaf.concept >= 0:
            keys.append(leaf.concept)
        middle = bisect_left(anatomies, (at, -1))
        best: tuple[int, int, int] | None = None
        for place, anatomy in anatomies[max(0, middle - _NEAR) : middle + _NEAR]:
            distance = abs(place - at)
            if place > at and bisect_left(stops, place) != bisect_left(stops, at):
                break  # "enlarged, vascularity normal": what follows a comma or verb has its own description
            if distance <= _REACH and (best is None or distance < best[0]):
                concept = next((pairs[anatomy, key] for key in keys if (anatomy, key) in pairs), None)
                if concept is not None:
                    best = (distance, concept, place)
        if best is not None:
            return best[1], best[2]
        if leaf.concept < 0 and not anatomies:
            for anatomy, key in itertools.product(self.carry or self.topic, keys):
                if (anatomy, key) in pairs:
                    return pairs[anatomy, key], at
        return None

    def _refine(self, concept: int, descriptors: Iterable[int]) -> int:
        for descriptor in descriptors:
            concept = self.lexicon.pairs.get((-1 - concept, -1 - descriptor), concept)
        return concept

    def _alternatives(self, one: Mention, other: Mention) -> None:
        if not one.group:
            self._groups += 1
            one.group = self._groups
        other.group = one.group
        one.state = other.state = UNCERTAIN

    def _bind(
        self,
        events: list[Event],
        attributes: list[tuple[int, bool]],
        mentions: list[Mention],
        named: list[tuple[int, int]],
    ) -> None:
        """Give every side, zone, severity, size, tip position and change to the finding it speaks of.

        That is the mention around it, else the next one that no boundary separates from it, else the previous one.
        """
        mentions.sort(key=lambda m: m.first)
        firsts = [m.first for m in mentions]
        boundaries = [e.first for e in events if e.leaf.cue & _BOUNDARY]
        for k, denied in attributes:
            first, last, leaf = events[k]
            following = events[k + 1] if k + 1 < len(events) else None
            if leaf.severity and following and following.leaf.change and following.first == last + 1:
                continue  # "mild increase": the amount of the change, not of the finding
            at = bisect_left(firsts, first)
            target: Mention | None = None
            if at and mentions[at - 1].last >= first:
                target = mentions[at - 1]
            elif at < len(mentions):
                stop = bisect_left(boundaries, last + 1)
                free = stop == len(boundaries) or boundaries[stop] > mentions[at].first
                target = mentions[at] if free or at == 0 else mentions[at - 1]
            elif at:
                target = mentions[at - 1]
            if leaf.change and not (denied and not leaf.change & lx.RESOLVED):
                self._changed(leaf.change, target, first, last, named)
            if target is not None:
                target.side |= leaf.side
                target.zone |= leaf.zone
                target.severity |= leaf.severity
                target.place |= leaf.place
                target.size = max(target.size, leaf.size)

    def _changed(
        self, change: int, target: Mention | None, first: int, last: int, named: list[tuple[int, int]]
    ) -> None:
        if change & lx.COMPARED:
            name = STUDY
        elif target is not None:
            if change & lx.RESOLVED:
                target.state = min(target.state, ABSENT)
            elif target.state <= ABSENT:
                return
            name = self.lexicon.concepts[target.concept].name
        elif named:
            name = "@" + self.lexicon.anatomies[min(named, key=lambda p: abs(p[0] - first))[1]]
        else:
            name = STUDY
        self.changes.append((name, change, first, last))


def _restate(mentions: list[Mention], state: int) -> None:
    for mention in mentions:
        if mention.state != HYPOTHETICAL:
            mention.state = state


def _following(events: list[Event], k: int) -> list[int]:
    """Anatomies that a leading "normal" speaks of: "normal heart size and mediastinal contours"."""
    found: list[int] = []
    for event in events[k + 1 : k + 12]:
        leaf = event.leaf
        if leaf.anatomy >= 0 and leaf.concept < 0:
            found.append(leaf.anatomy)
        elif leaf.concept >= 0 or leaf.descriptors or leaf.cue & _ENDS_NORMAL:
            break
    return found
