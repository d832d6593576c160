"""Details of a finding, which `knowledge/cues/details.yaml` lists: a level, a type, whether it is old, how many.

One rule reads, merges and compares all of them; a kind of detail is data alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from judges.base import CATEGORIES, Category
from judges.rules import around
from judges.rules import lexicon as lx
from judges.rules.findings import Event, Finding, Mention
from judges.rules.phrases import Phrases
from judges.rules.trace import Trace

_FIELDS: Final = {"of", "but", "ordered", "only", "price", "values"}
_ONLY: Final = ("", "before", "within")
_STEPS: Final = 8  # how many findings around a word are tried
_STOPS: Final = lx.COMMA | lx.COLON | lx.VERB
_PARTS: Final = _STOPS | lx.AND | lx.OR | lx.PREP
_BETWEEN: Final = 2  # words between two levels of a list: ", and"
_NEAR: Final = 0.5
"""What the next level counts: who miscounts by one has still seen where it is."""


class Loss(NamedTuple):
    """What one difference takes of a matched finding."""

    share: float
    """Of its credit, what is left (0 to 1)."""
    category: Category
    significant: bool
    detail: str
    """For the evidence: kind of detail, or "tip"."""
    told: bool = True
    """It is an error; if not, it only earns less."""
    penalty: float = 0.0
    """What it costs besides, where a major finding weighs 1."""


class Compiled(NamedTuple):
    """The section `details` of the knowledge, as `Lexicon` has it."""

    details: tuple[lx.Detail, ...]
    names: tuple[str, ...]
    detailed: tuple[int, ...]
    numerals: dict[str, lx.Leaf]
    prices: dict[str, lx.Price]


def compiled(data: Mapping[str, Any], families: list[set[int]], ids: Mapping[str, int], phrases: Phrases) -> Compiled:
    """Enter the phrases of all details. `families`: per concept it and its ancestors.

    Raises `LexiconError`, which names the kind of detail that contradicts itself.
    """
    prices = {name: _price(name, entry) for name, entry in data["prices"].items()}
    kinds: list[lx.Detail] = []
    names: list[str] = []
    numerals: dict[str, lx.Leaf] = {}
    may = [0] * len(families)
    for name, entry in data["details"].items():
        _check(name, entry, ids, prices)
        first = len(names)
        for value, templates in entry["values"].items():
            _enter(1 << len(names), {"phrases": templates}, phrases, numerals)
            names.append(str(value))
        mask = (1 << len(names)) - (1 << first)
        only = entry.get("only", "")
        kinds.append(lx.Detail(name, mask, prices[entry["price"]], entry.get("ordered", False), only == "before"))
        of, but = ({ids[concept] for concept in entry.get(key, ())} for key in ("of", "but"))
        for concept, family in enumerate(families):
            may[concept] |= mask if (not of or of & family) and not but & family else 0
        if only == "within":
            phrases.confine(mask)
    phrases.inherit_details()
    return Compiled(tuple(kinds), tuple(names), tuple(may), numerals, prices)


def _check(name: str, entry: Mapping[str, Any], ids: Mapping[str, int], prices: Mapping[str, lx.Price]) -> None:
    where = f"detail {name}"
    if extra := entry.keys() - _FIELDS:
        raise lx.LexiconError(f"{where}: unknown field {min(extra)!r}")
    if unknown := [one for one in (*entry.get("of", ()), *entry.get("but", ())) if one not in ids]:
        raise lx.LexiconError(f"{where}: unknown concept {unknown[0]!r}")
    if entry.get("price") not in prices:
        raise lx.LexiconError(f"{where}: price must be one of {', '.join(prices)}")
    if entry.get("only", "") not in _ONLY:
        raise lx.LexiconError(f"{where}: only must be one of {', '.join(_ONLY[1:])}")


def _price(name: str, entry: Mapping[str, Any]) -> lx.Price:
    if entry.get("category") not in CATEGORIES:
        raise lx.LexiconError(f"price {name}: category must be one of {', '.join(CATEGORIES)}")
    if wrong := [share for share in ("other", "left_out", "added") if not 0.0 <= entry.get(share, -1.0) <= 1.0]:
        raise lx.LexiconError(f"price {name}: {wrong[0]} must lie between 0 and 1")
    return lx.Price(**entry)


def _enter(bit: int, entry: Mapping[str, Any], phrases: Phrases, numerals: dict[str, lx.Leaf]) -> None:
    """The phrases of one value; a number alone is no phrase, or it could not begin a measurement."""
    for template in entry["phrases"]:
        for words in phrases.words(template):
            if len(words) == 1 and words[0].isdecimal():
                known = numerals.get(words[0], lx.Leaf())
                numerals[words[0]] = lx.Leaf(details=known.details | bit)
            else:
                phrases.leaf(words).details |= bit


# ----- reading ----------------------------------------------------------------------------------------------------


def joined_levels(lexicon: lx.Lexicon, events: list[Event], words: list[str], event: Event) -> Event:
    """A level as one phrase with those before it in the list, which leave `events`: "fourth, fifth | and sixth"."""
    before = next((e for e in reversed(events[-_BETWEEN - 1 :]) if e.leaf.details & lexicon.levels), None)
    if before is None:
        return event
    link = _link(lexicon, words[before.last + 1 : event.first])
    same = next(k.mask for k in lexicon.details if k.mask & event.leaf.details & lexicon.levels)
    if not link or not before.leaf.details & same:
        return event
    while events and events[-1].first >= before.first:
        events.pop()
    levels = (before.leaf.details | event.leaf.details) & same
    if link == "range":
        levels = (1 << levels.bit_length()) - (levels & -levels)
    leaf = replace(event.leaf, details=levels | event.leaf.details & ~same, anatomy=before.leaf.anatomy)
    return Event(before.first, event.last, leaf)


def bind(
    lexicon: lx.Lexicon, events: list[Event], mentions: list[Mention], k: int, at: int, trace: Trace | None
) -> None:
    """Give what phrase `k` says to mention `at`; a level, to the nearest that may have it."""
    details = events[k].leaf.details
    near = (*range(at, max(-1, at - _STEPS), -1), *range(at + 1, min(len(mentions), at + _STEPS)))
    for i in near if details & lexicon.levels else near[:1]:
        said = details & lexicon.detailed[mentions[i].concept]
        if said & lexicon.before and not _leads(lexicon, events, k, mentions[i]):
            said &= ~lexicon.before
        if said & ~lexicon.levels and _ahead(events, k, mentions[i], _STOPS):
            said &= lexicon.levels  # "compared to the old study, rib fractures"
        if said:
            mentions[i].details |= said
            if trace is not None:
                trace.note(mentions[i], "details", said, events[k], "cues/details.yaml")
            return


def _ahead(events: list[Event], k: int, mention: Mention, cues: int) -> bool:
    """Whether one of these cues stands between phrase `k` and a finding that follows it."""
    return any(e.leaf.cue & cues for e in events[k + 1 : bisect_left(events, (mention.first,))])


def _leads(lexicon: lx.Lexicon, events: list[Event], k: int, mention: Mention) -> bool:
    """Whether phrase `k` stands in the name of a finding or directly before it, no comma or preposition between.

    Or after it, where it counts what has the finding: "fracture of | one rib", and not "nodules in | one lung".
    """
    here = events[k].first
    if mention.first <= here:
        of = events[k - 1].last + 1 == here and events[k - 1].leaf.cue & lx.OBJECT
        near = bool(of) and events[k - 1].first == mention.last + 1
        return here <= mention.last or (near and not lexicon.thoracic[mention.concept])
    return around.touches(events, k, mention.first) and not _ahead(events, k, mention, _PARTS)


def numbered(lexicon: lx.Lexicon, events: list[Event], words: list[str], i: int) -> lx.Leaf | None:
    """What a number says that is no measurement: a level after another one ("T7-9", "ribs 4, 5 and 6"), or how many."""
    number, after = words[i], words[i + 1] if i + 1 < len(words) else "."
    known = events[-1 - _BETWEEN :]
    before = next((e for e in reversed(known) if e.leaf.details & lexicon.levels), None)
    if before is not None and _link(lexicon, words[before.last + 1 : i]):
        found = _level(lexicon, before.leaf.details & lexicon.levels, number)
        if found and (before.last + 1 == i or not after.isalpha() or after in _joining(lexicon)):
            return lx.Leaf(details=found, anatomy=before.leaf.anatomy)
    if events and events[-1].last + 1 == i and events[-1].leaf.concept >= 0:  # "rib fractures 3-5"
        of = lexicon.levels & lexicon.detailed[events[-1].leaf.concept]
        named = [b for b, name in enumerate(lexicon.detail_names) if of >> b & 1 and name[1:] == number]
        if len(named) == 1:
            return lx.Leaf(details=1 << named[0], anatomy=events[-1].leaf.anatomy)
    return lexicon.numerals.get(number) if after.isalpha() else None  # "2. Small effusion."


def _joining(lexicon: lx.Lexicon) -> frozenset[str]:
    return lexicon.between["list"] | lexicon.between["range"]


def _link(lexicon: lx.Lexicon, between: list[str]) -> str:
    """What these words make of the levels around them: "list", "range" or nothing. A hyphen is not among the words."""
    if not between or (len(between) == 1 and between[0] in lexicon.between["range"]):
        return "range"
    return "list" if len(between) <= _BETWEEN and lexicon.between["list"].issuperset(between) else ""


def _level(lexicon: lx.Lexicon, before: int, number: str) -> int:
    """The level with this number in the row of the highest of `before`: for T7 and "9" T9; 0 if there is none."""
    top = before.bit_length() - 1
    name = lexicon.detail_names[top]
    head = name.rstrip("0123456789")
    if not number.isdecimal() or len(number) > 2:
        return 0
    at = top + int(number) - int(name[len(head) :])
    return 1 << at if at >= 0 and lexicon.detail_names[at : at + 1] == (head + number,) else 0


# ----- comparing ----------------------------------------------------------------------------------------------------


def losses(lexicon: lx.Lexicon, x: Finding, y: Finding) -> Iterator[Loss]:
    """What each kind of detail takes in which the candidate `x` and the reference `y` differ."""
    mine, theirs = x.details, y.details
    differ = (mine ^ theirs) & lexicon.detailed[x.concept] & lexicon.detailed[y.concept]
    for kind in lexicon.details if differ else ():
        if not differ & kind.mask or (kind.ordered and lexicon.tips[y.concept].levels_well):
            continue  # the level of a tip counts by whether it belongs there
        ours, wanted = mine & kind.mask, theirs & kind.mask
        price = kind.price
        if not wanted:
            yield Loss(price.added, price.category, False, kind.name, told=price.added < 1.0)
        elif not ours:
            yield Loss(price.left_out, price.category, False, kind.name, told=False)
        else:
            right = _right(kind, ours, wanted)
            share = price.other + (1.0 - price.other) * right
            yield Loss(share, price.category, price.significant and right <= _NEAR / 2, kind.name, told=right < 1.0)


def _right(kind: lx.Detail, ours: int, wanted: int) -> float:
    """How much of what the reference says the candidate says, 0 to 1: who names several hits by not aiming."""
    met = ours & wanted
    if not kind.ordered:
        return met.bit_count() / ours.bit_count()
    missed, wrong = wanted & ~met, ours & ~met
    near = min((missed & (wrong << 1 | wrong >> 1)).bit_count(), wrong.bit_count())
    return (met.bit_count() + _NEAR * near) / max(ours.bit_count(), wanted.bit_count())
