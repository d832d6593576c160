"""From a report to its findings: sections, sentences, clauses, mentions, assertion, attributes, merge.

One pass over the words finds every phrase of the lexicon (longest match in a trie); all that follows is work on short
lists of integers. The idea of cues with a direction and a scope is ConText's (Harkema et al., 2009); the cues are ours.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from judges.rules import lexicon as lx
from judges.rules.words import ARTICLES, TOKEN, fold, plain

HYPOTHETICAL, ABSENT, UNCERTAIN, PRESENT = -1, 0, 1, 2
STUDY: Final = "@study"

_COMMA, _COLON, _OR, _QUERY = lx.Leaf(cue=lx.COMMA), lx.Leaf(cue=lx.COLON), lx.Leaf(cue=lx.OR), lx.Leaf(cue=lx.UNC)
_PUNCTUATION: Final = {",": _COMMA, "(": _COMMA, ")": _COMMA, ":": _COLON, "/": _OR, "[": _COMMA, "]": _COMMA}
_ABBREVIATIONS: Final = frozenset(("dr", "vs", "approx", "e", "g", "i", "mr", "mrs", "ms", "st", "fig", "incl"))
_LINKS: Final = frozenset(
    "no of or and with without for in on at to from by than versus not is are was were dr as but probable possible any "
    "left right mild small prior".split()
)
"""Words that end no sentence, so that a capital after them starts none."""
_UNIT: Final = {"mm": 1.0, "cm": 10.0, "millimeter": 1.0, "centimeter": 10.0}
_BREAKS: Final = lx.COMMA | lx.AND | lx.OR
_BOUNDARY: Final = _BREAKS | lx.VERB | lx.PREP | lx.EXIST | lx.TERM | lx.COLON | lx.UNC | lx.UNC_AFTER
_NEAR: Final = 5  # how many anatomies on either side of a word are tried
_REACH: Final = 14  # and how many words away they may be


class Finding(NamedTuple):
    """One positive statement after merging: a concept on one side of the body."""

    concept: int
    side: int
    """0 = not said, else a set of `lexicon.LEFT`, `lexicon.RIGHT`."""
    zone: int
    severity: int
    """Set of bands, bit 0 = trace to bit 3 = large; 0 = not said."""
    place: int
    size: float
    """Largest measurement in millimetres; 0 = none."""
    certain: bool
    contradicted: bool
    """The same text also denies it outright."""
    group: int
    """Findings that are alternatives of one another ("atelectasis or pneumonia") share a number > 0."""
    span: tuple[int, int]


class Denial(NamedTuple):
    """One negative statement: the concept is absent, or (`partial`) only something of its kind ("no new effusion")."""

    partial: bool
    explicit: bool
    """Named, not implied by a normality phrase."""
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Findings:
    """What one report says. The judge's artefact: small, picklable, equal for equal texts."""

    positive: dict[int, dict[int, Finding]]
    """concept -> side -> finding"""
    negative: dict[int, Denial]
    changes: dict[str, tuple[int, tuple[int, int]]]
    """What is compared with an earlier study (concept name, ``@anatomy`` or `STUDY`) -> set of changes, span."""
    empty: bool


@dataclass(slots=True)
class _Mention:
    concept: int
    first: int
    last: int
    state: int = PRESENT
    partial: bool = False
    explicit: bool = True
    side: int = 0
    zone: int = 0
    severity: int = 0
    place: int = 0
    size: float = 0.0
    change: int = 0
    group: int = 0


class _Event(NamedTuple):
    first: int
    last: int
    leaf: lx.Leaf


@dataclass(slots=True)
class _Seen:
    """What the clause under construction holds so far."""

    subject: bool = False
    statement: bool = False
    verb: bool = False
    without: bool = False
    """A denial that follows a subject: "effusion without ...". Its list is short."""


class Reader:
    """Reads reports with one lexicon. Stateless between texts."""

    def __init__(self, lexicon: lx.Lexicon) -> None:
        self.lexicon = lexicon
        lung = lexicon.anatomies.index("lung")
        self._lung = lung
        device = [c.name for c in lexicon.concepts].index("device")
        self._sized = [device not in c.ancestors and i != device for i, c in enumerate(lexicon.concepts)]

    def read(self, text: str) -> Findings:
        """All findings of `text`, with spans into `text` as given. Any string is valid."""
        clean, where = plain(text)
        reading = _Reading(self.lexicon, self._lung, self._sized)
        reading.run(clean)
        return reading.merge(where)


class _Reading:
    def __init__(self, lexicon: lx.Lexicon, lung: int, sized: list[bool]) -> None:
        self.lexicon = lexicon
        self.lung = lung
        self.sized = sized
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.mentions: list[_Mention] = []
        self.changes: list[tuple[str, int, int, int]] = []
        self.groups = 0
        self.carry: list[tuple[int, int]] = []
        self.topic: list[tuple[int, int]] = []
        self.words = 0

    # ----- text -> events -> sentences ------------------------------------------------------------------------------

    def run(self, text: str) -> None:
        words: list[str] = []
        starts, ends = self.starts, self.ends
        length = len(text)
        low = False  # was the last word lower case and able to end a sentence?
        for match in TOKEN.finditer(text):
            token = match.group()
            start, end = match.span()
            if token == "-" and start and end < length and not (text[start - 1].isspace() or text[end].isspace()):
                continue
            if token[0] == "\n":
                # a wrapped line goes on; a list item, a heading or a blank line does not
                if token.count("\n") == 1 and end < length and text[end].islower():
                    continue
                word = "\n"
            else:
                word = fold(token)
                if token[0].isupper() and low and len(token) > 1 and token[1:].islower():
                    words.append(".")  # "... normal limits The lungs ...": a sentence without its full stop
                    starts.append(start)
                    ends.append(start)
                low = token.islower() and word not in _LINKS
                if word in ARTICLES:
                    continue
            words.append(word)
            starts.append(start)
            ends.append(end)
        self.words = sum(w[0].isalnum() for w in words)

        trie = self.lexicon.trie
        events: list[_Event] = []
        count = len(words)
        fresh = True  # at the start of a sentence
        skipping = False
        held: tuple[int, int] | None = None  # where mentions and changes stood when the skipped section began
        i = 0
        while i < count:
            word = words[i]
            node = trie.get(word)
            leaf: lx.Leaf | None = None
            last = i
            if node is not None:
                j = i + 1
                leaf = node.get(None)
                while j < count:
                    node = node.get(words[j])
                    if node is None:
                        break
                    j += 1
                    found = node.get(None)
                    if found is not None:
                        leaf, last = found, j - 1
            if leaf is not None:
                if fresh and leaf.cue & (lx.BODY | lx.SKIP) and last + 1 < count and words[last + 1] == ":":
                    self._sentence(events)
                    events = []
                    if held is not None:
                        del self.mentions[held[0] :], self.changes[held[1] :]
                        held = None
                    skipping = bool(leaf.cue & lx.SKIP)
                    self.topic = []
                    i = last + 2
                    continue
                events.append(_Event(i, last, leaf))
                fresh = False
                i = last + 1
                continue
            char = word[0]
            if char.isalpha():
                fresh = False
            elif char.isdigit():
                unit = _UNIT.get(words[i + 1]) if i + 1 < count else None
                if unit is None and i + 3 < count and words[i + 1] in "x×":
                    unit = _UNIT.get(words[i + 3])  # "2.3 x 1.8 cm"
                if unit is not None and len(word) < 7:
                    whole = words[i - 2] if i > 1 and words[i - 1] == "." and words[i - 2].isdigit() else ""
                    number = float(f"{whole[-4:]}.{word}" if whole and word.isdigit() else word)
                    events.append(_Event(i, i + 1, lx.Leaf(size=number * unit)))
            elif char in ".;\n?!*•":
                if char == "." and 0 < i < count - 1 and words[i - 1] in _ABBREVIATIONS and words[i + 1] != "\n":
                    pass
                elif char == "." and 0 < i < count - 2 and words[i - 1].isdigit() and words[i + 2] in _UNIT:
                    pass  # "1 . 5 cm": a decimal in tokenised text
                elif char == "?" and i + 1 < count and text[starts[i + 1]].islower():
                    events.append(_Event(i, i, _QUERY))
                else:
                    if skipping and held is None:
                        if events or not fresh:  # the section's first sentence is dropped in any case
                            events = []
                            held = (len(self.mentions), len(self.changes))
                    else:
                        self._sentence(events)
                        events = []
                    if char == "\n":
                        self.topic = []
                    fresh = True
            elif char in _PUNCTUATION:
                events.append(_Event(i, i, _PUNCTUATION[char]))
            elif char in "-–—" and events:
                events.append(_Event(i, i, _COMMA))
            i += 1
        if not (skipping and held is None):
            self._sentence(events)

    def _sentence(self, events: list[_Event]) -> None:
        """Split into clauses where a new statement begins, and read each."""
        self.carry = []
        clause: list[_Event] = []
        seen = _Seen()
        for k, event in enumerate(events):
            leaf = event.leaf
            cue = leaf.cue
            if clause and cue & (lx.EXIST | lx.COMMA | lx.AND) and self._starts_clause(events, k, seen):
                self._clause(clause)
                clause, seen = [], _Seen()
                if not cue & lx.EXIST:
                    continue
            clause.append(event)
            if leaf.concept >= 0 or leaf.descriptors or leaf.absent or cue & lx.NORMAL:
                seen.subject = seen.statement = True
            elif leaf.anatomy >= 0:
                seen.subject = True
            if cue & lx.NEG:
                seen.verb = False
                seen.without = seen.subject
                seen.statement = True
            elif cue & lx.VERB and seen.subject:
                seen.verb = True
        if clause:
            self._clause(clause)

    @staticmethod
    def _starts_clause(events: list[_Event], k: int, seen: _Seen) -> bool:
        """Whether the words after this comma, "and" or "there is" are a statement of their own: [subject] verb ..."""
        cue = events[k].leaf.cue
        if cue & lx.EXIST:
            return seen.subject
        comma = bool(cue & lx.COMMA)
        finding = anatomy = False
        for event in events[k + 1 : k + 12]:
            leaf = event.leaf
            cue = leaf.cue
            if cue & lx.EXIST:
                return seen.subject
            if cue & lx.NEG and not (finding or anatomy):
                return seen.verb or seen.without
            if cue & (_BREAKS | lx.TERM):
                return False
            if cue & lx.VERB and (finding or anatomy):
                if anatomy and not finding:
                    return seen.statement
                return seen.verb or (seen.without and comma)
            if leaf.concept >= 0:
                finding = True
            elif leaf.anatomy >= 0:
                anatomy = True
        return False

    # ----- one clause -----------------------------------------------------------------------------------------------

    def _clause(self, events: list[_Event]) -> None:
        lexicon, pairs = self.lexicon, self.lexicon.pairs
        anats = [
            (e.first, e.leaf.anatomy if e.leaf.anatomy >= 0 else self.lung)
            for e in events
            if e.leaf.anatomy >= 0 or e.leaf.zone
        ]
        stops = [e.first for e in events if e.leaf.cue & (lx.COMMA | lx.VERB | lx.TERM)]
        positions = [p for p, _ in anats]
        named = [(e.first, e.leaf.anatomy) for e in events if e.leaf.anatomy >= 0]

        def described(leaf: lx.Leaf, at: int) -> tuple[int, int] | None:
            """The concept that this word makes together with an anatomy of its clause, and that anatomy's position."""
            keys = [-1 - d for d in leaf.descriptors]
            if leaf.concept >= 0:
                keys.append(leaf.concept)
            middle = bisect_left(positions, at)
            best: tuple[int, int, int] | None = None
            for place, anatomy in anats[max(0, middle - _NEAR) : middle + _NEAR]:
                distance = abs(place - at)
                if place > at and bisect_left(stops, place) != bisect_left(stops, at):
                    break  # "enlarged, vascularity normal": what follows a comma or verb has its own description
                if distance <= _REACH and (best is None or distance < best[0]):
                    for key in keys:
                        concept = pairs.get((anatomy, key))
                        if concept is not None:
                            best = (distance, concept, place)
                            break
            if best is None and leaf.concept < 0 and not anats:
                for _, anatomy in self.carry or self.topic:
                    for key in keys:
                        concept = pairs.get((anatomy, key))
                        if concept is not None:
                            return concept, at
            return None if best is None else (best[1], best[2])

        neg = unc = hyp = partial = False
        made: list[_Mention] = []
        pending: list[_Mention] = []
        attributes: list[tuple[int, bool]] = []  # event index, negated there
        loose: list[int] = []  # descriptors that have found nothing to describe yet
        bare = False  # a denial that has met nothing yet: "no new ..."
        link = False
        since = 0  # anatomies before this position already have their verdict
        for k, (first, last, leaf) in enumerate(events):
            cue = leaf.cue
            if cue:
                if cue & (lx.TERM | lx.EXIST):
                    neg = unc = hyp = partial = False
                    pending = []
                if cue & lx.NEG_AFTER and (pending or not cue & lx.NEG):
                    for mention in pending:
                        if mention.state != HYPOTHETICAL:
                            mention.state = ABSENT
                    pending = []
                    neg = False
                elif cue & lx.NEG:
                    neg, bare, unc, partial = True, True, False, False
                if cue & lx.UNC_AFTER and (pending or not cue & lx.UNC):
                    for mention in pending:
                        if mention.state in (PRESENT, ABSENT):
                            mention.state = UNCERTAIN
                    pending = []
                elif cue & lx.UNC:
                    unc, neg = True, False
                elif cue & lx.UNC_SOFT and not neg:
                    unc = True
                if cue & lx.HYP:
                    hyp = True
                if cue & lx.PARTIAL and neg:
                    partial = True
                if cue & lx.OR and made and not neg:
                    link = True
                elif cue & (lx.COMMA | lx.AND):
                    link = False
                if cue & lx.NORMAL and not neg and not hyp and not unc:
                    here = [a for p, a in named if since <= p < first]
                    if not here:
                        here = self._following(events, k)
                    if not here and not named:
                        here = [a for _, a in self.carry or self.topic]
                    since = last + 1
                    for anatomy in here:
                        for concept in lexicon.normal[anatomy]:
                            made.append(_Mention(concept, first, last, ABSENT, explicit=False))
            if leaf.absent and not hyp:
                for concept in leaf.absent:
                    made.append(_Mention(concept, first, last, ABSENT, explicit=False))
            state = HYPOTHETICAL if hyp else ABSENT if neg else UNCERTAIN if unc else PRESENT
            concept = leaf.concept
            begin = first
            used = concept >= 0
            if leaf.descriptors or concept >= 0:
                pair = described(leaf, first)
                if pair is not None:
                    concept, place = pair
                    used = True
                    if not leaf.concept >= 0:
                        begin, last = min(first, place), max(last, place)
                elif concept < 0 and neg and not hyp and lexicon.abnormality in leaf.descriptors:
                    around = [a for p, a in named if since <= p] or [a for _, a in self.carry or self.topic]
                    for anatomy in around:
                        for absent in lexicon.normal[anatomy]:
                            made.append(_Mention(absent, first, last, ABSENT, partial, explicit=False))
                elif concept < 0 and leaf.descriptors:
                    loose += leaf.descriptors
                    for descriptor in leaf.descriptors:  # "the granuloma is calcified"
                        refined = pairs.get((-1 - made[-1].concept, -1 - descriptor)) if made else None
                        if refined is not None:
                            made[-1].concept = refined
            if used:
                bare = False
                while loose:  # "calcified left lower lobe granuloma"
                    concept = pairs.get((-1 - concept, -1 - loose.pop()), concept)
                mention = _Mention(
                    concept, begin, last, state, partial and state == ABSENT, side=leaf.side, zone=leaf.zone
                )
                previous = pending[-1] if pending else None
                if (
                    link
                    and previous is not None
                    and previous.state in (PRESENT, UNCERTAIN)
                    and state in (PRESENT, UNCERTAIN)
                ):
                    if not previous.group:
                        self.groups += 1
                        previous.group = self.groups
                    mention.group = previous.group
                    previous.state = mention.state = UNCERTAIN
                link = False
                made.append(mention)
                pending.append(mention)
                since = last + 1
            elif leaf.side or leaf.zone or leaf.severity or leaf.change or leaf.place or leaf.size:
                attributes.append((k, bare and not cue & lx.NEG))
            if leaf.anatomy >= 0:
                bare = False
        if named:
            self.carry = named
        if any(e.leaf.cue & lx.COLON for e in events[1:3]) and named:
            self.topic = named[:1]
        if attributes:
            self._bind(events, attributes, [m for m in made if m.explicit], named)
        for one, other in itertools.pairwise(m for m in made if m.group):
            if one.group == other.group:  # "atelectasis or pneumonia at the left base": the place is that of both
                one.side, other.side = one.side or other.side, other.side or one.side
                one.zone, other.zone = one.zone or other.zone, other.zone or one.zone
        self.mentions += made

    def _following(self, events: list[_Event], k: int) -> list[int]:
        """Anatomies that a leading "normal" speaks of: "normal heart size and mediastinal contours"."""
        found: list[int] = []
        for event in events[k + 1 : k + 12]:
            leaf = event.leaf
            if leaf.anatomy >= 0 and leaf.concept < 0:
                found.append(leaf.anatomy)
            elif (
                leaf.concept >= 0 or leaf.descriptors or leaf.cue & (lx.VERB | lx.NORMAL | lx.NEG | lx.TERM | lx.EXIST)
            ):
                break
        return found

    def _bind(
        self,
        events: list[_Event],
        attributes: list[tuple[int, bool]],
        mentions: list[_Mention],
        named: list[tuple[int, int]],
    ) -> None:
        """Give every side, zone, severity, size, tip position and change to the finding it speaks of."""
        mentions.sort(key=lambda m: m.first)
        firsts = [m.first for m in mentions]
        n = len(events)
        boundary = [0] * n  # word position of the next break at or after each event
        stop = 1 << 60
        for k in range(n - 1, -1, -1):
            boundary[k] = stop
            if events[k].leaf.cue & _BOUNDARY:
                stop = events[k].first
        for k, negated in attributes:
            first, last, leaf = events[k]
            if leaf.severity and k + 1 < n and events[k + 1].leaf.change and events[k + 1].first == last + 1:
                continue  # "mild increase": the amount of the change, not of the finding
            at = bisect_left(firsts, first)
            target: _Mention | None = None
            if at and mentions[at - 1].last >= first:
                target = mentions[at - 1]
            elif at < len(mentions) and (at == 0 or mentions[at].first < boundary[k]):
                target = mentions[at]
            elif at:
                target = mentions[at - 1]
            if leaf.change:
                self._change(leaf.change, target, negated, first, last, named)
            if target is None:
                continue
            target.side |= leaf.side
            target.zone |= leaf.zone
            target.severity |= leaf.severity
            target.place |= leaf.place
            target.size = max(target.size, leaf.size)

    def _change(
        self, change: int, target: _Mention | None, negated: bool, first: int, last: int, named: list[tuple[int, int]]
    ) -> None:
        if change & lx.COMPARED:
            self.changes.append((STUDY, lx.COMPARED, first, last))
            return
        if negated and not change & lx.RESOLVED:
            return
        if target is not None:
            if target.state == HYPOTHETICAL or (target.state == ABSENT and not change & lx.RESOLVED):
                return
            if change & lx.RESOLVED:
                target.state = ABSENT
            name = self.lexicon.concepts[target.concept].name
        elif named:
            name = "@" + self.lexicon.anatomies[min(named, key=lambda p: abs(p[0] - first))[1]]
        else:
            name = STUDY
        self.changes.append((name, change, first, last))

    # ----- merge ----------------------------------------------------------------------------------------------------

    def _span(self, first: int, last: int, where: list[int] | None) -> tuple[int, int]:
        start, end = self.starts[first], self.ends[last]
        return (start, end) if where is None else (where[start], where[end - 1] + 1)

    def merge(self, where: list[int] | None) -> Findings:
        """One finding per concept and side, one denial per concept; independent of the order of sentences."""
        concepts = self.lexicon.concepts
        by_concept: dict[int, list[_Mention]] = {}
        denied: dict[int, list[_Mention]] = {}
        for mention in self.mentions:
            if mention.state >= UNCERTAIN:
                by_concept.setdefault(mention.concept, []).append(mention)
            elif mention.state == ABSENT:
                denied.setdefault(mention.concept, []).append(mention)
        positive: dict[int, dict[int, Finding]] = {}
        for concept in sorted(by_concept):
            found = by_concept[concept]
            sides: dict[int, list[_Mention]] = {}
            for mention in found:
                sides.setdefault(mention.side if concepts[concept].sided else 0, []).append(mention)
            for vague in (lx.BOTH, 0):  # "bilateral, left greater than right"; "effusion" after "left effusion"
                if vague in sides and len(sides) > 1:
                    general = sides.pop(vague)
                    targets = (
                        (lx.LEFT, lx.RIGHT)
                        if vague == lx.BOTH and (lx.LEFT in sides or lx.RIGHT in sides)
                        else tuple(sides)
                    )
                    for side in targets:
                        sides.setdefault(side, []).extend(general)
            outright = [
                m for m in denied.get(concept, ()) if m.explicit and not m.partial and not m.severity and not m.change
            ]
            positive[concept] = {
                side: self._finding(concept, side, sides[side], outright, where) for side in sorted(sides)
            }
        negative: dict[int, Denial] = {}
        for concept in sorted(denied):
            if concept in positive:
                continue
            every = denied[concept]
            full = [m for m in every if not (m.partial or m.severity)]
            first = min(full or every, key=lambda m: (not m.explicit, m.first))
            negative[concept] = Denial(not full, first.explicit, self._span(first.first, first.last, where))
        for concept in positive:
            opposite = concepts[concept].opposite
            if opposite is not None and opposite not in positive and opposite not in negative:
                span = next(iter(positive[concept].values())).span
                negative[opposite] = Denial(False, False, span)
        changes: dict[str, tuple[int, tuple[int, int]]] = {}
        for name, change, start, end in self.changes:
            if name[0] == "@" and name != STUDY:  # "cardiomegaly; heart size is stable" speaks of the cardiomegaly
                normal = self.lexicon.normal[self.lexicon.anatomies.index(name[1:])]
                name = next((concepts[c].name for c in normal if c in positive), name)
            known = changes.get(name)
            span = self._span(start, end, where) if known is None else known[1]
            changes[name] = (change | (known[0] if known else 0), span)
        return Findings(positive, negative, changes, empty=self.words == 0)

    def _finding(
        self, concept: int, side: int, mentions: Iterable[_Mention], denied: list[_Mention], where: list[int] | None
    ) -> Finding:
        zone = severity = place = 0
        size = 0.0
        certain = False
        groups: set[int] = set()
        first: _Mention | None = None
        for mention in mentions:
            zone |= mention.zone
            severity |= mention.severity
            place |= mention.place
            if self.sized[concept]:
                size = max(size, mention.size)
            certain = certain or mention.state == PRESENT
            groups.add(mention.group)
            if first is None or mention.first < first.first:
                first = mention
        assert first is not None
        return Finding(
            concept=concept,
            side=side,
            zone=zone,
            severity=severity,
            place=place,
            size=size,
            certain=certain,
            contradicted=any(not (m.side and side and not m.side & side) for m in denied),
            group=0 if 0 in groups or certain else min(groups),
            span=self._span(first.first, first.last, where),
        )
