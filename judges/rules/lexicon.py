"""The lexicon: plain phrases in two YAML files, validated and compiled to one word trie.

The files say what is known about chest radiographs; the code knows only the algorithm. Every concept carries a sentence
that asserts it and one that denies it; `judge.RulesJudge` reads them all when it is built.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any, Final

import yaml

from judges import scores
from judges.rules.words import PAIRED as PLURALS
from judges.rules.words import Speller, phrase_words

FILES: Final = ("lexicon.yaml", "cues.yaml")
WEIGHTS: Final = {"major": scores.MAJOR, "moderate": scores.MODERATE, "minor": scores.MINOR, "none": 0.0}

# What a cue does, as bits of `Leaf.cue`.
(
    NEG, NEG_AFTER, NEVER, PARTIAL, UNC, UNC_SOFT, UNC_AFTER, HYP, INTRODUCTION, TERM, CONTRAST, READING, EXIST, VERB,
    PLURAL, PREP, OBJECT, WITH, AND, OR, SLASH, NORMAL, STUDYWIDE, PERSISTING, BODY, SKIP, STUDY, COMMA, COLON, BREAK,
) = (1 << n for n in range(30))  # fmt: skip
# And the rarer ones, as bits of `Leaf.rare`: Python is quick with integers up to 30 bits only.
(
    THAN, EXCEPT, HISTORY, BESIDE, SPARING, SETTING, FORMER, SOME, EXCHANGED, MORE, NOTABLE, WITHDRAWN, ANYWHERE,
    ADVICE, AIM, CARINA, VIEW, ONE, PAIRED, ANAPHOR, REMOVED,
) = (1 << n for n in range(21))  # fmt: skip
# What a phrase is, as bits of `Leaf.kind`: says something of a finding, names an anatomy (bare: and no finding), gives
# a finding an attribute, stands for a device.
SAYS, NAMED, BARE, ATTRIBUTE, THING, GROWTH = (1 << n for n in range(6))
LEFT, RIGHT, BOTH = 1, 2, 3
STABLE, WORSE, BETTER, NEW, RESOLVED, COMPARED = (1 << n for n in range(6))
UPPER, MIDDLE, LOWER, CENTRAL = (1 << n for n in range(4))
_ROLES: Final = {
    "negation.before": NEG, "negation.after": NEG_AFTER, "negation.removed": NEG_AFTER, "negation.withdrawn": NEG_AFTER,
    "negation.never": NEVER, "negation.partial": PARTIAL, "uncertain.before": UNC,
    "uncertain.soft": UNC_SOFT, "uncertain.after": UNC_AFTER,
    "hypothetical.before": HYP, "introduction": INTRODUCTION, "terminator": TERM,
    "contrast": CONTRAST, "reading": READING, "exist": EXIST, "verb": VERB, "plural": PLURAL, "preposition": PREP,
    "object": OBJECT, "with": WITH, "and": AND, "or": OR, "normal": NORMAL,
    "change.studywide": STUDYWIDE, "change.persisting": PERSISTING,
    "section.body": BODY,
    "section.skip": SKIP, "section.study": STUDY,
}  # fmt: skip
_RARE_ROLES: Final = {
    "negation.removed": REMOVED, "negation.withdrawn": WITHDRAWN | REMOVED, "negation.except": EXCEPT,
    "negation.one": ONE, "uncertain.than": THAN, "uncertain.setting": SETTING, "hypothetical.history": HISTORY,
    "beside": BESIDE, "sparing": SPARING, "former": FORMER, "some": SOME, "change.exchanged": EXCHANGED | REMOVED,
    "change.more": MORE, "notable": NOTABLE, "anaphor": ANAPHOR, "section.anywhere": ANYWHERE, "advice": ADVICE,
    "aim": AIM, "carina": CARINA, "view": VIEW,
}  # fmt: skip
_CHANGE: Final = {
    "stable": STABLE, "worse": WORSE, "better": BETTER, "new": NEW, "resolved": RESOLVED, "compared": COMPARED,
    "studywide": STABLE, "persisting": STABLE, "exchanged": RESOLVED, "more": WORSE,
}  # fmt: skip
_SIDE: Final = {"left": LEFT, "right": RIGHT, "both": BOTH, "none": 0}
_ZONE: Final = {"upper": UPPER, "middle": MIDDLE, "lower": LOWER, "central": CENTRAL}
# Words that carry a side or zone also inside a longer phrase ("bibasilar atelectasis").
_WORD_SIDE: Final = {
    "left": LEFT, "right": RIGHT, "bilateral": BOTH, "bibasilar": BOTH, "bibasal": BOTH, "biapical": BOTH, "lij": LEFT,
    "rij": RIGHT, "lijv": LEFT, "rijv": RIGHT, "lscv": LEFT, "rscv": RIGHT, "lsc": LEFT, "rsc": RIGHT,
    "leftward": LEFT, "rightward": RIGHT,
    "levoscoliosis": LEFT, "levocurvature": LEFT, "dextroscoliosis": RIGHT, "dextrocurvature": RIGHT,
}  # fmt: skip
_WORD_ZONE: Final = {
    "apical": UPPER, "apex": UPPER, "biapical": UPPER, "basilar": LOWER, "basal": LOWER, "bibasilar": LOWER,
    "bibasal": LOWER, "base": LOWER, "retrocardiac": LOWER, "infrahilar": LOWER,
    "suprahilar": UPPER, "perihilar": CENTRAL, "parahilar": CENTRAL,
}  # fmt: skip


class LexiconError(ValueError):
    """The lexicon files contradict themselves; the message names the entry."""


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
    things: tuple[int, ...] = ()
    """What a word like "tube" may stand for, where a device was named before."""
    size: float = 0.0
    """Millimetres; only on the leaves that the reader makes of measurements."""
    kind: int = 0
    keys: tuple[int, ...] = ()
    """What it is in `Lexicon.pairs`, if anything."""

    def __post_init__(self) -> None:
        self.finish()

    def finish(self) -> None:
        """Set what follows from the rest; after every change."""
        self.keys = (*(-1 - d for d in self.descriptors), *((self.concept,) if self.concept >= 0 else ()))
        self.kind = (
            SAYS * bool(self.keys or self.absent)
            | NAMED * (self.anatomy >= 0)
            | BARE * (self.anatomy >= 0 and self.concept < 0)
            | ATTRIBUTE * bool(self.side or self.zone or self.severity or self.change or self.place or self.size)
            | THING * bool(self.things)
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
    opposite: int | None = None
    ancestors: Mapping[int, int] = field(default_factory=dict)
    """Every ancestor with its distance (1 = parent), the nearest first."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Concepts, the trie over all phrases, and the tables that combine words into findings."""

    concepts: tuple[Concept, ...]
    ids: Mapping[str, int]
    """Per name of a concept its place in `concepts`."""
    anatomies: tuple[str, ...]
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
    """Those of them where no tip belongs, and the one that only says so; each of them says it."""
    malposed: int
    """The one that only says so: a device "should be repositioned"."""
    above_carina: int
    heights: tuple[int, int]
    """What `above_carina` is where the tip is too near and too far above it."""
    in_airway: tuple[bool, ...]
    """Per concept: whether its tip may lie in an airway; of any other device the carina only tells the height."""
    sized: tuple[bool, ...]
    """Per concept: whether a measurement is its size (not of a device, where it is a distance)."""
    thoracic: tuple[bool, ...]
    """Per concept: whether it lies in the lung or pleura, so that what stands beside it shares its place."""
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
    links: frozenset[str]
    names: frozenset[str]
    former: frozenset[str]
    """Single words; what for is said in the file."""
    spelling: Speller
    """Corrects misspelt words of findings."""
    abnormality: int
    """The descriptor whose denial says that the anatomy is normal."""
    prominent: int
    trie: Trie
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


def alternatives(template: str) -> Iterator[tuple[str, ...]]:
    """The words of all phrases of a template: ``{a|b} c`` -> ``(a, c)``, ``(b, c)``.

    Braces do not nest and do not split words.
    """
    parts = re.split(r"\{([^{}]*)\}", template)
    if any("{" in p or "}" in p for p in parts):
        raise LexiconError(f"unbalanced braces in {template!r}")
    choices = [[phrase_words(c) for c in p.split("|")] if i % 2 else [phrase_words(p)] for i, p in enumerate(parts)]
    return (tuple(itertools.chain.from_iterable(c)) for c in itertools.product(*choices))


class _Builder:
    def __init__(self) -> None:
        self.trie: Trie = {}
        self.leaves: dict[tuple[str, ...], Leaf] = {}

    def leaf(self, template: str) -> Iterator[Leaf]:
        if not isinstance(template, str):
            raise LexiconError(f"not a phrase: {template!r}")
        for words in sorted(set(alternatives(template))):
            if not words:
                continue
            node = self.trie
            for word in words:
                node = node.setdefault(word, {})
            if None not in node:
                leaf = node[None] = self.leaves[words] = Leaf()
                for i, word in enumerate(words):
                    leaf.side |= _WORD_SIDE.get(word, 0)
                    leaf.zone |= _WORD_ZONE.get(word, 0)
                    if word not in ("upper", "lower", "middle", "mid") or words[i + 1 : i + 3] == ("lung", "volume"):
                        continue
                    if words[i + 1 : i + 2] in (("lobe",), ("lung",)):
                        leaf.zone |= {"upper": UPPER, "lower": LOWER}.get(word, MIDDLE)
            yield node[None]

    def inherit_anatomy(self) -> None:
        """A finding that begins or ends with an anatomy also names it: "tortuous and calcified aorta"."""
        anatomies = {words: leaf.anatomy for words, leaf in self.leaves.items() if leaf.anatomy >= 0}
        for words, leaf in self.leaves.items():
            if leaf.concept >= 0 and leaf.anatomy < 0:
                parts = [words[i:] for i in range(1, len(words))] + [words[:-i] for i in range(1, len(words))]
                leaf.anatomy = next((anatomies[part] for part in parts if part in anatomies), -1)

    def pair(self) -> None:
        """A phrase with the plural of what there is on either side means both, unless one is named: "at the bases"."""
        plurals = {one: many for many, one in PLURALS.items()}
        for words, leaf in list(self.leaves.items()):
            forms = [(word, plurals[word]) if word in plurals else (word,) for word in words]
            for twin in itertools.islice(itertools.product(*forms), 1, None):
                node = self.trie
                for word in twin:
                    node = node.setdefault(word, {})
                node[None] = self.leaves[twin] = copy.copy(leaf)
                if not (leaf.side or leaf.place) and (leaf.zone or leaf.anatomy >= 0 or leaf.concept >= 0):
                    node[None].rare |= PAIRED
                    node[None].kind |= ATTRIBUTE

    def inherit_cues(self) -> None:
        """What a word of a finding's phrase does to a denial: "no displaced fracture", "no effusion, old fracture"."""
        single = {words[0]: leaf.cue & (PARTIAL | NEVER) for words, leaf in self.leaves.items() if len(words) == 1}
        for words, leaf in self.leaves.items():
            if leaf.concept >= 0:
                for word in words:
                    leaf.cue |= single.get(word, 0)


def _ancestors(name: str, parents: Mapping[str, list[str]], ids: Mapping[str, int]) -> dict[int, int]:
    found: dict[int, int] = {}
    level, distance = [name], 0
    while level:
        distance += 1
        level = [p for n in level for p in parents[n]]
        for parent in level:
            if parent == name:
                raise LexiconError(f"{name} is its own ancestor")
            found.setdefault(ids[parent], distance)
    return dict(sorted(found.items(), key=lambda item: (item[1], item[0])))


def build(texts: Mapping[str, str]) -> Lexicon:
    """Compile the two files, given by name. Raises `LexiconError` on any contradiction."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    data, cues = (yaml.load(texts[name], Loader=loader) for name in FILES)
    entries: dict[str, dict[str, Any]] = data["concepts"]
    ids = {name: i for i, name in enumerate(entries)}
    anatomies = {name: i for i, name in enumerate(data["anatomy"])}
    descriptors = {name: i for i, name in enumerate(data["descriptors"])}
    known = {"is_a", "weight", "sided", "phrases", "with", "opposite", "asserts", "denies", "thoracic", "mild"}

    def ids_of(names: list[str], where: str) -> tuple[int, ...]:
        unknown = [n for n in names if n not in ids]
        if unknown:
            raise LexiconError(f"{where}: unknown concept {unknown[0]!r}")
        return tuple(ids[n] for n in names)

    builder = _Builder()
    pairs: dict[tuple[int, int], int] = {}
    parents: dict[str, list[str]] = {}
    for name, entry in entries.items():
        if extra := entry.keys() - known:
            raise LexiconError(f"concept {name}: unknown field {sorted(extra)[0]!r}")
        if not entry.get("asserts") or not entry.get("denies"):
            raise LexiconError(f"concept {name}: needs a sentence that asserts it and one that denies it")
        if entry.get("weight") not in WEIGHTS:
            raise LexiconError(f"concept {name}: weight must be one of {', '.join(WEIGHTS)}")
        if entry.get("mild", entry["weight"]) not in WEIGHTS:
            raise LexiconError(f"concept {name}: mild must be one of {', '.join(WEIGHTS)}")
        is_a = entry.get("is_a", [])
        parents[name] = [is_a] if isinstance(is_a, str) else list(is_a)
        ids_of(parents[name], f"concept {name}")
        for template in entry["phrases"]:
            for leaf in builder.leaf(template):
                if leaf.concept not in (-1, ids[name]):
                    raise LexiconError(f"{template!r} belongs to {list(ids)[leaf.concept]} and {name}")
                leaf.concept = ids[name]
        for pair in entry.get("with", []):
            place, _, word = pair.partition("+")
            try:
                first = -1 - ids[place[1:]] if place[:1] == "@" else anatomies[place]
                key = (first, ids[word[1:]] if word[:1] == "@" else -1 - descriptors[word])
            except KeyError as error:
                raise LexiconError(f"concept {name}: unknown part {error} in pair {pair!r}") from None
            if pairs.setdefault(key, ids[name]) != ids[name]:
                raise LexiconError(f"pair {pair!r} belongs to {list(ids)[pairs[key]]} and {name}")
    for name, entry in data["anatomy"].items():
        for template in entry["phrases"]:
            for leaf in builder.leaf(template):
                if leaf.anatomy not in (-1, anatomies[name]):
                    raise LexiconError(f"{template!r} belongs to {list(anatomies)[leaf.anatomy]} and {name}")
                leaf.anatomy = anatomies[name]
                if not entry.get("sided", True):
                    leaf.side = 0
    for name, phrases in data["descriptors"].items():
        for template in phrases:
            for leaf in builder.leaf(template):
                leaf.descriptors = (*leaf.descriptors, descriptors[name])
    for entry in data["normality"]:
        for template in entry["phrases"]:
            for leaf in builder.leaf(template):
                leaf.absent = ids_of(entry["absent"], template)
    for entry in cues["thing"]:
        for leaf in builder.leaf(entry["phrase"]):
            leaf.things = ids_of(entry["of"], entry["phrase"])
    findings = {word for words, leaf in builder.leaves.items() if leaf.concept >= 0 for word in words}
    _cues(builder, cues)
    builder.inherit_anatomy()
    builder.inherit_cues()
    described = {key for _, key in pairs}
    for each in builder.leaves.values():
        each.finish()
        each.kind |= GROWTH * (descriptors["enlarged"] in each.descriptors)
        each.keys = tuple(key for key in each.keys if key in described)
    builder.pair()

    concepts = tuple(
        Concept(
            name=name,
            weight=WEIGHTS[entry["weight"]],
            sided=bool(entry.get("sided", False)),
            asserts=entry["asserts"],
            denies=entry["denies"],
            mild=WEIGHTS[entry.get("mild", entry["weight"])],
            opposite=ids_of([entry["opposite"]], f"concept {name}")[0] if "opposite" in entry else None,
            ancestors=_ancestors(name, parents, ids),
        )
        for name, entry in entries.items()
    )

    def places(*names: str) -> int:
        return sum(1 << list(cues["place"]).index(name) for name in names)

    lung, pleura = ids["lung_opacity"], ids["pleural_abnormality"]
    digest = hashlib.sha256()
    for name in FILES:
        digest.update(f"{name}\0{texts[name]}\0".encode())
    return Lexicon(
        concepts=concepts,
        ids=ids,
        anatomies=tuple(anatomies),
        normal=tuple(ids_of(e["normal"], f"anatomy {n}") for n, e in data["anatomy"].items()),
        pairs=pairs,
        places=tuple(cues["place"]),
        adjacent=_adjacent(list(cues["place"]), cues["adjacent"]),
        astray=places(*cues["astray"]),
        malposed=places("astray"),
        above_carina=places("above_carina"),
        heights=(places("too_low", "astray"), places("too_high", "astray")),
        in_airway=tuple(
            bool({*ids_of(cues["in_airway"], "in_airway")} & {i, *c.ancestors}) for i, c in enumerate(concepts)
        ),
        sized=tuple(ids["device"] != i and ids["device"] not in c.ancestors for i, c in enumerate(concepts)),
        thoracic=tuple(
            bool({lung, pleura} & {i, *c.ancestors}) or entries[c.name].get("thoracic", False)
            for i, c in enumerate(concepts)
        ),
        lung=anatomies["lung"],
        chest=anatomies["cardiopulmonary"],
        acute=anatomies["acute"],
        device=ids["device"],
        lookalikes=frozenset(
            pair for names in data["lookalikes"] for pair in itertools.permutations(ids_of(names, "lookalikes"), 2)
        ),
        abnormality=descriptors["abnormality"],
        prominent=descriptors["prominent"],
        trie=builder.trie,
        links=frozenset(cues["words"]["links"]),
        names=frozenset(cues["words"]["names"]),
        former=frozenset(cues["words"]["former"]),
        spelling=Speller(
            {w for w in findings if not w.endswith("ed")} | set(cues["spelling"]["also"]),
            cues["spelling"]["never"],
            known={word for words in builder.leaves for word in words},
        ),
        sha256=digest.hexdigest(),
    )


def _adjacent(places: list[str], pairs: list[list[str]]) -> tuple[int, ...]:
    masks = dict.fromkeys(places, 0)
    for one, other in pairs:
        masks[one] |= 1 << places.index(other)
        masks[other] |= 1 << places.index(one)
    return tuple(masks.values())


def _cues(builder: _Builder, cues: Mapping[str, Any]) -> None:
    def each(group: Any) -> Iterator[Leaf]:
        for template in group:
            yield from builder.leaf(template)

    for roles in (_ROLES, _RARE_ROLES):
        for path, bit in roles.items():
            group: Any = cues
            for key in path.split("."):
                group = group[key]
            for leaf in each(group):
                if roles is _ROLES:
                    leaf.cue |= bit
                else:
                    leaf.rare |= bit
    for name, group in cues["change"].items():
        for leaf in each(group):
            leaf.change |= _CHANGE[name]
    for words, leaf in builder.leaves.items():  # "have increased" is a verb as "have" is
        if len(words) > 1 and words[:1] in builder.leaves:
            verb = VERB | PLURAL if leaf.change else PLURAL if leaf.cue & (NEG_AFTER | UNC_AFTER) else 0
            leaf.cue |= builder.leaves[words[:1]].cue & verb
    for band, group in enumerate(cues["severity"]):
        for leaf in each(group):
            leaf.severity |= 1 << band
    for name, group in cues["side"].items():
        for leaf in each(group):
            leaf.side = _SIDE[name]
    for name, group in cues["zone"].items():
        for leaf in each(group):
            leaf.zone |= _ZONE[name]
    for name, group in cues["zone_side"].items():
        for leaf in each(group):
            leaf.side |= _SIDE[name]
    for _ in each(cues["measure"]):
        pass  # they only have to be known
    nowhere = 1 << list(cues["place"]).index("astray")
    for bit, (name, group) in enumerate(cues["place"].items()):
        for leaf in each(group):
            leaf.place, leaf.side = 1 << bit | (nowhere if name in cues["astray"] else 0), 0
    for leaf in each(cues["advice"]):
        leaf.place |= nowhere
    for words, leaf in builder.leaves.items():  # "below the diaphragm" is led by a preposition as "below" is one
        if leaf.place and len(words) > 1 and words[:1] in builder.leaves:
            leaf.cue |= builder.leaves[words[:1]].cue & PREP


@lru_cache(maxsize=1)
def default() -> Lexicon:
    """The shipped lexicon."""
    folder = resources.files("judges.rules")
    return build({name: (folder / name).read_text("utf-8") for name in FILES})
