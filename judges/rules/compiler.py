"""The two YAML files, validated and compiled into a `Lexicon`.

Every concept carries a sentence that asserts it and one that denies it; `judge.RulesJudge` reads them all when it is
built.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any, Final

import yaml

from judges import scores
from judges.rules import lexicon as lx
from judges.rules.words import PAIRED as PLURALS
from judges.rules.words import Speller, phrase_words

FILES: Final = ("lexicon.yaml", "cues.yaml")
WEIGHTS: Final = {"major": scores.MAJOR, "moderate": scores.MODERATE, "minor": scores.MINOR, "none": 0.0}
_ROLES: Final = {
    "negation.before": lx.NEG, "negation.after": lx.NEG_AFTER, "negation.removed": lx.NEG_AFTER,
    "negation.withdrawn": lx.NEG_AFTER, "negation.never": lx.NEVER, "negation.partial": lx.PARTIAL,
    "uncertain.before": lx.UNC, "uncertain.soft": lx.UNC_SOFT, "uncertain.after": lx.UNC_AFTER,
    "hypothetical.before": lx.HYP, "introduction": lx.INTRODUCTION, "terminator": lx.TERM, "contrast": lx.CONTRAST,
    "reading": lx.READING, "exist": lx.EXIST, "verb": lx.VERB, "plural": lx.PLURAL, "preposition": lx.PREP,
    "object": lx.OBJECT, "with": lx.WITH, "and": lx.AND, "or": lx.OR, "normal": lx.NORMAL,
    "change.studywide": lx.STUDYWIDE, "change.persisting": lx.PERSISTING, "section.body": lx.BODY,
    "section.skip": lx.SKIP, "section.study": lx.STUDY,
}  # fmt: skip
_RARE_ROLES: Final = {
    "negation.removed": lx.REMOVED, "negation.withdrawn": lx.WITHDRAWN | lx.REMOVED, "negation.except": lx.EXCEPT,
    "negation.one": lx.ONE, "uncertain.than": lx.THAN, "uncertain.setting": lx.SETTING,
    "hypothetical.history": lx.HISTORY, "beside": lx.BESIDE, "sparing": lx.SPARING, "former": lx.FORMER,
    "some": lx.SOME, "change.exchanged": lx.EXCHANGED | lx.REMOVED, "change.more": lx.MORE, "notable": lx.NOTABLE,
    "anaphor": lx.ANAPHOR, "section.anywhere": lx.ANYWHERE, "advice": lx.ADVICE, "aim": lx.AIM, "carina": lx.CARINA,
    "view": lx.VIEW,
}  # fmt: skip
_CHANGE: Final = {
    "stable": lx.STABLE, "worse": lx.WORSE, "better": lx.BETTER, "new": lx.NEW, "resolved": lx.RESOLVED,
    "compared": lx.COMPARED, "studywide": lx.STABLE, "persisting": lx.STABLE, "exchanged": lx.RESOLVED,
    "more": lx.WORSE,
}  # fmt: skip
_SIDE: Final = {"left": lx.LEFT, "right": lx.RIGHT, "both": lx.BOTH, "none": 0}
_ZONE: Final = {"upper": lx.UPPER, "middle": lx.MIDDLE, "lower": lx.LOWER, "central": lx.CENTRAL}
# Words that carry a side or zone also inside a longer phrase ("bibasilar atelectasis").
_WORD_SIDE: Final = {
    "left": lx.LEFT, "right": lx.RIGHT, "bilateral": lx.BOTH, "bibasilar": lx.BOTH, "bibasal": lx.BOTH,
    "biapical": lx.BOTH, "lij": lx.LEFT, "rij": lx.RIGHT, "lijv": lx.LEFT, "rijv": lx.RIGHT, "lscv": lx.LEFT,
    "rscv": lx.RIGHT, "lsc": lx.LEFT, "rsc": lx.RIGHT, "leftward": lx.LEFT, "rightward": lx.RIGHT,
    "levoscoliosis": lx.LEFT, "levocurvature": lx.LEFT, "dextroscoliosis": lx.RIGHT, "dextrocurvature": lx.RIGHT,
}  # fmt: skip
_WORD_ZONE: Final = {
    "apical": lx.UPPER, "apex": lx.UPPER, "biapical": lx.UPPER, "basilar": lx.LOWER, "basal": lx.LOWER,
    "bibasilar": lx.LOWER, "bibasal": lx.LOWER, "base": lx.LOWER, "retrocardiac": lx.LOWER, "infrahilar": lx.LOWER,
    "suprahilar": lx.UPPER, "perihilar": lx.CENTRAL, "parahilar": lx.CENTRAL,
}  # fmt: skip


def alternatives(template: str) -> Iterator[tuple[str, ...]]:
    """The words of all phrases of a template: ``{a|b} c`` -> ``(a, c)``, ``(b, c)``.

    Braces do not nest and do not split words.
    """
    parts = re.split(r"\{([^{}]*)\}", template)
    if any("{" in p or "}" in p for p in parts):
        raise lx.LexiconError(f"unbalanced braces in {template!r}")
    choices = [[phrase_words(c) for c in p.split("|")] if i % 2 else [phrase_words(p)] for i, p in enumerate(parts)]
    return (tuple(itertools.chain.from_iterable(c)) for c in itertools.product(*choices))


class _Builder:
    def __init__(self) -> None:
        self.trie: lx.Trie = {}
        self.leaves: dict[tuple[str, ...], lx.Leaf] = {}

    def leaf(self, template: str) -> Iterator[lx.Leaf]:
        if not isinstance(template, str):
            raise lx.LexiconError(f"not a phrase: {template!r}")
        for words in sorted(set(alternatives(template))):
            if not words:
                continue
            node = self.trie
            for word in words:
                node = node.setdefault(word, {})
            if None not in node:
                leaf = node[None] = self.leaves[words] = lx.Leaf()
                for i, word in enumerate(words):
                    leaf.side |= _WORD_SIDE.get(word, 0)
                    leaf.zone |= _WORD_ZONE.get(word, 0)
                    if word not in ("upper", "lower", "middle", "mid") or words[i + 1 : i + 3] == ("lung", "volume"):
                        continue
                    if words[i + 1 : i + 2] in (("lobe",), ("lung",)):
                        leaf.zone |= {"upper": lx.UPPER, "lower": lx.LOWER}.get(word, lx.MIDDLE)
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
                    node[None].rare |= lx.PAIRED
                    node[None].kind |= lx.ATTRIBUTE

    def inherit_cues(self) -> None:
        """What a word of a finding's phrase does to a denial: "no displaced fracture", "no effusion, old fracture"."""
        single = {
            words[0]: leaf.cue & (lx.PARTIAL | lx.NEVER) for words, leaf in self.leaves.items() if len(words) == 1
        }
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
                raise lx.LexiconError(f"{name} is its own ancestor")
            found.setdefault(ids[parent], distance)
    return dict(sorted(found.items(), key=lambda item: (item[1], item[0])))


def build(texts: Mapping[str, str]) -> lx.Lexicon:
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
            raise lx.LexiconError(f"{where}: unknown concept {unknown[0]!r}")
        return tuple(ids[n] for n in names)

    builder = _Builder()
    pairs: dict[tuple[int, int], int] = {}
    parents: dict[str, list[str]] = {}
    for name, entry in entries.items():
        if extra := entry.keys() - known:
            raise lx.LexiconError(f"concept {name}: unknown field {sorted(extra)[0]!r}")
        if not entry.get("asserts") or not entry.get("denies"):
            raise lx.LexiconError(f"concept {name}: needs a sentence that asserts it and one that denies it")
        if entry.get("weight") not in WEIGHTS:
            raise lx.LexiconError(f"concept {name}: weight must be one of {', '.join(WEIGHTS)}")
        if entry.get("mild", entry["weight"]) not in WEIGHTS:
            raise lx.LexiconError(f"concept {name}: mild must be one of {', '.join(WEIGHTS)}")
        is_a = entry.get("is_a", [])
        parents[name] = [is_a] if isinstance(is_a, str) else list(is_a)
        ids_of(parents[name], f"concept {name}")
        for template in entry["phrases"]:
            for leaf in builder.leaf(template):
                if leaf.concept not in (-1, ids[name]):
                    raise lx.LexiconError(f"{template!r} belongs to {list(ids)[leaf.concept]} and {name}")
                leaf.concept = ids[name]
        for pair in entry.get("with", []):
            place, _, word = pair.partition("+")
            try:
                first = -1 - ids[place[1:]] if place[:1] == "@" else anatomies[place]
                key = (first, ids[word[1:]] if word[:1] == "@" else -1 - descriptors[word])
            except KeyError as error:
                raise lx.LexiconError(f"concept {name}: unknown part {error} in pair {pair!r}") from None
            if pairs.setdefault(key, ids[name]) != ids[name]:
                raise lx.LexiconError(f"pair {pair!r} belongs to {list(ids)[pairs[key]]} and {name}")
    for name, entry in data["anatomy"].items():
        for template in entry["phrases"]:
            for leaf in builder.leaf(template):
                if leaf.anatomy not in (-1, anatomies[name]):
                    raise lx.LexiconError(f"{template!r} belongs to {list(anatomies)[leaf.anatomy]} and {name}")
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
        each.kind |= lx.GROWTH * (descriptors["enlarged"] in each.descriptors)
        each.keys = tuple(key for key in each.keys if key in described)
    builder.pair()

    concepts = tuple(
        lx.Concept(
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
    return lx.Lexicon(
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
    def each(group: Any) -> Iterator[lx.Leaf]:
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
            verb = lx.VERB | lx.PLURAL if leaf.change else lx.PLURAL if leaf.cue & (lx.NEG_AFTER | lx.UNC_AFTER) else 0
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
            leaf.cue |= builder.leaves[words[:1]].cue & lx.PREP


@lru_cache(maxsize=1)
def default() -> lx.Lexicon:
    """The shipped lexicon."""
    folder = resources.files("judges.rules")
    return build({name: (folder / name).read_text("utf-8") for name in FILES})
