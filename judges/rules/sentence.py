"""A sentence cut where a new statement begins, each part read as a clause."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from judges.rules import around, constructions
from judges.rules import lexicon as lx
from judges.rules.clause import Clauses
from judges.rules.ellipsis import filled
from judges.rules.findings import ABSENT, Event

_SUBJECT, _STATEMENT, _VERB, _DENIED, _WITHOUT = (1 << n for n in range(5))
"""What the clause under construction holds so far. The last: a denial after a subject, as in "effusion without ...",
whose list is short."""
_JOINS: Final = lx.COMMA | lx.AND
_TELLS: Final = lx.NEG | lx.EXIST | lx.VERB
_SPLITS: Final = lx.EXIST | lx.COMMA | lx.AND | lx.CONTRAST
_LEADS: Final = lx.NEG | lx.UNC | lx.UNC_AFTER | lx.HYP
_ANSWER: Final = lx.Leaf(cue=lx.NEG_AFTER, rows=(lx.Row("absent", direction="backward", source="an answer"),))
_AHEAD: Final = 12  # how many phrases after a comma decide whether it begins a statement


def read_sentence(clauses: Clauses, events: list[Event], stop: int) -> None:
    """Split where a new statement begins and read each clause; the sentence ends before word `stop`."""
    if not events:
        clauses.context.begin_sentence()
        clauses.retractions.reply(stop)
        return
    kinds = cues = rares = sides = 0
    for _, _, leaf in events:
        kinds |= leaf.kind
        cues |= leaf.cue
        rares |= leaf.rare
        sides |= leaf.side
    if rares & lx.SAME:
        side = _side_before(clauses, events)
        events, sides = constructions.same_side(events, side), sides | side
    clauses.context.begin_sentence(sided=sides > 0)
    clauses.context.limited = bool(cues & lx.CONTRAST or rares & (lx.EXCEPT | lx.LIMITED))
    clauses.retractions.begin(events)
    events = events[clauses.retractions.answered(events) :]
    if clauses.trace is not None:
        clauses.trace.sentence(events, stop)
    if kinds or cues & lx.NORMAL:  # something is named
        _read(clauses, events, stop, kinds, cues, rares, sides)
    clauses.retractions.end(events, stop, retracts=bool(rares & lx.RETRACTION))


def _side_before(clauses: Clauses, events: list[Event]) -> int:
    """The side of which a sentence says that it is the same, if it does not say it before: "The same side ..."."""
    for event in events:
        if event.leaf.rare & lx.SAME:
            break
        if event.leaf.side in (lx.LEFT, lx.RIGHT):
            return 0
    clauses.context.outside = True
    sided = (m.side for m in reversed(clauses.mentions) if m.side in (lx.LEFT, lx.RIGHT))
    return next(sided, 0)


def _read(clauses: Clauses, events: list[Event], stop: int, kinds: int, cues: int, rares: int, sides: int) -> None:
    """The clauses of a sentence; the four are what its phrases have together."""
    if kinds & lx.GROWTH and cues & lx.NEG:
        events = constructions.growth_denied(events)
    if events[0].leaf.rare & lx.TOPIC:
        events = _behind_topic(clauses, events, stop)
    events = _restored(clauses, events, stop, cues, rares, sides)
    if cues & (lx.NEG | lx.NEG_AFTER) and (
        answer := constructions.summed_up(events, clauses.words, clauses.lexicon.idle)
    ):
        begun = len(clauses.mentions)
        _each(clauses, events[:answer], events[answer - 1].last + 1)
        for mention in clauses.mentions[begun:]:  # "effusion, edema, fracture: none"
            clauses.retractions.restate(mention, ABSENT)
        return
    if cues & lx.COLON and cues & lx.NEG and (colon := constructions.stated_anew(events)):
        events, first = events[colon + 1 :], events[:colon]
        clauses.read(first, first[-1].last + 1)
    if cues & lx.COMMA and (comma := constructions.again_behind(events, clauses.words)):
        _each(clauses, events[:comma], events[comma].first)
        events = events[comma + 1 :]
    if cues & _SPLITS or kinds & lx.BARE:
        _each(clauses, events, stop)
    elif events:
        clauses.read(events, stop)


def _behind_topic(clauses: Clauses, events: list[Event], stop: int) -> list[Event]:
    """ "Regarding effusion, none is seen.": the topic is read, with its answer. Returns what is still to be read."""
    comma = constructions.answered(events, clauses.words, clauses.lexicon, stop)
    if not comma:
        return events
    topic, events = events[1:comma], events[comma + 1 :]
    clauses.read([*topic, Event(topic[-1].last + 1, topic[-1].last + 1, _ANSWER)], topic[-1].last + 1)
    return events if any(event.leaf.absent or event.leaf.cue & lx.NORMAL for event in events) else []


def _restored(clauses: Clauses, events: list[Event], stop: int, cues: int, rares: int, sides: int) -> list[Event]:
    """The phrases of a sentence without what it takes back at once, and with the findings that it leaves out."""
    if rares & lx.OVERLOOK:
        events = constructions.litotes(events, clauses.words, clauses.lexicon)
    if cues & lx.NEG_AFTER and rares & lx.ELAPSED:
        events = constructions.new_since(events, clauses.words)
    if cues & lx.NEG and cues & lx.COMMA:
        events = constructions.not_so(events, clauses.words)
    if sides and rares & lx.RETRACTION:
        events = constructions.corrected_side(events)
    if sides == lx.BOTH:
        events = constructions.on_one_side(events, clauses.words, clauses.lexicon.trie)
    if sides or rares & lx.EXCEPT:
        events = filled(events, stop)
    return events


def _each(clauses: Clauses, events: list[Event], stop: int) -> None:
    """Read the clauses of these phrases; they end before word `stop`."""
    for clause, end in _clauses(events, stop):
        clauses.read(clause, end)


def _clauses(events: list[Event], stop: int) -> Iterator[tuple[list[Event], int]]:
    """The parts of a sentence that are a statement each, with the word before which each ends."""
    clause: list[Event] = []
    seen = 0
    for k, event in enumerate(events):
        leaf = event.leaf
        cue, kind = leaf.cue, leaf.kind
        if cue & _SPLITS:
            if cue & lx.CONTRAST and constructions.but_between_modifiers(events, k):
                continue
            if clause and _starts_clause(events, k, seen):
                yield clause, event.first
                clause, seen = [], 0
                if cue & _JOINS:
                    continue
        elif (kind & lx.BARE and seen & _STATEMENT and _runs_on(events, k)) or _judged_twice(events, k, clause):
            yield clause, event.first
            clause, seen = [], 0
        clause.append(event)
        if kind & lx.SAYS or cue & lx.NORMAL:
            seen |= _SUBJECT | _STATEMENT
        elif kind & lx.NAMED:
            seen |= _SUBJECT
        if cue & _TELLS:
            seen = _told(seen, cue)
    if clause:
        yield clause, stop


def _told(seen: int, cue: int) -> int:
    """What the clause holds after a denial or a verb."""
    if cue & lx.NEG:
        return (seen & _SUBJECT) | _STATEMENT | _DENIED | (_WITHOUT if seen & _SUBJECT else 0)
    if cue & lx.EXIST or (cue & lx.VERB and seen & _SUBJECT):
        seen |= _VERB
    return seen


def _starts_clause(events: list[Event], k: int, seen: int) -> bool:
    """Whether the words after this comma, "and" or "there is" are a statement of their own: [subject] verb ..."""
    here = events[k].leaf.cue
    stated = bool(seen & _STATEMENT)
    if here & lx.EXIST and (j := around.lead(events, k)) >= 0 and events[j].leaf.cue & _LEADS:
        return False  # "I do not think that | there is an effusion"
    if here & (lx.EXIST | lx.CONTRAST | lx.BREAK):
        return stated
    if here & lx.COMMA and seen & _DENIED and events[0].leaf.cue & lx.CONTRAST and _tells_of_its_own(events, k):
        return True  # "while there is no edema, | the film does show an effusion"
    closed = here & lx.COMMA and seen & _DENIED and seen & _VERB  # "no pneumothorax is seen, ..."
    finding = anatomy = False
    for j in range(k + 1, min(k + _AHEAD, len(events))):
        leaf = events[j].leaf
        cue = leaf.cue
        if cue & lx.EXIST:
            return stated
        if cue & lx.NEG and not (finding or anatomy):
            return bool(seen & (_VERB | _WITHOUT))
        if cue & lx.COLON and (finding or anatomy):  # "..., heart: enlarged"
            return stated
        if cue & (lx.COMMA | lx.AND | lx.OR | lx.TERM):
            return bool(closed and finding and not cue & (lx.OR | lx.AND))
        if cue & lx.VERB and finding:
            conceded = here & lx.COMMA and events[0].leaf.cue & lx.CONTRAST  # "although there is no edema, ..."
            if conceded or seen & _VERB or (seen & _WITHOUT and here & lx.COMMA):
                return True
            return bool(seen & _DENIED) and _predicate(events, j)
        if cue & lx.VERB and (anatomy or j > k + 1):
            return stated and (anatomy or bool(events[j - 1].leaf.side))
        finding = finding or leaf.concept >= 0
        anatomy = anatomy or leaf.anatomy >= 0
    return bool(closed and finding)


def _tells_of_its_own(events: list[Event], k: int) -> bool:
    """Whether a verb stands between this comma and the next, and a finding with it."""
    verb = finding = False
    for event in events[k + 1 : k + _AHEAD]:
        if event.leaf.cue & (lx.COMMA | lx.NEG):
            break
        verb, finding = verb or bool(event.leaf.cue & lx.VERB), finding or event.leaf.concept >= 0
    return verb and finding


def _predicate(events: list[Event], j: int) -> bool:
    """Whether this verb says something of its subject, other than that it is seen: "effusions are small"."""
    if events[j].leaf.change:
        return True
    if j + 1 >= len(events):
        return False
    leaf = events[j + 1].leaf
    if leaf.cue & lx.VERB and j + 3 < len(events) and events[j + 2].leaf.cue & lx.PREP:
        return bool(events[j + 3].leaf.side | events[j + 3].leaf.zone)  # "... are seen in the left lung"
    return bool(leaf.severity or leaf.change) and not leaf.cue & (lx.NEG | lx.NEG_AFTER)


def _judged_twice(events: list[Event], k: int, clause: list[Event]) -> bool:
    """Whether another verdict follows that on an anatomy at once: "bones normal | negative acute abnormality"."""
    if not (clause and events[k].leaf.cue & lx.NORMAL and events[k - 1].leaf.cue & lx.NORMAL and k + 1 < len(events)):
        return False
    return events[k - 1].last + 1 == events[k].first and any(e.leaf.kind & lx.NAMED for e in clause)


def _runs_on(events: list[Event], k: int) -> bool:
    """Whether a sentence begins here without a full stop before: "no pneumothorax | heart is enlarged"."""
    if k + 1 >= len(events) or not events[k + 1].leaf.cue & lx.VERB:
        return False
    before, here, after = events[k - 1], events[k], events[k + 1]
    if before.last + 1 != here.first or here.last + 1 != after.first:
        return False
    return before.leaf.concept >= 0 or bool(before.leaf.cue & (lx.NORMAL | lx.VERB))
