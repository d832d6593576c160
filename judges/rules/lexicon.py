"""The lexicon as the reader uses it: concepts, one trie over all phrases, and what each phrase means.

`compiler` makes it from the files below `knowledge/`, which say what is known about chest radiographs; the code knows
only the algorithm.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Any, NamedTuple

from judges.base import Category
from judges.rules import telling
from judges.rules.knowledge import LexiconError as LexiconError
from judges.rules.words import Speller

# What a cue does, as bits of `Leaf.cue`. The rows of `knowledge/cues` say it in words; `compiler` turns them into bits,
# because a phrase is asked for its role many times.
(
    NEG, NEG_AFTER, NEVER, PARTIAL, UNC, UNC_AFTER, HYP, INTRODUCTION, TERM, CONTRAST, READING, EXIST, VERB,
    PLURAL, PREP, OBJECT, WITH, AND, OR, SLASH, NORMAL, STUDYWIDE, PERSISTING, BODY, SKIP, STUDY, COMMA, COLON, BREAK,
) = (1 << n for n in range(29))  # fmt: skip
# And the rarer ones, as bits of `Leaf.rare`: Python is quickest with integers up to 30 bits, so the last
# is the rarest.
(
    THAN, EXCEPT, BESIDE, SPARING, SETTING, FORMER, SOME, EXCHANGED, MORE, NOTABLE, MOVED, ANYWHERE,
    ADVICE, AIM, CARINA, VIEW, PAIRED, ANAPHOR, HYP_AFTER, RESERVE, RETRACTION, DRAFT, FINAL, CORRECTION,
    PAST, CAUSE, LIMITED, CLOSING, ELAPSED, OVERLOOK, TOPIC, SAME,
) = (1 << n for n in range(32))  # fmt: skip
# What a phrase is, as bits of `Leaf.kind`: says something of a finding, names an anatomy (bare: and no finding), gives
# a finding an attribute, stands for a device, speaks of growth, does not say by itself what it names.
SAYS, NAMED, BARE, ATTRIBUTE, THING, GROWTH, ASKS = (1 << n for n in range(7))
LEFT, RIGHT, BOTH = 1, 2, 3
STABLE, WORSE, BETTER, NEW, RESOLVED, COMPARED = (1 << n for n in range(6))
UPPER, MIDDLE, LOWER, CENTRAL = (1 << n for n in range(4))

WORDS = ("doubts", "past_tense", "of_today", "films", "shows", "several", "compares", "opaque", "adverbs",
         "deniers", "shown", "idle", "stays", "persists",
         "wonders", "affirms", "echoes", "speech", "reads")  # fmt: skip
"""Lists of single words that a `Lexicon` has as they stand in `words.yaml`, where is said what each is for."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of `knowledge/cues`: what its phrases do to the findings around them."""

    role: str
    value: str = ""
    """Which change, grade, side, zone or place it is."""
    direction: str = ""
    """Where its findings stand: `forward` or `backward`; of most roles the code knows."""
    ends_at: int = 0
    """Roles of the phrases at which it ends, as bits of `Leaf.cue`; only of one that acts forward."""
    resumes: bool = False
    """It ends at a comma after which what is seen now follows."""
    applies_to: str = ""
    """`device`: of no finding but a device."""
    unless: str = ""
    """`denied`: not in what is denied already. `moved`: not where a distance or a place follows."""
    targets: int = 0
    """The most findings on which it acts; 0 = all."""
    source: str = ""
    """File and line."""


@dataclass(slots=True)
class Leaf:
    """Everything one phrase means. A phrase may have several roles ("increased": descriptor and change)."""

    concept: int = -1
    anatomy: int = -1
    descriptors: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()
    cue: int = 0
    rare: int = 0
    change: int = 0
    severity: int = 0
    side: int = 0
    zone: int = 0
    place: int = 0
    details: int = 0
    """Set of values of `Lexicon.details`."""
    things: tuple[int, ...] = ()
    """What a word like "tube" may stand for, where a device was named before."""
    size: float = 0.0
    """Millimetres; only on the leaves that the reader makes of measurements."""
    kind: int = 0
    rows: tuple[Row, ...] = ()
    """The rows of `knowledge/cues` in which it stands."""
    acts: Mapping[str, Row] = field(default_factory=dict)
    """The same by role and direction. Of two of one kind the later one is the narrower one, and holds."""
    keys: tuple[int, ...] = ()
    """What it is in `Lexicon.pairs`, if anything."""
    empty: InitVar[bool] = False
    """Nothing follows from the rest yet."""

    def __post_init__(self, empty: bool) -> None:
        if not empty:
            self.finish()

    def finish(self) -> None:
        """Set what follows from the rest; after every change."""
        if self.rows:
            self.acts = {f"{row.role} {row.direction}".rstrip(): row for row in self.rows}
        own = (self.concept,) if self.concept >= 0 else ()
        self.keys = (*(-1 - d for d in self.descriptors), *own) if self.descriptors else own
        self.kind = (
            SAYS * bool(self.keys or self.absent)
            | NAMED * (self.anatomy >= 0)
            | BARE * (self.anatomy >= 0 and self.concept < 0)
            | ATTRIBUTE
            * bool(self.side or self.zone or self.severity or self.change or self.place or self.size or self.details)
            | THING * bool(self.things)
            | ASKS * bool(self.descriptors or self.absent or self.things or self.place or len(self.keys) > 1)
        )


Trie = dict[str | None, Any]


@dataclass(frozen=True, slots=True)
class Concept:
    """One finding, device or state that a report can assert or deny."""

    name: str
    weight: float
    sided: bool
    asserts: str
    denies: str
    mild: float
    """What it matters where it is called mild."""
    denied: float
    """What it matters where a normal report denies it."""
    opposite: int | None = None
    source: str = ""
    """File and line."""
    ancestors: Mapping[int, int] = field(default_factory=dict)
    """Every ancestor with its distance (1 = parent), the nearest first."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a difference in a detail costs, as the share of the finding's credit that it leaves (0 to 1)."""

    category: Category
    significant: bool
    """Whether another value is a significant error, about a finding that is significant itself."""
    other: float
    """The candidate says another value."""
    left_out: float
    added: float


@dataclass(frozen=True, slots=True)
class Detail:
    """One kind of detail that a finding may have: a rib's number, a type, whether it is old."""

    name: str
    mask: int
    """Its values."""
    price: Price
    ordered: bool
    """Its values follow one another, and a finding may have several."""
    before: bool
    """It stands directly before its finding: "three nodules"."""


class Verdicts(NamedTuple):
    """Places (or levels, which are details) of one device's tip."""

    well: int
    astray: int
    levels_well: int
    levels_astray: int
    in_lung: bool = False
    """Whether a zone of the lung, and no other place, means that it lies there, where it does not belong."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Concepts, the trie over all phrases, and the tables that combine words into findings."""

    concepts: tuple[Concept, ...]
    ids: Mapping[str, int]
    """Per name of a concept its place in `concepts`."""
    anatomies: tuple[str, ...]
    descriptors: tuple[str, ...]
    normal: tuple[tuple[int, ...], ...]
    """Per anatomy: the concepts that its normality rules out."""
    pairs: Mapping[tuple[int, int], int]
    """(what is described, what is said of it) -> concept: an anatomy or ``-1 - concept`` with a concept or
    ``-1 - descriptor``."""
    places: tuple[str, ...]
    """Names of the bits of `Leaf.place`."""
    adjacent: tuple[int, ...]
    """Per place: the places next to it."""
    astray: int
    """Those of them where a tip seldom belongs, and the one that only says so."""
    malposed: int
    """The one that only says so: a device "should be repositioned"."""
    well: int
    """The one that only says that a tip lies well."""
    tips: tuple[Verdicts, ...]
    """Per concept in which places and at which levels its tip lies well or astray."""
    tip_prices: Mapping[str, float]
    tip_apart: float
    """Millimetres that two heights of one tip may differ."""
    above_carina: int
    tip_heights: tuple[float, float]
    """Millimetres above the carina between which an airway tube lies well."""
    heights: tuple[int, int]
    """What `above_carina` is where the tip is too near and too far above it."""
    in_airway: tuple[bool, ...]
    """Per concept: whether its tip may lie in an airway; of any other device the carina only tells the height."""
    sized: tuple[bool, ...]
    """Per concept: whether a measurement is its size (not of a device, where it is a distance)."""
    passing: tuple[bool, ...]
    """Per concept: whether it may be over, and worth to be told when: no device, no trace of surgery, nothing minor."""
    operations: tuple[bool, ...]
    """Per concept: whether it is what an operation has left, and so was done for something: "lobectomy for cancer"."""
    families: tuple[bool, ...]
    """Per concept: whether it names a whole family that has sides, as "opacity" does: it is a kind of nothing."""
    thoracic: tuple[bool, ...]
    """Per concept: whether it lies in the lung or pleura, so that what stands beside it shares its place."""
    details: tuple[Detail, ...]
    detail_names: tuple[str, ...]
    """Per bit of `Leaf.details` its value."""
    detailed: tuple[int, ...]
    """Per concept the details that it may have."""
    levels: int
    """The details whose values follow one another."""
    before: int
    """Those that stand directly before their finding."""
    numerals: Mapping[str, Leaf]
    """What a number says that is no measurement: "3 nodules"."""
    between: Mapping[str, frozenset[str]]
    """Words between two levels that make them a `list` or a `range`."""
    zone_prices: tuple[Price, ...]
    """Per concept what another zone of the lung costs."""
    steady: tuple[bool, ...]
    """Per concept: whether it stays as it is, so that to call it stable says nothing."""
    lung: int
    """The anatomy that a zone word stands for ("at the left base")."""
    chest: int
    """The anatomy that stands for the whole study ("stable chest")."""
    acute: int
    """The anatomy that "acute" stands for where no other is named: "no acute abnormality"."""
    device: int
    """The concept that every device descends from."""
    lookalikes: frozenset[tuple[int, int]]
    """Pairs of concepts, either way round, that one film may not tell apart, nor their descendants."""
    finding_words: Mapping[str, int]
    """Words that count for a concept where single words are looked at, though they do not name it by themselves."""
    links: frozenset[str]
    names: frozenset[str]
    former: frozenset[str]
    modals: frozenset[str]
    predicates: frozenset[str]
    doubts: frozenset[str]
    past_tense: frozenset[str]
    of_today: frozenset[str]
    films: frozenset[str]
    shows: frozenset[str]
    several: frozenset[str]
    compares: frozenset[str]
    opaque: frozenset[str]
    adverbs: frozenset[str]
    deniers: frozenset[str]
    shown: frozenset[str]
    stays: frozenset[str]
    persists: frozenset[str]
    idle: frozenset[str]
    wonders: frozenset[str]
    affirms: frozenset[str]
    echoes: frozenset[str]
    speech: frozenset[str]
    foreign: frozenset[str]
    reads: frozenset[str]
    """Single words; what for is said in the file."""
    plain: frozenset[str]
    """Words that name no finding, and every word that is a phrase by itself."""
    process: frozenset[str]
    """Those of them that tell what was said to whom and what should be done: nothing beside them is asserted."""
    spelling: Speller
    """Corrects misspelt words of findings."""
    whole: tuple[int, ...]
    """The concepts that a normal examination rules out."""
    abnormality: int
    """The descriptor whose denial says that the anatomy is normal."""
    prominent: int
    trie: Trie
    examination: telling.Table
    """What tells a report of a chest radiograph from any other text."""
    sha256: str

    def next_to(self, places: int) -> int:
        """The places next to any of these."""
        found = 0
        for bit, neighbours in enumerate(self.adjacent):
            found |= neighbours * (places >> bit & 1)
        return found

    def alike(self, one: int, other: int) -> bool:
        """Whether one may be taken for the other."""
        ours, theirs = ((c, *self.concepts[c].ancestors) for c in (one, other))
        return any(pair in self.lookalikes for pair in itertools.product(ours, theirs))

    def special(self, concept: int, general: int) -> bool:
        """Whether one is a kind of the other."""
        return general in self.concepts[concept].ancestors

    def covered(self, concept: int, general: Collection[int]) -> bool:
        """Whether one of these, or each of its parents, covers the concept: a fracture is no part of the ribs alone."""
        if concept in general:
            return True
        parents = {a for a, n in self.concepts[concept].ancestors.items() if n == 1}
        parents -= {a for parent in parents for a in self.concepts[parent].ancestors}
        return bool(parents) and all(self.covered(parent, general) for parent in parents)

    def related(self, one: int, other: int) -> bool:
        """Whether the two are of one family, as atelectasis and pneumonia are."""
        concepts = self.concepts
        return not {one, *concepts[one].ancestors}.isdisjoint((other, *concepts[other].ancestors))

    def alternative(self, one: int, other: int) -> bool:
        """Whether a slash between two findings makes them names of one: "atelectasis/pneumonia", and not "ETT/NGT"."""
        concepts, thoracic = self.concepts, self.thoracic
        both = {one, *concepts[one].ancestors} & {other, *concepts[other].ancestors}
        return any(thoracic[c] for c in both)

    def refine(self, concept: int, descriptors: Iterable[int]) -> int:
        """The special finding that descriptors make: "calcified left lower lobe granuloma" is a calcified granuloma."""
        for descriptor in descriptors:
            concept = self.pairs.get((-1 - concept, -1 - descriptor), concept)
        return concept

    def refines(self, concept: int, descriptors: Iterable[int]) -> bool:
        """Whether any of these descriptors does."""
        return concept >= 0 and any((-1 - concept, -1 - d) in self.pairs for d in descriptors)


def longest(node: Trie, words: list[str], i: int) -> tuple[Leaf | None, int]:
    """The longest phrase that starts at word `i`, where the trie goes on with `node`, and its last word."""
    leaf: Leaf | None = node.get(None)
    last = i
    for j in range(i + 1, len(words)):
        after: Trie | None = node.get(words[j])
        if after is None:
            break
        node = after
        if None in node:
            leaf, last = node[None], j
    return leaf, last
