"""One clause: the findings it names. What it asserts of them is `scope`'s part, what it says of each `attributes`'."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from judges.rules import context
from judges.rules import lexicon as lx
from judges.rules.attributes import Binder
from judges.rules.context import Subject
from judges.rules.findings import ABSENT, UNCERTAIN, Change, Event, Implied, Mention
from judges.rules.merge import OVERALL
from judges.rules.scope import BREAKS, HEARD, HEARD_RARE, Scope

_STOP: Final = lx.COMMA | lx.TERM | lx.WITH
_SPARED: Final = lx.COMMA | lx.TERM | lx.EXIST | lx.WITH | lx.VERB | lx.PREP
_ENDS_DESCRIPTION: Final = lx.COMMA | lx.OR | lx.EXIST | lx.TERM
_FAINT: Final = 0b0001
""" "Borderline" is a grade where it makes the finding ("borderline heart size"); "large" only says that it is one."""
_HEADLESS: Final = lx.AND | lx.OR | lx.UNC | lx.READING
"""Cues that end the noun phrase of an adjective, besides those that end every search."""
_LARGE: Final = 0b1000
""" "Large effusion not seen" may leave a smaller one; "small effusion not seen" leaves none."""
_NEAR: Final = 5  # how many anatomies on either side of a word are tried
_REACH: Final = 14  # and how many words away they may be
_SUBJECTS: Final = 12  # how many anatomies a "normal" that names none may speak of
_DEVICES: Final = 4  # how many named devices "the tube" may still mean

Place = tuple[int, int, int]
"""First word, anatomy, and the concept whose phrase names it (-1: it stands for itself)."""
Named = tuple[int, int, int]
"""First word, anatomy, and the side of it that is meant."""


class Clauses:
    """Reads clauses of one text in order; collects mentions and changes."""

    def __init__(self, lexicon: lx.Lexicon) -> None:
        self.lexicon = lexicon
        self.mentions: list[Mention] = []
        self.implied: list[Implied] = []
        """What normality rules out."""
        self.changes: list[Change] = []
        self.topic: list[Subject] = []
        """The anatomy of a heading: "HEART: Enlarged. Stable." """
        self._carry: list[Subject] = []
        """Anatomies that the sentence has named so far: the subject of "and mildly enlarged"."""
        self._last: Mention | None = None
        """The finding that the sentence named last: the subject of ", but has increased"."""
        self._before: Mention | None = None
        """The same of the sentence before, until this one has named something."""
        self._sided = True
        self._devices: list[Mention] = []
        """Devices named last, for "the tube"."""
        self._groups = 0

    def known(self) -> tuple[int, ...]:
        """How much has been read, for `forget`."""
        return len(self.mentions), len(self.implied), len(self.changes)

    def forget(self, known: tuple[int, ...]) -> None:
        """What was read since then does not count."""
        del self.mentions[known[0] :], self.implied[known[1] :], self.changes[known[2] :]
        self._devices, self._last, self._before = [], None, None

    def begin(self, *, sided: bool = True) -> None:
        """A new sentence; `sided`: it names a side somewhere, so that one has to be looked for."""
        self._before = self._last or self._before
        self._carry, self._last, self._sided = [], None, sided

    def read(self, events: list[Event], stop: int) -> None:
        """All mentions of the clause, asserted, denied, possible or hypothetical, with their attributes.

        `stop` is the word before which the clause ends.
        """
        lexicon = self.lexicon
        places, named, subject, heading = self._survey(events)
        continues = not subject and self._last is not None
        scope = Scope(events, lexicon.sized, continues, self._before)
        if continues and self._last is not None:
            if not (self._sided and any(e.leaf.side for e in events)):
                scope.pending = [self._last]
            elif any(e.leaf.cue & lx.NEG_AFTER for e in events):
                return  # "effusion on the left; none on the right"
        made = scope.made
        attributes: list[tuple[int, bool]] = []  # event index, directly denied ("no new ...")
        stops: list[int] | None = None
        loose: list[int] = []  # descriptors that have found nothing to describe yet
        settled: list[tuple[int, int]] = []  # words that only say what is normal
        spared = False  # what follows is where the finding is not
        since = 0  # anatomies before this word already have their verdict
        at = 0  # the event that the last mention was made of
        for k, event in enumerate(events):
            first, last, leaf = event
            cue, kind, rare = leaf.cue, leaf.kind, leaf.rare
            if cue or rare:
                if rare & lx.MOVED and context.moved(events, k):
                    continue
                if cue & BREAKS:
                    scope.broken, scope.whole = True, bool(cue & lx.COLON and made)
                if cue & HEARD or rare & HEARD_RARE:
                    if cue & lx.NEG and not made:
                        scope.where = context.side_of_subject(events, k) if self._sided else 0
                    scope.hear(k, event)
                if cue & lx.VERB:
                    scope.listing, scope.said = False, scope.said or bool(made)
                if cue & _SPARED or rare & lx.SPARING:
                    spared = bool(rare & lx.SPARING)
                if loose and cue & _ENDS_DESCRIPTION:
                    loose = []  # "compared to the old study, rib fracture"
                if cue & lx.NORMAL and not (scope.neg or scope.hyp or scope.unc):
                    since = self._settle(scope, k, named, since, settled)
            if not kind:
                continue
            concept, begin, end = leaf.concept, first, last
            if leaf.place:
                if concept >= 0:  # "IJ": a line or a vein
                    if context.is_adjective(events, k, lexicon.sized):
                        continue
                    if made and not lexicon.sized[made[-1].concept] and context.holds(events, k, made[-1].last):
                        if attributes and attributes[-1][0] == k - 1 and events[k - 1].leaf.side:
                            attributes.pop()  # the side of the vein
                        attributes.append((k, False))
                        continue
                if not made and leaf.place & lexicon.heights[0] & lexicon.heights[1]:
                    scope.tip = k  # "It should be withdrawn"
            if kind & lx.THING:
                if leaf.things[0] == lexicon.device:
                    scope.tip = k
                else:
                    concept = self._meant(leaf, made, events[k - 1].leaf.side if k else 0)
            if kind & lx.SAYS:
                if leaf.absent and not scope.hyp:
                    side = self._sided and (context.side_of(events, k) or context.side_of_subject(events, k))
                    if narrow := self._elsewhere(events, k):  # "no acute abnormality of the bones"
                        self._normal(narrow, first, last)
                    else:
                        self.implied.append((leaf.absent, first, last, False, side))
                descriptors = leaf.descriptors
                if descriptors and lexicon.refines(context.next_finding(events, k, 0), descriptors):
                    loose += descriptors
                    concept = -1
                elif descriptors and self._grades(leaf) and context.next_finding(events, k, lx.AND | lx.OR) >= 0:
                    pass  # a grade of what follows: "large left effusion and enlarged heart"
                elif leaf.concept == concept:
                    pair, normal = None, False
                    if concept < 0 and scope.neg and not scope.hyp and lexicon.abnormality in leaf.descriptors:
                        ruled_out = self._abnormal(named, scope.begun, since)
                        self._normal(ruled_out, first, last, scope.partial)
                        normal = bool(ruled_out)
                    elif leaf.keys:
                        stops = _stops(events) if stops is None else stops
                        pair = self._described(leaf, first, places, stops)
                        if pair is not None and concept < 0 and self._names(events, k, pair[0]):
                            loose += leaf.descriptors
                            continue
                    if pair is not None:
                        if concept < 0 and not scope.neg:  # "pleural effusion drained, no residual fluid"
                            begin, end = min(first, pair[1]), max(last, pair[1])
                        concept = pair[0]
                    elif concept < 0 and not normal:
                        loose += leaf.descriptors
                        if made:  # "the granuloma is calcified"
                            made[-1].concept = lexicon.refine(made[-1].concept, leaf.descriptors)
            if concept >= 0:
                touches = made and events[k - 1].last + 1 == first
                if touches and self._adjective(made[-1], concept) and context.joined(events, at, k):
                    made[-1].last, at = end, k  # "reticulonodular | lung opacities"
                    made[-1].side, made[-1].zone = made[-1].side | leaf.side, made[-1].zone | leaf.zone
                    continue
                at = k
                self._mention(scope, k, lexicon.refine(concept, loose) if loose else concept, begin, end)
                loose, since, spared = [], end + 1, False
            elif kind & lx.ATTRIBUTE and not (
                (scope.hyp if leaf.change else spared) or (leaf.severity and context.denied_grade(events, k))
            ):
                attributes.append((k, scope.bare and not cue & lx.NEG))
                scope.attribute(k, leaf)
            if kind & lx.NAMED:
                scope.bare = False
        scope.close(stop)
        if scope.tip >= 0:
            self._tip(events, scope.tip, made)
        if named:
            self._carry = [a[1:] for a in named[-_SUBJECTS:]]
            if heading:
                self.topic = self._carry[:1]
        if attributes and settled:  # "the left lung is clear, right effusion"
            attributes = [
                (k, denied)
                for k, denied in attributes
                if events[k].leaf.change or events[k].leaf.place or not context.within(settled, events[k].first)
            ]
        self._finish(events, made, attributes, places, continues)

    def _survey(self, events: list[Event]) -> tuple[list[Place], list[Named], bool, bool]:
        """Anatomies with zones, anatomies alone, whether anything is named, and whether it is a heading."""
        lung = self.lexicon.lung
        places: list[Place] = []
        named: list[Named] = []
        subject, heading = self._last is None, False
        for i, (first, _, leaf) in enumerate(events):
            kind = leaf.kind
            if kind & lx.NAMED:
                named.append((first, leaf.anatomy, context.side_of(events, i) if self._sided else 0))
                places.append((first, leaf.anatomy, leaf.concept))
            elif leaf.zone:
                places.append((first, lung, leaf.concept))
            elif not kind and leaf.cue & lx.COLON and 0 < i < 3:
                heading = True
            if not subject:
                subject = context.has_substance(leaf)
        return places, named, subject, heading

    def _finish(
        self,
        events: list[Event],
        made: list[Mention],
        attributes: list[tuple[int, bool]],
        places: list[Place],
        continues: bool,
    ) -> None:
        """Bind the attributes, and keep what the next clause may speak of."""
        if attributes or (self._sided and len(made) > 1):  # a side may be part of a name: "elevated right diaphragm"
            if len(made) > 1:
                made.sort(key=lambda m: m.first)
            subjects = [self._last] if continues and self._last is not None else made
            self.changes += Binder(self.lexicon, events, subjects).bind(attributes, places)
        grouped = 0
        sized = self.lexicon.sized
        for mention in made:
            if mention.gone and mention.severity < _LARGE:
                mention.severity = 0
            source = mention.source  # what a finding is taken for lies where the finding lies
            if source is not None and not (mention.side or mention.zone):
                mention.side, mention.zone, mention.paired = source.side, source.zone, source.paired
            grouped |= mention.group
            if mention.state >= UNCERTAIN and not sized[mention.concept]:
                self._devices = [*self._devices[1 - _DEVICES :], mention]
        if grouped:
            for one, other in itertools.pairwise(m for m in made if m.group):
                if one.group == other.group:  # "atelectasis or pneumonia at the left base": the place is that of both
                    one.side, other.side = one.side or other.side, other.side or one.side
                    one.zone, other.zone = one.zone or other.zone, other.zone or one.zone
                    one.paired = other.paired = one.paired or other.paired
        self.mentions += made
        if not continues:
            self._last = made[-1] if made else None
            self._before = None

    # ----- one finding ------------------------------------------------------------------------------------------------

    def _mention(self, scope: Scope, k: int, concept: int, begin: int, end: int) -> None:
        leaf = scope.events[k].leaf
        if scope.source is not None and scope.taken:  # "sclerotic bone lesions consistent with metastases"
            concept = self.lexicon.pairs.get((-1 - scope.source.concept, concept), concept)
        state = scope.state(k, leaf, concept)
        mention = Mention(
            concept,
            begin,
            end,
            state,
            scope.neg and (scope.partial or bool(leaf.cue & lx.PARTIAL)),
            side=leaf.side or (scope.where if state == ABSENT and self.lexicon.thoracic[concept] else 0),
            zone=leaf.zone,
            severity=leaf.severity & _FAINT,
            paired=bool(leaf.rare & lx.PAIRED),
        )
        if leaf.rare & lx.EXCEPT:  # the rest of what is denied is only a part
            for one in scope.made[-1:]:
                one.partial = one.partial or one.concept == concept
        if leaf.cue & lx.NEG_AFTER and not scope.hyp:  # "extubated"
            self.changes.append(Change(self.lexicon.concepts[concept].name, lx.RESOLVED, begin, end, mention))
        pending = scope.pending
        linked = scope.link and pending and min(pending[-1].state, state) >= UNCERTAIN
        if linked and pending[-1].concept != concept:
            if not scope.slash or self.lexicon.alternative(pending[-1].concept, concept):
                self._alternatives([*scope.choices, *scope.alternatives()], mention, scope.earlier)
                scope.choices = []
            elif self.lexicon.sized[concept] and self.lexicon.sized[pending[-1].concept]:
                mention.source = pending[-1]  # "right apical thickening/effusion"
        if mention.source is None:
            if scope.source is None:
                if scope.earlier is not None and self.lexicon.special(concept, scope.earlier.concept):
                    mention.source = scope.earlier  # "right upper lobe opacity, pneumonia"
                scope.source, scope.taken = mention, False
            elif scope.source.state >= UNCERTAIN and self._places(concept, scope.source.concept, scope.taken):
                mention.source = scope.source
        scope.add(mention)

    def _alternatives(self, ones: list[Mention], other: Mention, source: Mention | None) -> None:
        """Several findings of which one is meant; all lie where `source` does if it may be any of them."""
        group = ones[-1].group
        if not group:
            self._groups += 1
            group = self._groups
        for one in (*ones, other):
            one.group = group
            one.state = UNCERTAIN
            if source is not None and one is not source and self.lexicon.special(one.concept, source.concept):
                one.source = one.source or source

    def _meant(self, leaf: lx.Leaf, made: list[Mention], side: int) -> int:
        """What "the tube" is: the device named last that may be called so, else the leaf's own concept.

        -1 where the clause itself has named the device: it is no second one.
        """
        if not side and any(self._called(leaf, m.concept) for m in made[-1:]):
            return -1
        for known in reversed(self._devices):
            if self._called(leaf, known.concept) and not (side and known.side and side != known.side):
                return known.concept
        return leaf.concept

    def _tip(self, events: list[Event], k: int, made: list[Mention]) -> None:
        """ "The tip lies in the stomach" speaks of the device named last, unless the clause names its own."""
        if self._devices and any(e.leaf.place for e in events) and all(self.lexicon.sized[m.concept] for m in made):
            first, last, _ = events[k]
            made.append(Mention(self._devices[-1].concept, first, last, side=self._devices[-1].side))

    def _grades(self, leaf: lx.Leaf) -> bool:
        """Whether the word, which describes an anatomy elsewhere, may be a grade of a finding: "large", "prominent"."""
        return bool(leaf.severity or self.lexicon.prominent in leaf.descriptors)

    def _called(self, leaf: lx.Leaf, concept: int) -> bool:
        return concept in leaf.things or not self.lexicon.concepts[concept].ancestors.keys().isdisjoint(leaf.things)

    # ----- normality and description ----------------------------------------------------------------------------------

    def _settle(self, scope: Scope, k: int, named: list[Named], since: int, settled: list[tuple[int, int]]) -> int:
        """Phrase `k` says that something is normal; returns the word up to which anatomies have their verdict."""
        first, last, _ = scope.events[k]
        begin = bisect_left(named, (since,))
        here, start, end = [a[1:] for a in named[begin : bisect_left(named, (first,))]], first, last + 1
        zone = -1 if here else context.zone_before(scope.events, k)
        if zone >= 0:
            here = [(self.lexicon.lung, context.side_of(scope.events, zone))]
        if here:
            start = context.start_of_subject(scope.events, k if zone < 0 else zone + 1, since)
        else:
            here, end = context.following(scope.events, k)
        behind = context.side_behind(scope.events, k) if self._sided else 0
        speaks = here or ([] if named else self._carry or self.topic)
        self._normal([(anatomy, side or behind) for anatomy, side in speaks], first, last)
        settled.append((start, end))
        return end

    def _normal(self, anatomies: Iterable[Subject], first: int, last: int, partial: bool = False) -> None:
        """What the normality of these anatomies rules out."""
        for anatomy, side in anatomies:
            self.implied.append((self.lexicon.normal[anatomy], first, last, partial, side))

    def _abnormal(self, named: list[Named], begun: int, since: int) -> list[Subject]:
        """What a denied "abnormality" speaks of.

        Not of what "acute" stands for, where bones or the like are meant: "no acute osseous abnormality".
        """
        acute = self.lexicon.acute
        begin, either = bisect_left(named, (begun,)), bisect_left(named, (since,))
        found = [a[1:] for a in named[begin : begin + _SUBJECTS] or named[either : either + _SUBJECTS]]
        others = [a for a in found if a[0] != acute]
        if others and not self._in_chest(others):
            found = others
        return found or self._carry or self.topic

    def _elsewhere(self, events: list[Event], k: int) -> list[Subject]:
        """Of what phrase `k` rules out an abnormality, where that is not the chest as a whole."""
        if len(events[k].leaf.absent) < OVERALL or not context.leads(events, k):
            return []
        found = context.following(events, context.place(events, k))[0]
        return [] if self._in_chest(found) else found

    def _in_chest(self, subjects: list[Subject]) -> bool:
        """Whether the lung or pleura is among these."""
        return any(self.lexicon.thoracic[c] for a, _ in subjects for c in self.lexicon.normal[a])

    def _described(self, leaf: lx.Leaf, at: int, places: list[Place], stops: list[int]) -> tuple[int, int] | None:
        """The concept that this word makes together with the nearest fitting anatomy, and where that stands."""
        pairs = self.lexicon.pairs
        keys = leaf.keys
        middle = bisect_left(places, (at, -1, -1))
        best: tuple[int, int, int] | None = None
        for place, anatomy, owner in places[max(0, middle - _NEAR) : middle + _NEAR]:
            distance = abs(place - at)
            if place > at and bisect_left(stops, place) != bisect_left(stops, at + 1):
                break  # "enlarged, vascularity normal": what follows a comma or verb has its own description
            if distance <= _REACH and (best is None or distance < best[0]):
                concept = next((pairs[anatomy, key] for key in keys if (anatomy, key) in pairs), None)
                if concept is not None and not (
                    owner >= 0 and owner != leaf.concept and self.lexicon.special(owner, concept)
                ):
                    best = (distance, concept, place)  # and no "widening" in "bulky mediastinal adenopathy"
        if best is not None:
            return best[1], best[2]
        if leaf.concept < 0 and not places:
            for (anatomy, _), key in itertools.product(self._carry or self.topic, keys):
                if (anatomy, key) in pairs:
                    return pairs[anatomy, key], at
        return None

    def _names(self, events: list[Event], k: int, concept: int) -> bool:
        """Whether the noun phrase itself names what this descriptor makes: "dense right lower lobe | consolidation"."""
        head = context.next_finding(events, k, _HEADLESS)
        return head == concept or (head >= 0 and self.lexicon.special(head, concept))

    def _adjective(self, mention: Mention, concept: int) -> bool:
        """Whether one finding only says of what kind the other is, which it is a kind of."""
        return (
            mention.state >= UNCERTAIN
            and self.lexicon.thoracic[concept]
            and self.lexicon.special(mention.concept, concept)
        )

    def _places(self, concept: int, source: int, taken: bool) -> bool:
        """Whether one finding lies where the other does: its kin, or anything in the chest that it is taken for."""
        thoracic = self.lexicon.thoracic
        return self.lexicon.related(concept, source) or (taken and thoracic[concept] and thoracic[source])


def _stops(events: list[Event]) -> list[int]:
    """Words across which nothing that follows is described: "enlarged, vascularity normal"."""
    return [
        e.first
        for i, e in enumerate(events)
        if e.leaf.cue & _STOP or (e.leaf.cue & lx.VERB and not context.leads(events, i))
    ]
