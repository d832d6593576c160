"""The second step of reading a clause: cues linked to the findings on which they act.

A cue acts forward until something ends it, or backward on what is still pending; which, is said by its row. The idea of
cues with a direction and a scope is ConText's (Harkema et al., J Biomed Inform 2009); the cues are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from judges.rules import around, constructions
from judges.rules import lexicon as lx
from judges.rules.context import Context
from judges.rules.findings import ABSENT, HYPOTHETICAL, PRESENT, UNCERTAIN, Event, Mention
from judges.rules.links import HEARD, HEARD_RARE, SEPARATOR, Choice, Interpretation, Opened, Pending
from judges.rules.rhetoric import UNTRUE
from judges.rules.trace import Trace

_SMALL: Final = 0b0111
"""Grades that nobody denies in the middle of a list: "no pneumothorax, small effusion"."""
_FAINT: Final = 0b0001
""" "Borderline" is a grade where it makes the finding ("borderline heart size"); "large" only says that it is one."""
_COMPARED: Final = 4  # phrases between "compared" and the time of the other film
_NEW: Final = 6  # phrases after "exchanged for" among which the new device is looked for
_ENDS: Final = lx.TERM | lx.EXIST
_DENIALS, _DOUBTS = lx.NEG | lx.NEG_AFTER, lx.UNC | lx.UNC_AFTER
_LISTS: Final = lx.INTRODUCTION | lx.NEVER
_TAKES: Final = lx.READING | lx.UNC
_PART: Final = lx.COMMA | lx.WITH
_DEGREES: Final = lx.WORSE | lx.BETTER
_TURNS: Final = HEARD & ~(SEPARATOR | lx.TERM | lx.EXIST)
"""Those that do more than to end or to separate something."""


_FOLLOWS: Final = frozenset(("follow", "followup"))
_LACKS: Final = frozenset(("free", "absence", "devoid", "negative", "lack", "clear", "void"))
_PREPOSITIONS: Final = frozenset(("of", "for", "from"))
_THERE: Final = frozenset(("yes", "present", "positive", "confirmed"))
_SAID: Final = ("claim", "modal")
_RELATIVE: Final = ("which", "where")


@dataclass(slots=True)
class Scope:
    """What the words of one clause say of its findings, phrase by phrase. It ends with the clause."""

    lexicon: lx.Lexicon
    context: Context
    events: list[Event]
    words: Sequence[str]
    continues: bool
    """It has no subject of its own."""
    trace: Trace | None
    sized: tuple[bool, ...]
    made: list[Mention] = field(default_factory=list)
    pending: Pending = field(default_factory=Pending)
    choice: Choice = field(default_factory=Choice)
    interpretation: Interpretation = field(default_factory=Interpretation)
    denial: Opened | None = None
    doubt: Opened | None = None
    supposition: Opened | None = None
    """What makes the findings to come hypothetical."""
    condition: Opened | None = None
    """They are so in a setting that may not be given: "in the right setting, compatible with pneumonia"."""
    introduced: bool = False
    """What is hypothetical ends at the next comma."""
    bare: bool = False
    """Directly after a denial: "no new ..."."""
    graded: bool = False
    """Since the last finding a word stood that nobody denies in the middle of a list."""
    sided: bool = False
    """Since the last finding a side was named, or a direction of change."""
    separator: int = 0
    """The last separator since the last finding."""
    some: Opened | None = None
    """What follows is one of several."""
    tip: int = -1
    """The event that names the tip of a device."""
    where: int = 0
    """The side of the anatomy that the denial speaks of: "the right lung is clear without effusion"."""

    # ----- cues -------------------------------------------------------------------------------------------------------

    def hear(self, k: int, leaf: lx.Leaf) -> None:
        """Take in the cue that phrase `k` is."""
        cue, rare = leaf.cue, leaf.rare
        if cue & _ENDS and not (cue & lx.READING and self.denial and constructions.reading_denied(self.events, k)):
            self._end(k, cue)
        if cue & SEPARATOR:
            self._separate(k, cue)
        if not (cue & _TURNS or rare):
            return
        if cue & _DENIALS and leaf.concept < 0:
            self._of_speaker(k)
            self._deny(k, leaf)
        if cue & _DOUBTS:
            self._of_speaker(k)  # "I would be | wary of excluding"
            self._doubt(k, leaf)
        if rare & HEARD_RARE:
            self._hear_rare(k, rare)
        if cue & lx.HYP:
            self._suppose(k, leaf.acts.get("hypothetical forward"))
        if cue & _LISTS:
            self.introduced = self.introduced or bool(cue & lx.INTRODUCTION)
            self.graded = self.graded or bool(cue & lx.NEVER)
        if cue & lx.PARTIAL and self.denial is not None and leaf.concept < 0:
            self.denial.partial = Opened(k, leaf.acts.get("partial forward"))
        if cue & _TAKES:
            reading = self.interpretation
            if self.made:
                reading.source = self.made[-1]
            reading.taken = reading.weighed = True

    def _hear_rare(self, k: int, rare: int) -> None:
        said, acts = self.interpretation, self.events[k].leaf.acts
        if rare & lx.THAN and said.weighed and not said.changed and constructions.weighs(self.events, k):
            self._open_doubt(k, acts.get("than"))
        if rare & lx.SETTING:
            row = acts.get("setting")
            last = self.pending.mentions[-1:]
            if last and not (k + 1 < len(self.events) and self.events[k - 1].leaf.cue & lx.COMMA):
                self.restate([m for m in last if m.state == PRESENT], UNCERTAIN, k, row)
            else:
                self.condition = Opened(k, row)
        if rare & lx.ANAPHOR and not self.made:
            said.earlier = self.context.said_before()
        elif rare & lx.ANAPHOR and self.denial is not None and self.denial.met and constructions.begins(self.events, k):
            self.denial = None  # "rather than consolidation | this is an effusion"
        if rare & lx.SOME:
            self.some = Opened(k, acts.get("some"))
        if rare & lx.HYP_AFTER and not (constructions.goes_on(self.events, k) or self._compared(k)):
            self.restate(self._subject(k), HYPOTHETICAL, k, acts.get("hypothetical backward"))

    def _compared(self, k: int) -> bool:
        """Whether a time is that of the film with which this one is compared: "compared with that of | last week"."""
        return any(event.leaf.change & lx.COMPARED for event in self.events[max(0, k - _COMPARED) : k])

    def _end(self, k: int, cue: int) -> None:
        """What was said so far ends at this word, where its row says so."""
        if self._ended(self.denial, k, cue):
            self.denial = None
        if self._ended(self.supposition, k, cue):
            self.supposition = None
        self.choice.listing, self.choice.possible = False, []
        before = self.events[k - 1 - (k > 1 and self.events[k - 1].leaf.rare & lx.ANAPHOR > 0)].leaf.cue if k else 0
        if not before & (lx.UNC | lx.UNC_AFTER | lx.OR | lx.READING):
            # not in "possibly due to pneumonia", "chronic or due to"
            self.interpretation.source = None
            if self._ended(self.doubt, k, cue):
                self.doubt = None
        if not self.continues:
            self.pending = Pending()

    def _ended(self, opened: Opened | None, k: int, cue: int) -> bool:
        """Whether phrase `k` ends this. Not where it leads to a statement: "I do not think that there is"."""
        if opened is None or not opened.ends_at & cue:
            return False
        return not (cue & lx.EXIST and opened.event == around.lead(self.events, k))

    def end_pending(self) -> None:
        """What was named so far is no subject of what follows."""
        self.pending = Pending()

    def _separate(self, k: int, cue: int) -> None:
        pending, choice, reading = self.pending, self.choice, self.interpretation
        self.separator, self.graded, self.sided = cue, False, False
        after_comma = k > 0 and bool(self.events[k - 1].leaf.cue & lx.COMMA)
        if cue & (lx.AND | lx.OR):
            pending.joined = bool(pending.mentions)
        elif cue & _PART:
            pending.end_part()
        if cue & lx.OR:
            choice.whole = choice.whole or after_comma
            weighed = reading.weighed and choice.broken
            choice.link = bool(self.made) and not (self.denial is not None or choice.listing or weighed)
            choice.slash = bool(cue & lx.SLASH)
            if self.denial is not None:
                self.denial.ended = self.denial.met > 0
            return
        reading.earlier = (reading.source or reading.earlier) if cue & lx.COMMA else None
        if not (reading.taken and cue & lx.AND and k and not after_comma):
            reading.source = None  # "opacity, likely atelectasis and effusion": it is taken for both
        ends = cue & lx.COMMA | (cue & lx.WITH if self.denial is not None and self.denial.removal else 0)
        met = self.denial is not None and (self.denial.met or self.denial.ends_at & ends)
        if self.denial is not None and met and self.denial.ends_at & cue:
            self.denial = None  # "no pneumothorax with bibasilar atelectasis"
        elif cue & lx.WITH and choice.possible and after_comma:
            self.doubt = None  # "mass suspicious for malignancy, with adenopathy"
        if not cue & lx.WITH:
            choice.link = False
            self._next_member(k, cue)

    def _next_member(self, k: int, cue: int) -> None:
        """A comma or "and" ends what is hypothetical by its row, and begins another subject where one is named."""
        if cue & lx.COMMA and self.supposition is not None:
            row = self.supposition.row
            resumes = row is not None and row.resumes and constructions.resumes(self.events, k)
            after = self.events[k].last + 1
            relative = after < len(self.words) and self.words[after] in _RELATIVE  # "the heart, | which is enlarged"
            if self.introduced or self.supposition.ends_at & cue or resumes or relative:
                self.supposition = None
        if cue & lx.COMMA:
            self.introduced = False
        if cue & lx.AND:
            self.choice.possible = []
        elif self.pending.mentions and around.names_subject(self.events, k + 1):
            self.pending = Pending()

    def _suppose(self, k: int, row: lx.Row | None) -> None:
        """Not where somebody denies a claim, or denies in so many words: "by no means | should this be called"."""
        denial = self.denial
        if denial is None or denial.met or not denial.touches(self.events, k) or row is None or row.value not in _SAID:
            self.supposition = Opened(k, row)

    def _of_speaker(self, k: int) -> None:
        """ "I would be | reluctant to call this" supposes nothing; "there should be | no effusion" is expected."""
        supposed = self.supposition
        if supposed is None or supposed.row is None or supposed.row.value != "modal" or supposed.event != k - 1:
            return
        if self.events[k].last > self.events[k].first:
            self.supposition = None

    def _deny(self, k: int, leaf: lx.Leaf) -> None:
        cue, pending = leaf.cue, self.pending.mentions
        if leaf.change & lx.RESOLVED and constructions.advised(self.events, k):
            return
        if cue & lx.NEG and pending and constructions.closes(self.events, k, self.words):
            self._deny_back(k, leaf.acts.get("absent forward"))  # "hydropneumothorax excluded: neither ..."
            self.pending, self.denial = Pending(), None
            return
        leads = not (self.made or self.continues) and constructions.leads_on(self.events, k)
        led = cue & lx.NEG_AFTER and not pending and (leads or around.heads(self.events, k))
        if led or constructions.of_attribute(self.events, k, self.words):
            cue = lx.NEG
        if cue & lx.NEG_AFTER and pending and self.denial is not None and self.denial.touches(self.events, k):
            self.denial = None  # "is not | artifactual"
            return
        if self._denies_nothing(k, leaf):
            return
        if cue & lx.NEG_AFTER and not (cue & lx.NEG and (not pending or around.finds(self.events, k))):
            if k + 1 < len(self.events) and self.events[k + 1].leaf.rare & lx.VIEW:
                return
            self._deny_back(k, leaf.acts.get("absent backward"))
            self.pending, self.denial, self.tip = Pending(), None, -1
        elif cue & lx.NEG and self.denial is not None and self.denial.refutes():
            self.denial = None  # "it is not true that there is | no"
        elif cue & lx.NEG:
            if self.separator & lx.AND:
                self.interpretation.source = None
            self.bare, self.doubt = True, None
            row = leaf.acts.get("absent forward") or leaf.acts.get("absent backward")
            again = self.denial is not None and self.denial.met > 0
            self.denial = Opened(k, row)
            self.denial.removal, self.denial.again = bool(leaf.change & lx.RESOLVED), again

    def _denies_nothing(self, k: int, leaf: lx.Leaf) -> bool:
        """Whether a phrase of denial denies nothing here."""
        if leaf.rare & lx.RETRACTION and self.continues and leaf.acts["retraction"].value == UNTRUE:
            return True  # what is untrue is said by the sentence before
        if not leaf.rare & lx.EXCHANGED:
            return False
        pending = self.pending.mentions
        new = next((e.leaf.concept for e in self.events[k + 1 : k + 1 + _NEW] if e.leaf.concept >= 0), -1)
        # for something of the same name: there is one
        return new < 0 or bool(pending and pending[-1].concept == new)

    def _deny_back(self, k: int, row: lx.Row | None) -> None:
        subject = self._subject(k)
        if row is not None and row.applies_to == "device":
            able = [m for m in self.pending.mentions if not (self.sized[m.concept] or m.several)]
            subject = [m for m in able if m in subject] or able
        elif (row is not None and row.applies_to) or self.tip >= 0 or around.place_follows(self.events, k):
            subject = self._without_devices(subject)
        if row is not None and row.value == "truth" and self.denial is not None and self.denial.denies(subject):
            self.restate(subject, PRESENT, k, row)  # "the statement that there is no effusion | is wrong"
            return
        said = self.denial.row if self.denial is not None else None
        if said is not None and said.value == "truth" and row is not None and not row.value and not row.applies_to:
            self.restate(subject, PRESENT, k, row)  # "it is not true that the effusion | is absent"
            return
        if self.doubt is not None and self.doubt.row is not None and self.doubt.row.value == "clause":
            self.restate(subject, UNCERTAIN, k, self.doubt.row)  # "I am not certain that it | is absent"
            return
        subject = subject[-row.targets :] if row is not None else subject
        if row is not None and row.value == "artifact":  # "the density is a skin fold" denies no other density
            last = subject[-1:]
            subject = [m for m in subject if m in last or any(m is one.source for one in last)]
            loose = [m for m in subject if self.lexicon.families[m.concept]]
            self.restate(loose, HYPOTHETICAL, k, row)
            subject = [m for m in subject if m not in loose]
        self.restate(subject, ABSENT, k, row)

    def _subject(self, k: int) -> Sequence[Mention]:
        """What phrase `k`, which follows it, speaks of."""
        plural = self.events[k].leaf.cue | (self.events[k - 1].leaf.cue if k else 0)
        return self.pending.subject(plural=bool(plural & lx.PLURAL))

    def _without_devices(self, mentions: Sequence[Mention]) -> list[Mention]:
        """Where a tip is not seen, or not in its place, the tube is there."""
        return [m for m in mentions if self.sized[m.concept]]

    def _doubt(self, k: int, leaf: lx.Leaf) -> None:
        cue, row = leaf.cue, leaf.acts.get("possible forward")
        if cue & lx.UNC_AFTER and self.pending.mentions and not (cue & lx.UNC and around.finds(self.events, k)):
            possible = self.choice.possible if self.doubt is not None else []
            self.restate(possible or self._subject(k), UNCERTAIN, k, leaf.acts.get("possible backward"))
            self.pending = Pending()
        elif not cue & lx.UNC_AFTER and row is not None and row.unless:
            if self.denial is None:
                self.doubt = self.doubt or Opened(k, row)
        else:
            self._open_doubt(k, row or leaf.acts.get("possible backward"))

    def _open_doubt(self, k: int, row: lx.Row | None) -> None:
        self.doubt, self.denial, self.choice.possible = Opened(k, row), None, []

    # ----- findings ---------------------------------------------------------------------------------------------------

    def name(self, k: int, concept: int, begin: int, end: int) -> Mention:
        """Phrase `k` names a finding: what is asserted of it, and how it hangs together with those before."""
        lexicon, reading, leaf = self.lexicon, self.interpretation, self.events[k].leaf
        if (
            self.made
            and lexicon.families[self.made[-1].concept]
            and constructions.is_called(self.events, k, self.words)
        ):
            reading.source, reading.taken = self.made[-1], True
        if reading.source is not None and reading.taken:  # "sclerotic bone lesions consistent with metastases"
            concept = lexicon.pairs.get((-1 - reading.source.concept, concept), concept)
        state, by, past = PRESENT, None, constructions.past(self.events, k) if lexicon.passing[concept] else -1
        if self.denial or self.supposition or self.doubt or self.condition or leaf.cue & lx.NEG_AFTER:
            state, by = self._state(k, leaf, concept)
        operated = lexicon.passing[concept] and (
            constructions.operated_for(self.events, k, self.words, lexicon.operations)
            or constructions.followed_up(self.events, k, self.words)
        )
        if past >= 0 and state >= UNCERTAIN:
            state, by = HYPOTHETICAL, Opened(past, self.events[past].leaf.acts.get("past"))
        denial = self.denial
        mention = Mention(
            concept,
            begin,
            end,
            state,
            denial is not None and (denial.partial is not None or bool(leaf.cue & lx.PARTIAL)),
            side=leaf.side or (self.where if state == ABSENT and lexicon.thoracic[concept] else 0),
            zone=leaf.zone,
            severity=leaf.severity & _FAINT,
            details=leaf.details & lexicon.detailed[concept],
            paired=bool(leaf.rare & lx.PAIRED),
        )
        if self.trace is not None:
            self.trace.named(mention, k, by, denial.partial if denial is not None else None)
        if leaf.rare & lx.EXCEPT:  # the rest of what is denied is only a part
            for one in self.made[-1:]:
                one.partial = one.partial or one.concept == concept
        if self.choice.link and self.pending.mentions:
            self._choose(self.pending.mentions[-1], mention, k)
        if mention.source is None:
            if reading.source is reading.earlier is None:
                reading.source, reading.taken = mention, False
            else:
                reading.take(mention, lexicon)
        self._add(mention)
        if operated and state >= UNCERTAIN:
            self.restate([mention], HYPOTHETICAL, k, "why something was done")
        return mention

    def _state(self, k: int, leaf: lx.Leaf, concept: int) -> tuple[int, Opened | None]:
        """What is asserted of a finding that phrase `k` names, and the cue that says so."""
        denial = self.denial
        if denial is not None and denial.met and not self.separator & lx.OR and self._breaks(k, leaf, concept):
            self.denial = denial = None
        if self.supposition is not None:
            return HYPOTHETICAL, self.supposition
        if denial is not None and self.some is None and denial.means(device=not self.sized[concept]):
            return ABSENT, denial
        if leaf.cue & lx.NEG_AFTER:  # "extubated"
            return ABSENT, Opened(k, leaf.acts.get("absent backward"))
        doubt = self.doubt or self.condition
        return (UNCERTAIN, doubt) if doubt is not None else (PRESENT, None)

    def _breaks(self, k: int, leaf: lx.Leaf, concept: int) -> bool:
        """Whether this ends a denied list: "no pneumothorax, small effusion", "no effusion, PICC in the SVC"."""
        one, other = self.sized[self.made[-1].concept], self.sized[concept]
        removal = self.denial is not None and self.denial.removal
        if self.denial is not None and self.denial.lists(self.events, self.words):
            return False
        if self.separator & lx.COMMA and self.made[0].state != ABSENT and around.denies_next(self.events, k):
            return True  # "cardiomegaly without effusion, edema | without pneumothorax"
        if self.graded or (removal and one is not other):
            return True
        links = lx.AND | lx.OR if self._leads_to_nouns() else lx.OR
        if one and not other:
            return not around.list_follows(self.events, k, links)  # "no effusion, foreign body or fracture"
        thoracic = self.lexicon.thoracic[concept]
        parted = self.separator & lx.COMMA and self.denial is not None and self.denial.parts(thoracic=thoracic)
        if (removal and self.separator & lx.AND) or not (self.sided or leaf.side or parted):
            return False
        return not around.list_follows(self.events, k, lx.AND | lx.OR if removal else links)

    def _leads_to_nouns(self) -> bool:
        """Whether "and" joins what is denied: bare nouns behind a preposition, as in "free of A, B and C"."""
        if self.denial is None:
            return False
        last = self.events[self.denial.event].last
        if self.words[last] not in _PREPOSITIONS or self.words[last - 1] not in _LACKS:
            return False
        behind = [event.leaf for event in self.events[self.denial.event + 1 :]]
        devices = any(leaf.concept >= 0 and not self.sized[leaf.concept] for leaf in behind)
        told = any(leaf.side or leaf.severity or leaf.change or leaf.size or leaf.zone for leaf in behind)
        return not (devices or told or any(leaf.cue & lx.VERB for leaf in behind))

    def _choose(self, last: Mention, mention: Mention, k: int) -> None:
        """An "or" before it makes it an alternative of what stands before."""
        one, other = last.concept, mention.concept
        if one == other or min(last.state, mention.state) < UNCERTAIN:
            return
        if self.choice.slash and not self.lexicon.alternative(one, other):
            if self.sized[other] and self.sized[one]:
                mention.source = last  # "right apical thickening/effusion"
            return
        ones = self.choice.taken(last, self.made)
        self._group([*ones, mention], ones[-1].group, k)

    def _group(self, ones: Sequence[Mention], group: int, k: int) -> None:
        """Several findings of which one is meant; all lie where the earlier one does if it may be any of them."""
        if not group:
            group = self.context.new_group()
        source = self.interpretation.earlier
        for one in ones:
            one.group = group
            one.state = UNCERTAIN
            if self.trace is not None:
                self.trace.note(one, "state", UNCERTAIN, self.events[k], "alternatives")
            if source is not None and one is not source and self.lexicon.special(one.concept, source.concept):
                one.source = one.source or source

    def _add(self, mention: Mention) -> None:
        choice, pending = self.choice, self.pending
        if self.doubt is not None and self.denial is None:
            choice.possible.append(mention)
        if choice.broken:
            choice.run = len(self.made)
        choice.broken = choice.link = False
        mention.several, self.some = self.some is not None, None
        self.made.append(mention)
        pending.mentions.append(mention)
        pending.said = pending.said or bool(mention.side or mention.zone)
        if self.denial is not None or self.doubt is not None or self.supposition is not None:
            self._acted()
        self.bare = self.graded = self.sided = False
        self.separator = 0

    def _acted(self) -> None:
        """The open cues have acted on one finding more; those that act on so many only end."""
        cues = (self.denial, self.doubt, self.supposition)
        self.denial, self.doubt, self.supposition = (None if cue is None or cue.acted() else cue for cue in cues)

    def attribute(self, k: int, leaf: lx.Leaf) -> None:
        """A side, grade or change was named."""
        small = leaf.severity & _SMALL or leaf.size
        self.pending.said = self.pending.said or bool(small or leaf.side or leaf.change or leaf.place)
        if small:
            self.graded = True
        if leaf.side or leaf.change & _DEGREES:
            self.sided = True
        if leaf.change:
            self.interpretation.changed = self.interpretation.changed or not leaf.rare & lx.MORE
            if leaf.change & lx.STABLE and k + 1 < len(self.events) and self.events[k + 1].leaf.cue & lx.OBJECT:
                self.choice.listing = True

    def close(self, stop: int) -> None:
        """The clause ends before word `stop`: "Pneumothorax: no."."""
        for cue, state in ((self.denial, ABSENT), (self.doubt, UNCERTAIN)):
            if cue is None or cue.met or not self.pending.mentions:
                continue
            earlier = self.made[-2] if len(self.made) > 1 else self.context.last
            if earlier is not None and earlier.state == ABSENT and constructions.denies_denial(self.events, cue.event):
                continue
            events, event = self.events, cue.event
            says = constructions.answers(events, event, stop) or constructions.after_colon(events, event)
            says = says or (state == ABSENT and constructions.fronted(events, self.words, event))
            if says or (state == ABSENT and constructions.intransitive(events, event, self.words, stop)):
                subject = self._subject(cue.event)
                self.restate(self._without_devices(subject) if self.tip >= 0 else subject, state, cue.event, "answers")

        if self.made and not any(m.state in (PRESENT, ABSENT) for m in self.made):
            self._told_behind(stop)

    def _told_behind(self, stop: int) -> None:
        """A colon leads to the state of what was only spoken of: "follow-up of effusion: | resolved"."""
        events = self.events
        colon = next((k for k, e in enumerate(events) if e.leaf.cue & lx.COLON and e.first > self.made[-1].last), 0)
        told = events[colon + 1 :]
        if not colon or len(told) != 1 or told[0].first != events[colon].last + 1 or told[0].last + 1 != stop:
            return
        change, word = told[0].leaf.change, self.words[told[0].first]
        followed = self.words[events[0].first] in _FOLLOWS and change & ~(lx.RESOLVED | lx.COMPARED)
        if word in _THERE or followed or (change & lx.RESOLVED and not told[0].leaf.cue & lx.NEG):
            for mention in self.made:
                mention.state = ABSENT if change & lx.RESOLVED else PRESENT
                if self.trace is not None:
                    self.trace.note(mention, "state", mention.state, told[0], "told behind a colon")

    def restate(self, mentions: Sequence[Mention], state: int, k: int, by: lx.Row | str | None) -> None:
        """Change what is asserted of these, unless they are only hypothetical and no question."""
        answer = self.supposition is not None and self.supposition.answered(self.events, k)
        for mention in mentions:
            if mention.state != HYPOTHETICAL or answer:
                mention.state = state
                mention.gone = state == ABSENT
                if self.trace is not None:
                    self.trace.note(mention, "state", state, self.events[k], by)
