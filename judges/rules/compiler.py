"""The files below `knowledge/`, validated and compiled into a `Lexicon`.

Every concept carries a sentence that asserts it and one that denies it; `judge.RulesJudge` reads them all when it is
built.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from judges import scores
from judges.rules import details, knowledge, telling, tips
from judges.rules import lexicon as lx
from judges.rules.phrases import SIDES, ZONES, Phrases
from judges.rules.retractions import VALUES as RETRACTIONS
from judges.rules.stored import uncollected
from judges.rules.words import Speller, fold

WEIGHTS: Final = {"major": scores.MAJOR, "moderate": scores.MODERATE, "minor": scores.MINOR, "none": 0.0}
_CUES: Final = {
    ("absent", "forward"): lx.NEG, ("absent", "backward"): lx.NEG_AFTER, ("partial", "forward"): lx.PARTIAL,
    ("asserted", ""): lx.NEVER, ("possible", "forward"): lx.UNC, ("possible", "backward"): lx.UNC_AFTER,
    ("hypothetical", "forward"): lx.HYP, ("hypothetical", "backward"): 0,
    ("introduction", ""): lx.INTRODUCTION, ("terminator", ""): lx.TERM,
    ("contrast", ""): lx.CONTRAST, ("reading", ""): lx.READING, ("statement", ""): lx.EXIST, ("verb", ""): lx.VERB,
    ("plural", ""): lx.PLURAL, ("preposition", ""): lx.PREP, ("object", ""): lx.OBJECT, ("with", ""): lx.WITH,
    ("and", ""): lx.AND, ("or", ""): lx.OR, ("normal", ""): lx.NORMAL,
}  # fmt: skip
"""What a row of this role and direction is in `Leaf.cue`."""
_RARE: Final = {
    "excepted": lx.EXCEPT, "than": lx.THAN, "setting": lx.SETTING, "beside": lx.BESIDE, "sparing": lx.SPARING,
    "former": lx.FORMER, "some": lx.SOME, "notable": lx.NOTABLE, "anaphor": lx.ANAPHOR, "advice": lx.ADVICE,
    "aim": lx.AIM, "carina": lx.CARINA, "view": lx.VIEW, "reserve": lx.RESERVE, "retraction": lx.RETRACTION,
    "past": lx.PAST, "cause": lx.CAUSE, "limited": lx.LIMITED, "elapsed": lx.ELAPSED,
    "overlook": lx.OVERLOOK, "topic": lx.TOPIC, "same": lx.SAME,
}  # fmt: skip
"""What a row of this role is in `Leaf.rare`. The rows of `measure` only have to be known."""
_HEADINGS: Final = {
    "body": (lx.BODY, 0), "skip": (lx.SKIP, 0), "study": (lx.STUDY, 0), "anywhere": (0, lx.ANYWHERE),
    "draft": (lx.BODY, lx.DRAFT), "final": (lx.BODY, lx.FINAL),
    "correction": (lx.BODY, lx.CORRECTION),
    "closing": (0, lx.CLOSING),
}  # fmt: skip
_CHANGES: Final = {
    "stable": (lx.STABLE, 0, 0), "worse": (lx.WORSE, 0, 0), "better": (lx.BETTER, 0, 0), "new": (lx.NEW, 0, 0),
    "resolved": (lx.RESOLVED, 0, 0), "compared": (lx.COMPARED, 0, 0), "studywide": (lx.STABLE, lx.STUDYWIDE, 0),
    "persisting": (lx.STABLE, lx.PERSISTING, 0), "exchanged": (lx.RESOLVED, 0, lx.EXCHANGED),
    "more": (lx.WORSE, 0, lx.MORE),
}  # fmt: skip
"""Per change: its bit, and what it is besides in `Leaf.cue` and `Leaf.rare`."""
_GRADES: Final = {"trace": 1, "small": 2, "moderate": 4, "large": 8}
_ENDS: Final = {
    "terminator": lx.TERM, "statement": lx.EXIST, "with": lx.WITH, "comma": lx.COMMA, "and": lx.AND, "resumption": 0
}  # fmt: skip
_VALUES: Final[dict[str, Collection[str]]] = {
    "change": _CHANGES,
    "grade": _GRADES,
    "side": SIDES,
    "zone": ZONES,
    "heading": _HEADINGS,
    "retraction": RETRACTIONS,
}
_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "ends_at": tuple(_ENDS),
    "applies_to": ("device", "finding"),
    "unless": ("moved", "denied"),
}
_OTHERS: Final = {*_RARE, *_VALUES, "measure", "thing", "place"}
_CONCEPT: Final = {
    "is_a", "weight", "sided", "phrases", "with", "opposite", "asserts", "denies", "thoracic", "mild", "denied",
}  # fmt: skip
_ROW: Final = {"role", "value", "direction", "ends_at", "applies_to", "unless", "targets", "of", "phrases"}


class _Names:
    """The ids of one kind of entry; every name that a file or the code refers to is looked up here."""

    def __init__(self, kind: str, names: Iterable[str]) -> None:
        self.kind = kind
        self.ids = {name: i for i, name in enumerate(names)}

    def __call__(self, name: str, where: str) -> int:
        if name not in self.ids:
            raise lx.LexiconError(f"{where}: unknown {self.kind} {name!r}")
        return self.ids[name]

    def all(self, names: Iterable[str], where: str) -> tuple[int, ...]:
        return tuple(self(name, where) for name in names)

    def needed(self, name: str) -> int:
        """The id of an entry that the code itself refers to."""
        return self(name, "the reader needs it")


class _Compiler:
    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.entries: dict[str, dict[str, Any]] = data["concepts"]
        self.concepts = _Names("concept", self.entries)
        self.anatomies = _Names("anatomy", data["anatomy"])
        self.descriptors = _Names("descriptor", data["descriptors"])
        self.places = _Names("place", (row["value"] for row in data["cues"] if row.get("role") == "place"))
        self.normality = _Names("phrase of normality", data["normality"])
        self.phrases = Phrases(data["inside"])
        self.pairs: dict[tuple[int, int], int] = {}
        self.parents: dict[str, list[str]] = {}

    def lexicon(self, sha256: str) -> lx.Lexicon:
        for name, entry in self.entries.items():
            self._concept(name, entry)
        self._meanings()
        named = (words for words, leaf in self.phrases.leaves.items() if leaf.concept >= 0)
        findings = set(itertools.chain.from_iterable(named))
        for row in self.data["cues"]:
            self._row(row)
        concepts = self._concepts()
        families = [{i, *concept.ancestors} for i, concept in enumerate(concepts)]
        known = details.compiled(self.data, families, self.concepts.ids, self.phrases)
        self._finish()
        return self._lexicon(findings, concepts, families, known, sha256)

    # ----- concepts, anatomies, descriptors, normality ----------------------------------------------------------------

    def _concept(self, name: str, entry: dict[str, Any]) -> None:
        where = f"concept {name}"
        if extra := entry.keys() - _CONCEPT - {"source"}:
            raise lx.LexiconError(f"{where}: unknown field {min(extra)!r}")
        if not entry.get("asserts") or not entry.get("denies"):
            raise lx.LexiconError(f"{where}: needs a sentence that asserts it and one that denies it")
        for field in ("weight", "mild", "denied"):
            if entry.get(field, entry.get("weight")) not in WEIGHTS:
                raise lx.LexiconError(f"{where}: {field} must be one of {', '.join(WEIGHTS)}")
        is_a = entry.get("is_a", [])
        self.parents[name] = [is_a] if isinstance(is_a, str) else list(is_a)
        self.concepts.all(self.parents[name], where)
        me = self.concepts.ids[name]
        for template, leaf in self.phrases.of(entry):
            if leaf.concept not in (-1, me):
                raise lx.LexiconError(f"{template!r} belongs to {list(self.entries)[leaf.concept]} and {name}")
            leaf.concept = me
        for pair in entry.get("with", []):
            key = self._pair(pair, where)
            if self.pairs.setdefault(key, me) != me:
                raise lx.LexiconError(f"pair {pair!r} belongs to {list(self.entries)[self.pairs[key]]} and {name}")

    def _pair(self, pair: str, where: str) -> tuple[int, int]:
        """ "heart+enlarged", "@nodule+calcified": the key of `Lexicon.pairs`."""
        place, _, word = pair.partition("+")
        where = f"{where}: unknown part of {pair!r}"
        first = -1 - self.concepts(place[1:], where) if place[:1] == "@" else self.anatomies(place, where)
        return first, self.concepts(word[1:], where) if word[:1] == "@" else -1 - self.descriptors(word, where)

    def _meanings(self) -> None:
        for name, entry in self.data["anatomy"].items():
            me = self.anatomies.ids[name]
            for template, leaf in self.phrases.of(entry):
                if leaf.anatomy not in (-1, me):
                    other = list(self.anatomies.ids)[leaf.anatomy]
                    raise lx.LexiconError(f"{template!r} belongs to {other} and {name}")
                leaf.anatomy = me
                if not entry.get("sided", True):
                    leaf.side = 0
        for name, phrases in self.data["descriptors"].items():
            for _, leaf in self.phrases.of({"phrases": phrases}):
                leaf.descriptors = (*leaf.descriptors, self.descriptors.ids[name])
        for name, entry in self.data["normality"].items():
            for _, leaf in self.phrases.of(entry):
                leaf.absent = self.concepts.all(entry["absent"], f"normality {name}")

    # ----- cues -------------------------------------------------------------------------------------------------------

    def _row(self, entry: dict[str, Any]) -> None:
        if entry.get("direction") == "either":
            for direction in ("forward", "backward"):
                self._row({**entry, "direction": direction})
            return
        where = entry.get("source", "a row")
        if extra := entry.keys() - _ROW - {"source"}:
            raise lx.LexiconError(f"{where}: unknown field {min(extra)!r}")
        role, value, direction = (entry.get(key, "") for key in ("role", "value", "direction"))
        if (role, direction) not in _CUES and (direction or role not in _OTHERS):
            raise lx.LexiconError(f"{where}: unknown role {role!r} {direction}".rstrip())
        if role in _VALUES and value not in _VALUES[role]:
            raise lx.LexiconError(f"{where}: {role} must be one of {', '.join(_VALUES[role])}")
        ends: list[str] = entry.get("ends_at", [])
        for field, known in _FIELDS.items():
            given = entry.get(field, [])
            if unknown := [one for one in ([given] if isinstance(given, str) else given) if one not in known]:
                raise lx.LexiconError(f"{where}: {field} {unknown[0]!r} must be one of {', '.join(known)}")
        row = lx.Row(
            role, value, direction, sum(_ENDS[end] for end in ends), "resumption" in ends, entry.get("applies_to", ""),
            entry.get("unless", ""), entry.get("targets", 0), where,
        )  # fmt: skip
        mean = self._meaning(row, entry)
        for _, leaf in self.phrases.of(entry):
            leaf.rows = (*(one for one in leaf.rows if one is not row), row)
            mean(leaf)

    def _meaning(self, row: lx.Row, entry: dict[str, Any]) -> Callable[[lx.Leaf], None]:
        """What the row makes of the leaf of a phrase."""
        cue, rare = _CUES.get((row.role, row.direction), 0), _RARE.get(row.role, 0)
        rare |= lx.MOVED * (row.unless == "moved")
        rare |= lx.HYP_AFTER * (row.role == "hypothetical" and row.direction == "backward")
        change = 0
        if row.role == "heading":
            cue, rare = _HEADINGS[row.value]
        elif row.role == "change":
            change, cue, rare = _CHANGES[row.value]
        grade = _GRADES[row.value] if row.role == "grade" else 0
        zone = ZONES[row.value] if row.role == "zone" else 0
        things = self.concepts.all(entry.get("of", ()), row.source) if row.role == "thing" else ()
        nowhere = 1 << self.places.needed("astray")
        place = 1 << self.places.ids[row.value] if row.role == "place" else 0
        astray = nowhere if row.role == "advice" else 0

        def mean(leaf: lx.Leaf) -> None:
            leaf.cue |= cue
            leaf.rare |= rare
            leaf.change |= change
            leaf.severity |= grade
            leaf.zone |= zone
            leaf.things = things or leaf.things
            if row.role == "side":
                leaf.side = SIDES[row.value]
            if place:
                leaf.place, leaf.side = place, 0
            leaf.place |= astray

        return mean

    def _finish(self) -> None:
        self.phrases.inherit_anatomy()
        self.phrases.inherit_cues()
        self.phrases.inherit_heads()
        described = {key for _, key in self.pairs}
        enlarged = self.descriptors.needed("enlarged")
        for leaf in self.phrases.leaves.values():
            leaf.finish()
            leaf.kind |= lx.GROWTH * (enlarged in leaf.descriptors)
            leaf.keys = tuple(key for key in leaf.keys if key in described)
            leaf.kind |= lx.ASKS * bool(leaf.keys)
        self.phrases.pair()

    # ----- the whole --------------------------------------------------------------------------------------------------

    def _ancestors(self, name: str) -> dict[int, int]:
        found: dict[int, int] = {}
        level, distance = [name], 0
        while level:
            distance += 1
            level = [p for n in level for p in self.parents[n]]
            for parent in level:
                if parent == name:
                    raise lx.LexiconError(f"{name} is its own ancestor")
                found.setdefault(self.concepts.ids[parent], distance)
        return dict(sorted(found.items(), key=lambda item: (item[1], item[0])))

    def _concepts(self) -> tuple[lx.Concept, ...]:
        return tuple(
            lx.Concept(
                name=name,
                weight=WEIGHTS[entry["weight"]],
                sided=bool(entry.get("sided", False)),
                asserts=entry["asserts"],
                denies=entry["denies"],
                mild=WEIGHTS[entry.get("mild", entry["weight"])],
                denied=WEIGHTS[entry.get("denied", entry["weight"])],
                opposite=self.concepts(entry["opposite"], f"concept {name}") if "opposite" in entry else None,
                source=entry.get("source", ""),
                ancestors=self._ancestors(name),
            )
            for name, entry in self.entries.items()
        )

    def _mask(self, *names: str) -> int:
        return sum(1 << self.places(name, "a list of places") for name in names)

    def _adjacent(self) -> tuple[int, ...]:
        masks = [0] * len(self.places.ids)
        for one, other in self.data["adjacent"]:
            masks[self.places(one, "adjacent")] |= self._mask(other)
            masks[self.places(other, "adjacent")] |= self._mask(one)
        return tuple(masks)

    def _lexicon(
        self,
        findings: set[str],
        concepts: tuple[lx.Concept, ...],
        families: list[set[int]],
        known: details.Compiled,
        sha256: str,
    ) -> lx.Lexicon:
        data = self.data
        verdicts, tip_prices = tips.compiled(data, families, self.concepts.ids, self._mask, list(known.names))
        plain = self._plain()
        vocabulary = Counter(itertools.chain.from_iterable(self.phrases.leaves))
        device, in_airway = self.concepts.needed("device"), {*self.concepts.all(data["in_airway"], "in_airway")}
        surgery = self.concepts.needed("postoperative_change")
        chest = {self.concepts.needed("lung_opacity"), self.concepts.needed("pleural_abnormality")}
        focal, diffuse = ({*self.concepts.all(data[key], key)} for key in ("focal", "diffuse"))
        operations = {surgery, *self.concepts.all(data["operations"], "operations")}
        steady = {*self.concepts.all(data["steady"], "steady")}
        alike = [self.concepts.all(names, "lookalikes") for names in data["lookalikes"]]
        return lx.Lexicon(
            concepts=concepts,
            ids=self.concepts.ids,
            anatomies=tuple(self.anatomies.ids),
            descriptors=tuple(self.descriptors.ids),
            normal=tuple(self.concepts.all(e["normal"], f"anatomy {n}") for n, e in data["anatomy"].items()),
            pairs=self.pairs,
            places=tuple(self.places.ids),
            adjacent=self._adjacent(),
            astray=self._mask(*data["astray"]),
            malposed=self._mask("astray"),
            well=self._mask("well"),
            tips=verdicts,
            tip_prices=tip_prices,
            tip_apart=data["tip_heights"]["apart"],
            above_carina=self._mask("above_carina"),
            tip_heights=(data["tip_heights"]["lowest"], data["tip_heights"]["highest"]),
            heights=(self._mask("too_low"), self._mask("too_high")),
            in_airway=tuple(bool(in_airway & family) for family in families),
            sized=tuple(device not in family for family in families),
            passing=tuple(
                concept.weight >= scores.MODERATE and not {device, surgery} & family
                for family, concept in zip(families, concepts, strict=True)
            ),
            operations=tuple(not operations.isdisjoint(family) and device not in family for family in families),
            families=self._heads_of_families(concepts),
            thoracic=tuple(
                bool(chest & family) or self.entries[concept.name].get("thoracic", False)
                for family, concept in zip(families, concepts, strict=True)
            ),
            details=known.details,
            detail_names=known.names,
            detailed=known.detailed,
            levels=sum(kind.mask for kind in known.details if kind.ordered),
            before=sum(kind.mask for kind in known.details if kind.before),
            numerals=known.numerals,
            between={name: frozenset(words) for name, words in data["between"].items()},
            zone_prices=tuple(
                known.prices["lobe" if focal & family and not diffuse & family else "zone"] for family in families
            ),
            steady=tuple(bool(steady & family) for family in families),
            lung=self.anatomies.needed("lung"),
            chest=self.anatomies.needed("cardiopulmonary"),
            acute=self.anatomies.needed("acute"),
            device=device,
            lookalikes=frozenset(pair for names in alike for pair in itertools.permutations(names, 2)),
            whole=self._whole(),
            abnormality=self.descriptors.needed("abnormality"),
            prominent=self.descriptors.needed("prominent"),
            trie=self.phrases.trie,
            finding_words={w: self.concepts(name, "finding_words") for w, name in data["finding_words"].items()},
            links=frozenset(data["words"]["links"]),
            names=frozenset(data["words"]["names"]),
            former=frozenset(data["words"]["former"]),
            modals=frozenset(data["words"]["modals"]),
            predicates=plain | frozenset(map(fold, data["words"]["predicates"])),
            **{name: frozenset(map(fold, data["words"][name])) for name in lx.WORDS},
            foreign=frozenset(map(fold, (*data["words"]["persons"], *data["words"]["everyday"]))),
            plain=plain,
            process=frozenset(map(fold, data["plain"]["process"])),
            spelling=Speller(
                {w for w in findings if not w.endswith("ed")} | set(data["spelling"]["also"]),
                data["spelling"]["never"],
                known=vocabulary,
            ),
            examination=telling.compiled(data["examination"], vocabulary, plain),
            sha256=sha256,
        )

    @staticmethod
    def _heads_of_families(concepts: tuple[lx.Concept, ...]) -> tuple[bool, ...]:
        general = {ancestor for concept in concepts for ancestor in concept.ancestors}
        return tuple(i in general and c.sided and not c.ancestors for i, c in enumerate(concepts))

    def _plain(self) -> frozenset[str]:
        """Every word that is known to name no finding, or that is a phrase of its own."""
        words = {fold(word) for group in self.data["plain"].values() for word in group}
        return frozenset(words | {words[0] for words in self.phrases.leaves if len(words) == 1})

    def _whole(self) -> tuple[int, ...]:
        self.normality.needed("whole_examination")
        return self.concepts.all(self.data["normality"]["whole_examination"]["absent"], "whole_examination")


def build(files: Mapping[str, str]) -> lx.Lexicon:
    """Compile the files, given by name. Raises `LexiconError` on any contradiction."""
    with uncollected():
        return _Compiler(knowledge.joined(files)).lexicon(knowledge.digest(files))
