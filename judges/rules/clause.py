"""One clause, read in three steps: what it names, which cues act on that, and what it says of each finding.

`naming` is the first step, `scope` (with `normality`) the second, `attributes` the third. Nothing outlives the clause
but what is in `Context`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

from judges.rules import around, constructions
from judges.rules import lexicon as lx
from judges.rules.attributes import Binder
from judges.rules.context import Context
from judges.rules.findings import ABSENT, HYPOTHETICAL, UNCERTAIN, Change, Event, Implied, Mention
from judges.rules.links import BREAKS, HEARD, HEARD_RARE, Opened
from judges.rules.naming import NOTHING, PART, VEIN, Name, Namer, Survey, survey
from judges.rules.normality import Normality
from judges.rules.provisos import Here, suspended
from judges.rules.retractions import Known, Retractions
from judges.rules.scope import Scope
from judges.rules.trace import Trace
from judges.rules.unclear import Unclear, elapsed

_SPARED: Final = lx.COMMA | lx.TERM | lx.EXIST | lx.WITH | lx.VERB | lx.PREP
_LARGE: Final = 0b1000
""" "Large effusion not seen" may leave a smaller one; "small effusion not seen" leaves none."""
_SMALL: Final = 0b0011
_CHANGES: Final = 8  # last changes among which those of the finding before are looked for
_IN_DENIALS: Final = frozenset(("either", "even"))
""" Words of doubt that in a denial are none."""
_NO_PLACE: Final = lx.NORMAL | lx.NEG | lx.NEG_AFTER | lx.UNC | lx.WITH
Silent = tuple[int, int, list[Event]]
"""A sentence that says nothing of a finding: its first word, the word before which it ends, and its phrases."""
_NO_NAMES: Final[dict[int, Name]] = {}


class Clauses:
    """Reads the clauses of one text in order; collects mentions and changes."""

    def __init__(self, lexicon: lx.Lexicon, words: Sequence[str], trace: Trace | None = None) -> None:
        """`words`: those of the text, which clauses and mentions count."""
        self.lexicon = lexicon
        self.words = words
        self.quotes = '"' in words
        """The text quotes something."""
        self.foreign = not lexicon.foreign.isdisjoint(words)
        """It has words that no report uses of what it shows."""
        self.first = 0
        """The word with which the present sentence begins."""
        self.trace = trace
        self.context = Context()
        self.mentions: list[Mention] = []
        self.implied: list[Implied] = []
        """What normality rules out."""
        self.changes: list[Change] = []
        self.silent: list[Silent] = []
        self.retractions = Retractions(self)

    def known(self) -> Known:
        """How much has been read, for `forget`."""
        return len(self.mentions), len(self.implied), len(self.changes), len(self.silent)

    def release(self) -> None:
        """The text has been read. What refers back to this is let go, so that all is freed without the collector."""
        del self.retractions

    def forget(self, known: Known) -> None:
        """What was read since then does not count."""
        del self.mentions[known[0] :], self.implied[known[1] :], self.changes[known[2] :], self.silent[known[3] :]
        self.context.forget()

    def heard(self) -> Iterator[int]:
        """The words at which something was read that counts."""
        yield from (mention.first for mention in self.mentions)
        yield from (implied[1] for implied in self.implied)
        yield from (change.first for change in self.changes)

    def read(self, events: list[Event], stop: int) -> None:
        """All mentions of the clause, asserted, denied, possible or hypothetical, with their attributes.

        `stop` is the word before which the clause ends.
        """
        context = self.context
        if self.trace is not None:
            self.trace.clause(events)
        resumed = False
        if context.last is None and not context.named and events[0].leaf.rare & lx.ANAPHOR:
            self._resume(events)
            resumed = _only_places(self.lexicon, events[1:])
        seen = survey(self.lexicon, events, context)
        last = context.last
        last_read = self.mentions[-1] if self.mentions else None
        # "It involves the lower lobe of the right lung" has no other subject.
        continues = last is not None and (resumed or not seen.subject)
        link = _Link(self, events, seen, continues)
        if continues and last is not None:
            if not (context.sided and any(e.leaf.side for e in events)):
                link.scope.pending.mentions = [last]
            elif any(e.leaf.cue & lx.NEG_AFTER for e in events):
                return  # "effusion on the left; none on the right"
        attributes = link.run(stop)
        if link.scope.made and constructions.same_again(events, self.words):
            self._again(last_read, link.scope.made, attributed=bool(attributes))
        if seen.anatomies:
            context.add_anatomies([a[1:] for a in seen.anatomies], heading=seen.heading)
        made = link.scope.made
        # a side may be part of a name: "elevated right diaphragm"
        if attributes or (context.sided and len(made) > 1):
            if len(made) > 1:
                made.sort(key=lambda m: m.first)
            subjects = [last] if continues and last is not None else made
            self.changes += Binder(self.lexicon, events, subjects, stop, self.trace).bind(attributes, seen.places)
        self._share(made)
        self.mentions += made
        if not continues:
            context.begin_subject(made[-1] if made else None)

    def _again(self, before: Mention | None, made: list[Mention], *, attributed: bool) -> None:
        """What was said of the finding before holds of these: "Free gas is absent, as is | effusion"."""
        self.context.outside = True  # whether or not something stands before it
        if before is None:
            return
        said = [change.change for change in self.changes[-_CHANGES:] if change.mention is before]
        for mention in made:
            mention.state, mention.gone = before.state, before.gone
            if self.trace is not None:
                here = Event(mention.first, mention.last, lx.Leaf())
                self.trace.note(mention, "state", mention.state, here, "as said before")
            name = self.lexicon.concepts[mention.concept].name
            if not attributed:
                self.changes += [Change(name, change, mention.first, mention.last, mention) for change in said]

    def _resume(self, events: list[Event]) -> None:
        """ "It is small": the finding that the sentence before named last is the subject of this one.

        Not where it has another side or grade already: who says both would be half right by either.
        """
        before = self.context.said_before()
        if before is None or before.state == ABSENT:
            return
        if self.words[events[0].first] in ("they", "their"):
            last, begun = self.retractions.last[0], self.retractions.begun[0]
            named = self.mentions[last:begun]
            if sum(m.state != ABSENT and not any(m.source is one for one in named) for m in named) > 1:
                return  # it speaks of all of them
        for _, _, leaf in events:
            other_side = before.side and leaf.side and not leaf.side & before.side
            if other_side or (before.severity and leaf.severity and leaf.severity != before.severity):
                return
            if leaf.size and before.size:
                return
        source = before.source
        self.context.last = (
            before if source is None or source.state == ABSENT else source
        )  # "nodules, likely metastases"

    def _share(self, made: list[Mention]) -> None:
        """What a finding is taken for lies where the finding lies, and alternatives share their place."""
        grouped = 0
        sized = self.lexicon.sized
        for mention in made:
            ends = mention.state == ABSENT and mention.severity & _LARGE and mention.severity & _SMALL
            if (mention.gone and mention.severity < _LARGE) or ends:
                mention.severity = 0  # "no effusion, large or small"
            source = mention.source
            if source is not None and not (mention.side or mention.zone):
                mention.side, mention.zone, mention.paired = source.side, source.zone, source.paired
                if self.trace is not None:
                    self.trace.shared(mention, source, "taken_for")
            grouped |= mention.group
            if mention.state >= UNCERTAIN and not sized[mention.concept]:
                self.context.add_device(mention)
        if grouped:
            for one, other in itertools.pairwise(m for m in made if m.group):
                if one.group == other.group:  # "atelectasis or pneumonia at the left base": the place is that of both
                    one.side, other.side = one.side or other.side, other.side or one.side
                    one.zone, other.zone = one.zone or other.zone, other.zone or one.zone
                    one.paired = other.paired = one.paired or other.paired
                    if self.trace is not None:
                        self.trace.shared(one, other, "alternatives")


def _only_places(lexicon: lx.Lexicon, events: list[Event]) -> bool:
    """Whether phrases say no more than where something is: "it involves | the lower lobe | of the right lung"."""
    placed = False
    for _, _, leaf in events:
        elsewhere = leaf.anatomy not in (-1, lexicon.lung) and not leaf.details
        if elsewhere or leaf.concept >= 0 or leaf.descriptors or leaf.things or leaf.place or leaf.cue & _NO_PLACE:
            return False
        placed = placed or bool(leaf.zone or leaf.side or leaf.anatomy >= 0)
    return placed


class _Link:
    """The second step: goes through a clause, hands cues and findings to the scope, and gathers attributes."""

    __slots__ = ("at", "attributes", "clauses", "events", "named", "names", "normality", "reserve", "scope",
                 "since", "spared")  # fmt: skip

    def __init__(self, clauses: Clauses, events: list[Event], seen: Survey, continues: bool) -> None:
        lexicon, context = clauses.lexicon, clauses.context
        self.clauses, self.events = clauses, events
        self.names = Namer(lexicon, context, events, seen.places, clauses.words).name() if seen.asks else _NO_NAMES
        self.scope = Scope(lexicon, context, events, clauses.words, continues, clauses.trace, lexicon.sized)
        self.named = seen.anatomies
        self.normality: Normality | None = None
        self.since = 0  # anatomies before this word already have their verdict
        self.attributes: list[tuple[int, bool]] = []  # event, and whether it is directly denied ("no new ...")
        self.spared = False  # what follows is where the finding is not
        self.reserve = -1  # the event that speaks against what is said, in words that no other row knows
        self.at = 0  # the event that the last mention was made of

    def run(self, stop: int) -> list[tuple[int, bool]]:
        """The attributes of the clause, for the third step. The findings are those of the scope."""
        scope, names = self.scope, self.names
        asks, attribute, named = lx.ASKS, lx.ATTRIBUTE, lx.NAMED
        for k, (_, _, leaf) in enumerate(self.events):
            if leaf.cue or leaf.rare:
                if leaf.rare & lx.MOVED and constructions.moved(self.events, k):
                    continue
                self._cue(k, leaf)
            kind = leaf.kind
            if not kind:
                continue
            concept = self._resolved(k, leaf) if kind & asks or k in names else leaf.concept
            if concept == PART or (concept >= 0 and self._mention(k, leaf, concept)):
                continue
            if kind & attribute and concept < 0:
                self._attribute(k, leaf)
            if kind & named:
                scope.bare = False
        scope.close(stop)
        clauses = self.clauses
        unclear = Unclear(clauses.lexicon, self.events, scope.made, clauses.words, stop, foreign=clauses.foreign)
        for mention, k, state in unclear.read():
            scope.restate([mention], state, k, "unclear")
        self._looks(stop)
        if self.reserve >= 0:
            self._reserved(self.reserve, [m for m in scope.made if m.state >= UNCERTAIN], stop)
        if scope.tip >= 0:
            self._tip(scope.tip)
        if self.normality is None:
            return self.attributes
        self.clauses.implied += self.normality.implied
        return self._unsettled(self.normality)

    def _looks(self, stop: int) -> None:
        """What the clause only takes for a finding has the cause that it names: "the impression of effusion"."""
        for mention in self.scope.made:
            if mention.state == UNCERTAIN and constructions.only_looks(
                self.clauses.words, self.events[0].first, mention.first, mention.last, stop
            ):
                self.scope.restate([mention], ABSENT, self.at, "only looks so")

    def _reserved(self, k: int, asserted: list[Mention], stop: int) -> None:
        """Phrase `k` speaks against what the clause says, or puts it before today."""
        lexicon, acts = self.clauses.lexicon, self.events[k].leaf.acts
        if "reserve" in acts:
            self.scope.restate(asserted, HYPOTHETICAL, k, acts["reserve"])
        elif elapsed(lexicon, self.events, self.clauses.words, stop):
            self.scope.restate([m for m in asserted if lexicon.sized[m.concept]], HYPOTHETICAL, k, acts["elapsed"])

    def _unsettled(self, normality: Normality) -> list[tuple[int, bool]]:
        """The attributes that do more than to say where it is normal: "the left lung is clear, right effusion"."""
        if not normality.settled:
            return self.attributes
        return [(k, denied) for k, denied in self.attributes if self._speaks(k, normality)]

    def _speaks(self, k: int, normality: Normality) -> bool:
        """Whether this attribute does more than to say where it is normal."""
        first, _, leaf = self.events[k]
        return bool(leaf.change or leaf.place) or not normality.within(first)

    def _parted(self, k: int, cue: int) -> None:
        """A colon or comma may end what has met nothing, or what has its answer behind it."""
        scope, lexicon, words = self.scope, self.clauses.lexicon, self.clauses.words
        denial, supposed = scope.denial, scope.supposition
        if (
            denial is not None
            and not denial.met
            and constructions.ends_unmet(self.events, k, denial.event, words, lexicon.sized)
        ):
            scope.denial = None
        if cue & lx.COLON and self.normality is not None:
            scope.end_pending()  # "apart from cardiomegaly the film is normal: effusion and pneumothorax are absent"
        names = any(event.leaf.concept >= 0 for event in self.events[k + 1 :])
        if cue & lx.COLON and supposed is not None and supposed.met and names:
            scope.supposition = None  # "film to exclude pneumothorax: no pneumothorax"
        elif cue & lx.COMMA and supposed is not None and constructions.in_particular(self.events, k):
            scope.supposition = None  # "nothing to explain the symptoms, in particular no effusion"

    def _normal(self) -> Normality:
        if self.normality is None:
            self.normality = Normality(self.clauses.lexicon, self.clauses.context, self.events, self.named)
        return self.normality

    def _cue(self, k: int, leaf: lx.Leaf) -> None:
        cue, rare, scope = leaf.cue, leaf.rare, self.scope
        if cue & lx.UNC and k and k == len(self.events) - 1 and self.clauses.words[self.events[k].first] == "either":
            return  # "no pneumothorax either"
        if cue & lx.UNC and scope.denial is not None and self.clauses.words[self.events[k].first] in _IN_DENIALS:
            return  # "no sign of either effusion or edema"
        if leaf.acts and suspended(
            Here(self.clauses.lexicon, self.clauses.words, self.events, k, scope.denial, scope.supposition)
        ):
            return
        if rare & (lx.RESERVE | lx.ELAPSED) and (self.reserve < 0 or rare & lx.RESERVE):
            self.reserve = k
        if cue & (lx.COLON | lx.COMMA):
            self._parted(k, cue)
        if cue & BREAKS:
            scope.choice.broken, scope.choice.whole = True, bool(cue & lx.COLON and scope.made)
        if cue & HEARD or rare & HEARD_RARE:
            if cue & lx.NEG and not scope.made:
                scope.where = around.side_of_subject(self.events, k) if scope.context.sided else 0
            scope.hear(k, leaf)
        if cue & _SPARED or rare & lx.SPARING:
            self.spared = bool(rare & lx.SPARING)
            if cue & lx.VERB:
                scope.choice.listing, scope.pending.said = False, scope.pending.said or bool(scope.made)
        if cue & lx.NORMAL and scope.supposition is scope.doubt is None and self._free_of_denial():
            self.since = self._normal().settle(k, self.since)

    def _free_of_denial(self) -> bool:
        """Whether no denial is open, or one whose list this stands in: "no effusion, heart | normal"."""
        scope = self.scope
        return scope.denial is None or bool(scope.denial.met and scope.separator & (lx.COMMA | lx.AND))

    def _resolved(self, k: int, leaf: lx.Leaf) -> int:
        """What a phrase names that may mean several things: a concept, `NOTHING`, or `PART` where no more is to do."""
        scope, name = self.scope, self.names.get(k)
        concept = leaf.concept if name is None else name[0]
        if concept == PART:
            return PART
        if concept == VEIN:
            self._vein(k)
            return PART
        if leaf.place and not scope.made and leaf.place & self.clauses.lexicon.astray:
            scope.tip = k  # "It should be withdrawn"
        elif leaf.things and leaf.things[0] == scope.lexicon.device:
            scope.tip = k
        if leaf.absent and scope.supposition is None:
            self._normal().rule_out(k)
        if leaf.descriptors and scope.denial is not None and self._abnormality(k, leaf, scope.denial):
            return NOTHING
        return concept

    def _vein(self, k: int) -> None:
        """A vein that is the place of a device; a word for its side is no side of the device."""
        if self.attributes and self.attributes[-1][0] == k - 1 and self.events[k - 1].leaf.side:
            self.attributes.pop()
        self.attributes.append((k, False))

    def _abnormality(self, k: int, leaf: lx.Leaf, denial: Opened) -> bool:
        """Whether phrase `k` is a denied "abnormality", which says what is normal and names no finding."""
        if leaf.concept >= 0 or self.scope.supposition is not None:
            return False
        if self.clauses.lexicon.abnormality not in leaf.descriptors:
            return False
        begun = self.events[denial.event].first
        return self._normal().deny_abnormality(k, begun, self.since, partial=denial.partial is not None)

    def _mention(self, k: int, leaf: lx.Leaf, concept: int) -> bool:
        """A finding is named; whether it only says of what kind the one before is."""
        scope, (begin, end, _) = self.scope, self.events[k]
        made = scope.made
        touches = made and self.events[k - 1].last + 1 == begin
        if touches and self._adjective(made[-1], concept) and around.joined(self.events, self.at, k):
            made[-1].last, self.at = end, k  # "reticulonodular | lung opacities"
            made[-1].side, made[-1].zone = made[-1].side | leaf.side, made[-1].zone | leaf.zone
            made[-1].details |= leaf.details & self.clauses.lexicon.detailed[made[-1].concept]
            return True
        if scope.denial is None and k in self.names and self.names[k][1] >= 0:
            place = self.names[k][1]  # and not in "pleural effusion drained, no residual fluid"
            begin, end = min(begin, place), max(end, place)
        self.at, self.spared, self.since = k, False, end + 1
        mention = scope.name(k, concept, begin, end)
        if leaf.cue & lx.NEG_AFTER and scope.supposition is None:  # "extubated"
            name = self.clauses.lexicon.concepts[concept].name
            self.clauses.changes.append(Change(name, lx.RESOLVED, begin, end, mention))
            if self.clauses.trace is not None:
                self.clauses.trace.note(
                    mention, "change", lx.RESOLVED, self.events[k], leaf.acts.get("absent backward")
                )
        return False

    def _adjective(self, mention: Mention, concept: int) -> bool:
        """Whether one finding only says of what kind the other is, which it is a kind of."""
        lexicon = self.clauses.lexicon
        return mention.state >= UNCERTAIN and lexicon.thoracic[concept] and lexicon.special(mention.concept, concept)

    def _attribute(self, k: int, leaf: lx.Leaf) -> None:
        scope = self.scope
        if (scope.supposition is not None) if leaf.change else self.spared:
            return
        if leaf.side == lx.BOTH and constructions.of_two(self.events, k):
            return
        if leaf.change and leaf.rare & lx.PAST and around.next_finding(self.events, k, lx.UNC | lx.AND) >= 0:
            return  # "scarring from prior | infection" compares nothing
        if leaf.change & lx.RESOLVED and constructions.advised(self.events, k):
            return
        if leaf.severity and constructions.denied_grade(self.events, k):
            return
        self.attributes.append((k, scope.bare and not leaf.cue & lx.NEG))
        scope.attribute(k, leaf)

    def _tip(self, k: int) -> None:
        """ "The tip lies in the stomach" speaks of the device named last, unless the clause names its own."""
        device, sized, made = self.clauses.context.device(), self.clauses.lexicon.sized, self.scope.made
        if device is not None and any(e.leaf.place for e in self.events) and all(sized[m.concept] for m in made):
            mention = Mention(device.concept, self.events[k].first, self.events[k].last, side=device.side)
            made.append(mention)
            if self.clauses.trace is not None:
                self.clauses.trace.named(mention, k, None, None)
