"""Cases for how the rules judge reads radiologists' language, with the answers of a reader of chest films.

The files lie in `tests/judges/rules/cases`. An id decides by its hash whether a case is open, to work with, or kept, to
be looked at once the work is done: every third one is kept.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import orjson
import yaml

FOLDER: Final = Path(__file__).parents[1] / "tests/judges/rules/cases"
STATES: Final = ("absent", "uncertain", "present", "not_asserted")
SIDES: Final = ("left", "right")
SIGNIFICANCES: Final = ("major", "moderate", "minor")
# Per concept of the lexicon: the finding, its plural, with an article and with a definite one.
FINDINGS: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "pneumothorax": ("pneumothorax", "pneumothoraces", "a pneumothorax", "the pneumothorax"),
    "pleural_effusion": ("pleural effusion", "pleural effusions", "a pleural effusion", "the pleural effusion"),
    "consolidation": ("consolidation", "consolidations", "a consolidation", "the consolidation"),
    "cardiomegaly": ("cardiomegaly", "cardiomegaly", "cardiomegaly", "the cardiomegaly"),
}
_SLOT: Final = re.compile(r"\{([^}]*)\}")


class CasesError(ValueError):
    """A file of cases contradicts itself; the message names the case."""


class Identified(Protocol):
    """Any kind of case."""

    @property
    def id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Expected:
    """What a text says of one finding."""

    state: str
    tolerated: str | None = None
    """A second state that counts as read well enough."""
    side: str | None = None
    """The finding is present on this side and on no other."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A text and what it says of each finding, by concept."""

    id: str
    group: str
    text: str
    expected: Mapping[str, Expected]


@dataclass(frozen=True, slots=True)
class Form:
    """A way to speak of a finding, with slots for it."""

    id: str
    group: str
    template: str
    expected: Expected

    def statements(self) -> list[Statement]:
        """The form with each of the four findings."""
        return [
            Statement(self.id, self.group, fill(self.template, concept), {concept: self.expected})
            for concept in FINDINGS
        ]


@dataclass(frozen=True, slots=True)
class Edit:
    """A reference and a candidate that differs from it in one thing, which matters for the patient or does not."""

    id: str
    kind: str
    reference: str
    candidate: str
    important: bool


@dataclass(frozen=True, slots=True)
class RareFinding:
    """A finding with two ways to assert it and one to deny it; its name is its id."""

    id: str
    setting: str
    present: tuple[str, str]
    denied: str
    significance: str


@dataclass(frozen=True, slots=True)
class Wording:
    """A report and another one, which says the same in other words or differs in one thing that matters."""

    id: str
    study: str
    reference: str
    candidate: str
    same: bool
    kept: bool
    """All wordings of a study are in one part, which was drawn when they were written."""


@dataclass(frozen=True, slots=True)
class LaidOut:
    """A report in some layout, and the same in plain sentences."""

    id: str
    text: str
    plain: str


Case = TypeVar("Case", bound=Identified)
Made = TypeVar("Made")


def kept(identifier: str) -> bool:
    """Whether the case with this id is one of the third that is looked at only at the end."""
    return hashlib.sha256(identifier.encode()).digest()[0] % 3 == 0


def part(cases: Iterable[Case], *, of_kept: bool) -> list[Case]:
    """The kept cases, or the open ones."""
    return [case for case in cases if kept(case.id) == of_kept]


def fill(template: str, concept: str) -> str:
    """The form with this finding in its slots. Raises `CasesError` for a slot that is not known."""
    one, several, with_article, definite = FINDINGS[concept]
    words = {"finding": one, "findings": several, "a finding": with_article, "the finding": definite}
    words |= {name[0].upper() + name[1:]: word[0].upper() + word[1:] for name, word in words.items()}
    words["FINDING"] = one.upper()
    unknown = set(_SLOT.findall(template)) - set(words)
    if unknown:
        raise CasesError(f"{template!r}: no slot is called {sorted(unknown)}; there are {sorted(words)}")
    return _SLOT.sub(lambda slot: words[slot.group(1)], template)


def forms(folder: Path = FOLDER) -> list[Form]:
    """All forms of the files `denial*.yaml`. Raises `CasesError`."""
    files = [_load(path)["groups"] for path in sorted(folder.glob("denial*.yaml"))]
    return _distinct(
        (
            _made(key, _form, key, name, group)
            for groups in files
            for name, group in groups.items()
            for key in group["forms"]
        ),
        lambda form: form.template,
    )


def grammar(path: Path = FOLDER / "grammar.jsonl") -> list[Form]:
    """Sentences that two grammars of denial, doubt and assertion make; a sample of each production.

    Raises `CasesError` that names the line.
    """
    made = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        made.append(_made(f"line {number}", _production, orjson.loads(line)))
    return _distinct(made, lambda form: form.template)


def _production(entry: Mapping[str, str]) -> Form:
    fill(entry["text"], "pneumothorax")
    return Form(entry["id"], entry["group"], entry["text"], _expected(entry["reads"], entry.get("also")))


def layouts(path: Path = FOLDER / "layouts.jsonl") -> list[LaidOut]:
    """Reports as files and models lay them out, each with the same in plain sentences."""
    return [LaidOut(**orjson.loads(line)) for line in path.read_bytes().splitlines()]


def lists(folder: Path = FOLDER) -> list[Statement]:
    """All lists of the files `denial*.yaml`. Raises `CasesError`."""
    files = [_load(path).get("lists", {}) for path in sorted(folder.glob("denial*.yaml"))]
    return _distinct(
        (_made(key, _list, key, entry) for entries in files for key, entry in entries.items()), lambda one: one.text
    )


def edits(folder: Path = FOLDER) -> list[Edit]:
    """All pairs of `edits.yaml`. Raises `CasesError`."""
    kinds = _load(folder / "edits.yaml")["kinds"]
    return _distinct(
        (_made(key, _edit, key, name, kind) for name, kind in kinds.items() for key in kind["pairs"]),
        lambda edit: (edit.reference, edit.candidate),
    )


def rare_findings(folder: Path = FOLDER) -> list[RareFinding]:
    """All findings of `rare_findings.yaml`. Raises `CasesError`."""
    settings = _load(folder / "rare_findings.yaml")["settings"]
    return _distinct(
        (_made(name, _rare, name, setting, entries[name]) for setting, entries in settings.items() for name in entries),
        lambda finding: finding.present[0],
    )


def _form(key: str, name: str, group: dict[str, Any]) -> Form:
    template = group["forms"][key]
    if not _SLOT.search(template):
        raise CasesError(f"no slot for the finding in {template!r}")
    fill(template, "pneumothorax")
    return Form(key, name, template, _expected(group["reads"], group.get("also")))


def _list(key: str, entry: dict[str, Any]) -> Statement:
    states = {}
    for concept, said in entry["states"].items():
        if concept not in FINDINGS:
            raise CasesError(f"{concept!r} is none of {', '.join(FINDINGS)}")
        either = said.split(" or ")
        state, _, side = either[0].partition(" ")
        states[concept] = _expected(state, either[1] if either[1:] else None, side or None)
    return Statement(key, "lists", entry["text"], states)


def _edit(key: str, name: str, kind: dict[str, Any]) -> Edit:
    pair = kind["pairs"][key]
    if pair["reference"] == pair["candidate"]:
        raise CasesError("reference and candidate are the same")
    if not isinstance(kind["important"], bool):
        raise CasesError("important must be true or false")
    return Edit(key, name, pair["reference"], pair["candidate"], kind["important"])


def _rare(name: str, setting: str, entry: dict[str, Any]) -> RareFinding:
    first, second = entry["present"]
    if len({first, second, entry["denied"]}) < 3:
        raise CasesError("two of its three sentences are the same")
    if entry["significance"] not in SIGNIFICANCES:
        raise CasesError(f"significance must be one of {', '.join(SIGNIFICANCES)}")
    return RareFinding(name, setting, (first, second), entry["denied"], entry["significance"])


def wordings(path: Path = FOLDER / "wordings.jsonl") -> list[Wording]:
    """Raises `CasesError` that names the line."""
    made = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        made.append(_made(f"line {number}", _wording, orjson.loads(line)))
    return _distinct(made, lambda one: (one.reference, one.candidate))


def _wording(entry: Mapping[str, str]) -> Wording:
    if entry["says"] not in ("same", "other") or entry["part"] not in ("open", "kept"):
        raise CasesError("says is same or other, part is open or kept")
    same, kept = entry["says"] == "same", entry["part"] == "kept"
    return Wording(entry["id"], entry["study"], entry["reference"], entry["candidate"], same, kept)


def _expected(state: str, tolerated: str | None = None, side: str | None = None) -> Expected:
    for said in (state, *([tolerated] if tolerated else [])):
        if said not in STATES:
            raise CasesError(f"{said!r} is none of {', '.join(STATES)}")
    if side is not None and (state != "present" or side not in SIDES):
        raise CasesError(f"{state} {side}: a side, {' or '.join(SIDES)}, goes with present alone")
    return Expected(state, tolerated, side)


def _made(key: str, make: Callable[..., Made], *arguments: object) -> Made:
    """What `make` makes; whatever is wrong with the entry names it."""
    try:
        return make(*arguments)
    except CasesError as error:
        raise CasesError(f"{key}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CasesError(f"{key}: a field is missing or has another shape ({error!r})") from None


def _distinct(cases: Iterable[Case], content: Callable[[Case], Hashable]) -> list[Case]:
    """The cases, once it is certain that no two have one id or say the same."""
    ids: set[str] = set()
    contents: dict[Hashable, str] = {}
    checked = []
    for case in cases:
        if case.id in ids:
            raise CasesError(f"{case.id}: two cases have this id")
        earlier = contents.setdefault(content(case), case.id)
        if earlier != case.id:
            raise CasesError(f"{case.id} says the same as {earlier}")
        ids.add(case.id)
        checked.append(case)
    return checked


class _Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error: PyYAML alone keeps the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise CasesError(f"{sorted(map(str, twice))}: stands twice in one mapping{node.start_mark}")
        return super().construct_mapping(node, deep)


def _load(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8") as file:
        loaded: dict[str, Any] = yaml.load(file, Loader=_Loader)
    return loaded
