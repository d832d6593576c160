"""Findings that a file tells field by field, made sentences: rows of a table, "Side: left" in one line or in several.

A program writes a finding as a record: its name in one field, and what is true of it in others. Whoever reads it needs
them together. A record is known by the names of its fields; what has none of these stays as it is. All is linear in the
length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, zip_longest
from operator import itemgetter
from typing import Final, NamedTuple

from judges.draft import Draft
from judges.section_names import spelled_out

FEW, SURE = 0.15, 0.85
"""A probability below the first denies, one above the second asserts."""

NAME, STATE, _SIDE, _PLACE, _TIP, _SIZE, _CHANGE, _NOTE, _CHANCE, _WAY, _YES, _NO, _RIGHT, _LEFT = (
    "name", "state", "side", "place", "tip", "size", "change", "note", "chance", "way", "yes", "no", "right", "left"
)  # fmt: skip
_KEYS: Final[Mapping[str, str]] = {
    key: role
    for role, keys in {
        NAME: "finding,name,observation,abnormality,pathology,condition,label,entity,diagnosis,feature,sign,item,type,"
        "line/tube,tube/line,line,tube,lines/tubes,lines,tubes,support device,"
        "structure,parameter,finding name,what,concept,element,device,organ",
        STATE: "state,status,present,presence,result,value,assessment,found,detected,exists,finding present,verdict,"
        "polarity,answer,seen,visible,positive,evaluation,certainty,reading,y/n,yes/no,present/absent",
        _SIDE: "side,laterality,lateral,sides,lat",
        _TIP: "tip,tip position,tip location,tip level",
        _PLACE: "location,loc,lobe,zone,region,site,position,where,anatomy,anatomic location,anatomical location,level",
        _SIZE: "size,severity,grade,extent,amount,degree,magnitude,volume,measurement",
        _CHANGE: "change,trend,comparison,progression,interval change,interval,evolution,since prior",
        _NOTE: "comment,comments,note,notes,detail,details,description,remark,remarks,qualifier,qualifiers,descriptor,"
        "descriptors,modifier,modifiers,morphology,character,text",
        _CHANCE: "prob,probability,confidence,score,likelihood,p,conf,probability score",
        _WAY: "direction,towards,toward",
        _YES: "yes",
        _NO: "no,absent,not present,negative",
        _RIGHT: "right,rt,r,right side,right lung",
        _LEFT: "left,lt,l,left side,left lung",
    }.items()
    for key in keys.split(",")
}
"""What the fields of a record are called, and what each says."""
ATTRIBUTES: Final = frozenset(key for key, role in _KEYS.items() if role not in (NAME, _YES, _NO, _RIGHT, _LEFT, _NOTE))
"""Names of the fields that describe a finding."""
DESCRIBING: Final = frozenset((
    "present", "presence", "side", "laterality", "location", "size", "severity", "status", "certainty", "grade", "zone",
    "lobe", "detected", "extent", "polarity",
))  # fmt: skip
"""Those of which one is enough to know an object that describes a finding."""
FIGURES: Final = frozenset(key for key, role in _KEYS.items() if role in (STATE, _CHANCE)) | {"label"}
"""Those whose figures say something."""
_OF_LINES: Final = frozenset((
    "finding", "observation", "abnormality", "pathology", "condition", "label", "entity", "sign", "feature",
    "finding name", "device",
))  # fmt: skip
"""Fields that may begin a record in lines of its own; a "name" or "type" there is that of a patient or a file."""
_TELLING: Final = frozenset((STATE, _SIDE, _SIZE, _CHANCE, _WAY))
_IN_TABLE: Final = frozenset((STATE, _SIDE, _SIZE, _CHANCE, _YES, _RIGHT, _CHANGE, _TIP))
"""Of these a record has one besides its name, and a table a column."""
_DEVICES: Final = frozenset(("device", "devices", "line", "lines", "tube", "tubes", "line/tube", "support device"))
_ABSENT: Final = frozenset((
    "absent", "no", "n", "none", "negative", "neg", "false", "0", "0.0", "nil", "not present", "not seen",
    "not detected", "not identified", "not found", "not visualized", "excluded", "ruled out", "denied", "❌", "✗", "✘",
    "☐", "-ve", "(-)", "absence", "not observed", "not visible", "no evidence",
))  # fmt: skip
_PRESENT: Final = frozenset((
    "present", "yes", "y", "positive", "pos", "true", "1", "1.0", "seen", "detected", "identified", "found", "visible",
    "visualized", "definite", "confirmed", "observed", "✓", "✔", "✅", "☑", "☒", "+", "+ve", "(+)", "x",
    "definitely present", "abnormal present",
))  # fmt: skip
_POSSIBLE: Final = frozenset((
    "possible", "possibly", "possibly present", "uncertain", "equivocal", "suspected",
    "indeterminate", "maybe", "?", "-1", "-1.0", "unsure", "suspicious", "cannot be excluded", "not excluded",
))  # fmt: skip
_PROBABLE: Final = frozenset(("probable", "probably", "likely", "probably present", "likely present"))
"""What a sentence says in the same word, which reads as it does there."""
_SHAPES: Final = frozenset((
    "normal", "enlarged", "increased", "decreased", "top normal", "borderline", "upper limits of normal",
    "within normal limits", "not enlarged",
))  # fmt: skip
"""What a size says of an organ, where it is no grade of a finding."""
_NOTHING: Final = frozenset(
    ("", "-", "–", "—", "--", "n/a", "na", "null", "nan", "not applicable", ".", "/", "n.a.", "unspecified")
)
_SIDES: Final[Mapping[str, str]] = {
    "left": "left", "l": "left", "lt": "left", "left-sided": "left", "left side": "left",
    "right": "right", "r": "right", "rt": "right", "right-sided": "right", "right side": "right",
    "both": "bilateral", "bilateral": "bilateral", "b": "bilateral", "b/l": "bilateral", "both sides": "bilateral",
    "bilaterally": "bilateral", "left and right": "bilateral", "right and left": "bilateral",
    "left, right": "bilateral",
}  # fmt: skip
_OF_FILES: Final = frozenset(
    ("final", "preliminary", "signed", "verified", "completed", "complete", "draft", "amended")
)
_PREPOSITION: Final = re.compile(
    r"(?:in|at|of|on|within|near|above|below|over|behind|overlying|along|to|tip|terminates)\b", re.I
)
_WELL: Final = frozenset(
    ("satisfactory", "good", "appropriate", "adequate", "correct", "standard", "proper", "optimal")
)
_LOBE: Final = re.compile(r"(?:(?:right|left) )?(?:upper|lower|middle|mid)(?: (?:right|left))?\Z", re.I)
_IN_LUNG: Final = re.compile(
    r"(?:right|left|both|upper|lower|middle|mid|apex|apical|basal|base|bases|hil|retrocardiac)", re.I
)
_CHANCES: Final[Mapping[str, str]] = {
    "very low": "absent", "negligible": "absent", "low": "possible", "moderate": "possible", "medium": "possible",
    "intermediate": "possible", "high": "present", "very high": "present",
}  # fmt: skip
"""Probabilities in words."""
_FIGURE: Final = re.compile(r"[<>~≤≥]?[ ]?(?P<number>\d+(?:\.\d+)?)[ ]?(?P<percent>%?)")
_ASKEW: Final = 2  # blanks by which a cell may stand before its column
TELLS: Final = re.compile(r"\b(?:is|are|was|were|has|have|tip|no|not|with)\b|\.\s", re.I)
"""A note with one of these is a sentence of its own."""
_SHORT: Final = 6  # words of a note that says what a finding is like
_STATED: Final = 8  # words of a state
_NAMED: Final = 8  # words of the name of a finding

_ATTRIBUTE: Final = re.compile(r"([\w:-]{1,40})\s*=\s*[\"']([^\"'<>]{1,80})[\"']")
_GRADE: Final = re.compile(
    r"(?:trace|tiny|small|mild|minimal|slight|moderate|large|severe|massive|marked|multiple|several|few|single|solitary)"
    r"(?: to \w+)?|\d+(?:\.\d+)? ?[mc]m",
    re.I,
)
_UNIT: Final = re.compile(r"(?:size|diameter|length|width|height|depth)[_ ]?\(?(mm|cm)\)?\Z", re.I)
_ASKED: Final = re.compile(
    r"(?:(?:Q|Question)?[ ]?\d{0,2}[.:)]?[ ]+)?"
    r"(?P<name>(?!is |are |does |do |has |any |was )[A-Za-z][^?:\n]{2,40})\?[ ]*[-–:]?[ ]*"
    r"(?P<answer>yes|no|none|absent|present|possible|uncertain|unsure|nil)\b[ ]?(?P<rest>.{0,120})\Z",
    re.I,
)
"""A question and its answer in a line: "Q2 Effusion? Yes - left, large"."""
_ORDINAL: Final = re.compile(
    r"[ \t]*(?:finding|lesion|observation|abnormality|item)[ ]?#?\d{1,2}(?: of \d{1,2})?:?[ \t]*", re.I
)
"""The line above the fields of a record: "Finding 1 of 3"."""
_EMPTY: Final = re.compile(r"\[ ?\]|\( ?\)|[☐○]")
_KEY: Final = re.compile(r"\([^)]{0,30}\)|[?*_#`\"']+")
_FIELD: Final = re.compile(r"[ \t]*(?P<key>[A-Za-z*_`\"][\w /?()*`\"'-]{0,40})[:=](?P<value>.*)\Z", re.S)
_SEPARATORS: Final = (";", "|", ",", "\t", " - ", " – ")
_ITEM: Final = re.compile(r"[ \t]*(?:[-*•][ \t]+|(?:\d{1,3}\.\d{1,2}[.)]?|\(?(?:\d{1,3}|[a-h])[.)])[ \t]+)?")
_ASSIGNED: Final = re.compile(
    r"[ \t]*(?P<key>[A-Za-z][A-Za-z0-9_]{2,40})[ ]?=[ ]?[\"']?(?P<value>[^=\"'()\n]{1,60}?)[\"']?[ ]?"
    r"(?:\((?P<rest>[^()\n]{1,80})\))?[ ]?\Z"
)
_ACRONYM: Final = 4  # letters
_PARENT: Final = re.compile(r"(?P<indent>[ \t]*)(?:[-*][ \t]+)?(?P<name>[A-Za-z][\w /-]{1,60}):[ \t]*\Z")
_GAPS: Final = re.compile(r"[ \t]{2,}")
_RULE: Final = re.compile(r"[\s|:+=_─-]*\Z")
_LEGEND: Final = re.compile(
    r"(?:(?:key|legend)[ ]?:)?[ ]?\(?"
    r"(?P<all>[^\s,;=()]{1,8}[ ]?=[^,;=()]{1,20}(?:[,;][ ]?[^\s,;=()]{1,8}[ ]?=[^,;=()]{1,20})+)\)?",
    re.I,
)
_FIELDS: Final = 14  # of one record
_NAMES: Final = sorted(key for key, role in _KEYS.items() if role not in (_NOTE, _NO, _RIGHT, _LEFT))
_HINT: Final = re.compile(
    "(?<![A-Za-z])(?=[A-Za-z])(?:"
    + "|".join(  # by first letters, so that a word is not held against every name
        first + "(?:" + "|".join(re.escape(name[1:]) for name in names) + ")"
        for first, names in groupby(_NAMES, key=itemgetter(0))
    )
    + ")"
    r"[?*_`\"')]{0,4}(?:[ ]\([^)\n]{1,20}\))?[ ]?(?:[:=|\t,;]|[ ]{2}|\n|\Z)"
    r"|\?[ ]?[-–:]?[ ]?(?:yes|no|none)\b",
    re.I,
)
"""The name of a field where it ends."""

_SIDE_BELOW: Final = re.compile(r"\n[ \t]*(?:[ab]\)[ ]|[-*•][ ])?(?:right|left)[ ]?:", re.I)
_STATE_CELL: Final = re.compile(r"\|[ ]?(?:absent|present|no|yes|none|negative|positive)[ ]?(?:\||$)", re.I | re.M)
_Record = dict[str, str]


class _Line(NamedTuple):
    start: int
    end: int
    text: str


def may_hold(text: str) -> bool:
    """Whether a text may have records: a look that costs little where it has none."""
    if not ("\n" in text or "|" in text or (":" in text and (";" in text or "," in text))):
        return False
    return (
        _HINT.search(text) is not None
        or ("\n" in text and _SIDE_BELOW.search(text) is not None)
        or ("|" in text and _STATE_CELL.search(text) is not None)
    )


def take_off(draft: Draft) -> None:
    """Make sentences of the records of a text."""
    if may_hold(draft.text):
        draft.edit(_edits(draft.text))


def _role(key: str) -> str:
    """What a field of this name says; "" where the name is none of a record."""
    return _KEYS.get(_KEY.sub(" ", spelled_out(key)).strip().lower(), "")


def _edits(text: str) -> Iterator[tuple[int, int, str]]:
    lines = []
    start = 0
    for line in text.split("\n"):
        lines.append(_Line(start, start + len(line), line))
        start += len(line) + 1
    i = 0
    while i < len(lines):
        line = lines[i].text
        found: tuple[int, list[tuple[int, int, str]]] = (0, [])
        if "=" in line and (assigned := _ASSIGNED.fullmatch(line)) and _assigns(lines, i):
            found = (1, [(lines[i].start, lines[i].end, _of_assigned(assigned))])
        elif "?" in line and (asked := _ASKED.fullmatch(line.strip())):
            told = {NAME: asked["name"], STATE: asked["answer"], _NOTE: asked["rest"].strip(" -–,;:.")}
            found = (1, [(lines[i].start, lines[i].end, sentence(told))])
        elif _ORDINAL.fullmatch(line) and i + 1 < len(lines):
            taken, edits = _of_lines(lines, i + 1, sure=True)
            found = (taken + 1, [(lines[i].start, lines[i].end, ""), *edits]) if taken else found
        elif ":" in line or "=" in line:
            said = _of_line(line)
            found = (1, [(lines[i].start, lines[i].end, said)]) if said else _of_lines(lines, i)
            found = found if found[0] else _of_sides(lines, i)
        elif line:
            found = _of_table(lines, i) if i + 1 < len(lines) else found
            found = found if found[0] else _headless(lines, i)
            found = found if found[0] else _of_sides(lines, i)
        taken, edits = found
        yield from edits
        i += max(1, taken)


# ----- fields of one line, or of lines of their own -------------------------------------------------------------------


def _of_line(line: str, *, whole: bool = True) -> str:
    """The sentence of "Finding: effusion; Side: left; Status: present", or of "effusion: side: left, present: yes"."""
    lead = _ITEM.match(line)
    body = line[lead.end() if lead else 0 :].rstrip().rstrip(".").strip("{}| ")
    for separator in _SEPARATORS:
        if separator in body:
            parts = [part for part in body.split(separator) if part.strip()]
            if separator == ";" and whole and "," in body:  # a record in each part
                several = [_of_line(part, whole=False) for part in parts]
                if len(several) > 1 and all(several):
                    return " ".join(several)
            if separator == "," and ";" in body:
                return ""
            said = (_told(_fields(parts) or {}) or _named(parts)) if parts else ""
            if said and len(parts) > 1:
                return said
    if _is_legend(body):
        return " "
    name, _, rest = body.partition(":")
    field = _fields([rest]) if rest.count(":") == 1 and not _role(name) else None  # "effusion: present: yes"
    return _told({NAME: spelled_out(name), **field}) if field is not None and NAME not in field else ""


def _named(parts: Sequence[str]) -> str:
    """The sentence of a record before whose fields a name stands: "effusion: side: left, present: yes".

    "Effusion: present; side: left" is one, too; "findings: label: effusion, status: present" has a heading before it.
    """
    name, _, first = parts[0].partition(":")
    if not first or _role(name):
        return ""
    name = spelled_out(name.strip())
    if told_state(first.strip(), ""):
        return _told({NAME: name, STATE: first.strip(), **(_fields(parts[1:]) or {NAME: "", _SIDE: ""})})
    fields = _fields([first, *parts[1:]])
    if fields is None:
        return ""
    said = _told(fields)
    return f"{name}: {said}" if said else _told({NAME: name, **fields})


def _is_legend(body: str) -> bool:
    """Whether a line says what signs stand for: "(x = present, blank = not present)"."""
    found = _LEGEND.fullmatch(body)
    meanings = [each.partition("=")[2].strip() for each in re.split("[,;]", found["all"])] if found else []
    return len(meanings) > 1 and all(told_state(meaning, "") for meaning in meanings)


def _fields(parts: Sequence[str]) -> _Record | None:
    """These "key: value" by what their keys say; None where one is no field of a record, or two say the same."""
    if len(parts) > _FIELDS:
        return None
    fields: _Record = {}
    for part in parts:
        found = _FIELD.match(part)
        role = _role(found["key"]) if found else ""
        if found and role == NAME and _FIGURE.fullmatch(found["value"].strip().removeprefix("-")):
            role = STATE  # "label: 1"
        if found and (unit := _UNIT.search(found["key"])):
            role, found_value = _SIZE, f"{found['value'].strip()} {unit[1]}"
            if role in fields:
                return None
            fields[role] = found_value
            continue
        if role == _SIZE and found and found["value"].strip().lower() in _SHAPES:
            role = STATE  # "size: enlarged"
        if found is None or not role or role in fields or role in (_YES, _NO, _RIGHT, _LEFT):
            return None
        fields[role] = _lobed(found["key"], found["value"].strip(": \t"))
    return fields


def _lobed(key: str, value: str) -> str:
    """A lobe or zone with its noun: "lobe: right upper"."""
    noun = key.strip().lower()
    return f"{value} {noun}" if noun in ("lobe", "zone") and _LOBE.match(value) else value


def _told(fields: _Record) -> str:
    """The sentence of a record that has a name and tells something of it; else ""."""
    if NAME not in fields or _TELLING.isdisjoint(fields) or fields.get(STATE, "").lower() in _OF_FILES:
        return ""
    return sentence(fields)


def _of_lines(lines: Sequence[_Line], i: int, *, sure: bool = False) -> tuple[int, list[tuple[int, int, str]]]:
    """How many lines from `i` are one record, each a field, or its name with what is said of it indented below.

    `sure`: a record begins here, whatever its first field is called.
    """
    first = _FIELD.match(lines[i].text[len(_item(lines[i].text)) :])
    parent = _PARENT.match(lines[i].text)
    fields: _Record = {}
    if parent is not None and not _role(parent["name"]):
        fields[NAME] = spelled_out(parent["name"])
    elif (
        first is not None
        and first["value"].strip()
        and (_role(first["key"]) == NAME if sure else _begins(lines[i].text, first["key"]))
    ):
        fields[NAME] = first["value"].strip()
    else:
        return 0, []
    end = i + 1
    while end < len(lines) and end - i < _FIELDS:
        line = lines[end].text
        if parent is not None and len(line) - len(line.lstrip()) <= len(parent["indent"]):
            break
        more = _fields([line]) if ":" in line or "=" in line else None
        if more is None or not fields.keys().isdisjoint(more):
            break
        fields |= more
        end += 1
    deeper = parent is not None and end < len(lines) and _indent(lines[end].text) > len(parent["indent"])
    said = (sentence(fields) if sure else _told(fields)) if end > i + 1 and not deeper else ""
    return (end - i, [(lines[i].start, lines[end - 1].end, said)]) if said else (0, [])


def _of_sides(lines: Sequence[_Line], i: int) -> tuple[int, list[tuple[int, int, str]]]:
    """The name of a finding in a line from `i`, and its two sides in the next ones: "right: small", "left: none"."""
    name = lines[i].text[len(_item(lines[i].text)) :].strip().rstrip(":")
    sides: _Record = {}
    end = i + 1
    while end < len(lines) and len(sides) < 2 and ":" in lines[end].text:
        field = _FIELD.match(lines[end].text[len(_item(lines[end].text)) :])
        role = _role(field["key"]) if field is not None else ""
        value = field["value"].strip() if field is not None else ""
        told = told_state(value, "") or _GRADE.fullmatch(value)
        if role not in (_RIGHT, _LEFT) or role in sides or not told:
            break
        sides[role] = value
        end += 1
    if not sides or not name[:1].isalpha() or len(name.split()) > _SHORT:
        return 0, []
    said = " ".join(sentence({NAME: name, _SIDE: side, STATE: sides[side]}) for side in sides)
    return (end - i, [(lines[i].start, lines[end - 1].end, said)]) if said.strip() else (0, [])


def _assigns(lines: Sequence[_Line], i: int) -> bool:
    """Whether a line beside this one has the form, too: "HEART_SIZE=normal"."""
    beside = [lines[j].text for j in (i - 1, i + 1) if 0 <= j < len(lines)]
    return any(_ASSIGNED.fullmatch(line) for line in beside)


def _of_assigned(found: re.Match[str]) -> str:
    """The sentence of a name and what it is set to, with a remark in brackets."""
    name = spelled_out(found["key"])
    name = name.lower() if name.isupper() and len(name) > _ACRONYM else name
    if told_state(found["value"], ""):
        return sentence({NAME: name, STATE: found["value"], _NOTE: found["rest"] or ""})
    return f"{name}: {found['value']}{', ' if found['rest'] else ''}{found['rest'] or ''}."


def _begins(line: str, key: str) -> bool:
    """Whether a field in a line of its own begins a record: its name, which in a list may be just "name"."""
    key = _KEY.sub(" ", key).strip().lower()
    return key in _OF_LINES or (line.lstrip().startswith("- ") and _KEYS.get(key) == NAME)


def _item(line: str) -> str:
    found = _ITEM.match(line)
    return found.group() if found else ""


def _indent(line: str) -> int:
    """The blanks before the first word; -1 in a line without words."""
    return len(line) - len(line.lstrip()) if line.strip() else -1


# ----- tables ---------------------------------------------------------------------------------------------------------


def _of_table(lines: Sequence[_Line], i: int) -> tuple[int, list[tuple[int, int, str]]]:
    """How many lines from `i` are a table whose columns are the fields of records, with the edits."""
    for way in _splits(lines[i].text):
        roles, split = _columns(lines[i].text, way)
        known = {role for role in roles if role}
        tells = not known.isdisjoint(_IN_TABLE) or (_PLACE in known and split(lines[i].text)[0].lower() in _DEVICES)
        if len(known) < 2 or NAME not in known or roles.count("") > 1 or not tells:
            continue
        edits = [(lines[i].start, lines[i].end, ""), *_rows(lines, i, roles, split)]
        if any(said for _, _, said in edits):
            return len(edits), edits
    return 0, []


def _columns(header: str, split: _Split) -> tuple[list[str], _Split]:
    """What each column of a table says, by its name, and how its lines are cut."""
    roles = [_role(cell) for cell in split(header)]
    if roles[:1] == [""] and {_RIGHT, _LEFT} == set(roles[1:]):
        roles[0] = NAME
    elif {_RIGHT, _LEFT} == set(roles) and not split.sign and header[:1].isspace():
        roles, split = [NAME, *roles], _Split("", (0, *split.columns))  # the column of the names has none
    if _NO in roles and not {STATE, _YES}.intersection(roles):
        roles = ["" if role == _NO else role for role in roles]  # the number of a row
    return roles, split


def _rows(lines: Sequence[_Line], i: int, roles: list[str], split: _Split) -> list[tuple[int, int, str]]:
    """The edits of the lines below a header at `i`, one each."""
    edits: list[tuple[int, int, str]] = []
    grid = i > 0 and lines[i - 1].text.lstrip().startswith("+")
    above: list[str] = []  # in a grid the row before, where no rule stands between
    at = 0  # and its edit
    for line in lines[i + 1 :]:
        cells = split(line.text) if line.text.strip() else []
        said = ""
        if _RULE.match(line.text):
            if not line.text.strip():
                break
            above = []
        elif len(cells) > len(roles) or (len(cells) < 2 and "\t" not in line.text):
            break
        elif above and _goes_on(above, cells):  # a cell of two lines
            above = [f"{one} {more}".strip() for one, more in zip_longest(above, cells, fillvalue="")]
            edits[at] = (*edits[at][:2], _row(roles, above))
        else:
            said, at, above = _row(roles, cells), len(edits), cells if grid else []
        edits.append((line.start, line.end, said))
    return edits


def _goes_on(above: Sequence[str], cells: Sequence[str]) -> bool:
    """Whether a line of a grid only goes on with some cells of the row above it."""
    return 0 < sum(bool(cell) for cell in cells) < len(above) and not told_state(cells[1] if len(cells) > 1 else "", "")


def _headless(lines: Sequence[_Line], i: int) -> tuple[int, list[tuple[int, int, str]]]:
    """How many lines from `i` are a table without a header, known by a state in the second cell of each."""
    for sign in (";", "\t", ",", "|"):
        split = _Split(sign)
        columns = len(split(lines[i].text)) if sign in lines[i].text else 0
        edits: list[tuple[int, int, str]] = []
        told = False  # by a word: figures alone may be anything
        for line in lines[i:] if columns > 1 else ():
            cells = split(line.text)
            if len(cells) != columns or not told_state(cells[1], "") or not cells[0] or len(cells[0].split()) > _NAMED:
                break
            told = told or (len(cells[1]) > 1 and cells[1][0].isalpha())
            roles = [NAME, STATE, *map(_guessed, cells[2:])]
            edits.append((line.start, line.end, _row(roles, cells)))
        if (len(edits) > 1 and told) or (
            edits and columns > 2 and all(_guessed(cell) != _NOTE for cell in split(lines[i].text)[2:])
        ):
            return len(edits), edits
    return 0, []


def _guessed(cell: str) -> str:
    """What a cell says whose column has no name."""
    if cell.lower() in _NOTHING:
        return ""
    return _SIDE if cell.lower() in _SIDES else _SIZE if _GRADE.fullmatch(cell) else _NOTE


class _Split(NamedTuple):
    """Cuts a line into cells, at a sign or at the columns where those of the header begin."""

    sign: str
    columns: tuple[int, ...] = ()

    def __call__(self, line: str) -> list[str]:
        if not self.sign:
            cells = [""] * len(self.columns)
            chunks = _chunks(line)
            if len(chunks) == len(cells):
                return [line[start:end].strip() for start, end in chunks]
            for n, (start, end) in enumerate(chunks):
                at = max((k for k, column in enumerate(self.columns) if n and column <= start + _ASKEW), default=0)
                cells[at] = f"{cells[at]} {line[start:end]}".strip()
            return cells
        body = line.strip(" ").strip(self.sign) if self.sign == "|" else line
        return [cell.strip().strip('*_`"').strip() for cell in body.split(self.sign)]


def _splits(header: str) -> Iterator[_Split]:
    """The ways in which this line may be the header of a table."""
    for sign in ("|", "\t", ";", ","):
        if sign in header:
            yield _Split(sign)
    if "   " in header.strip() or len(_chunks(header)) > 1:
        yield _Split("", tuple(start for start, _ in _chunks(header)))


def _chunks(line: str) -> list[tuple[int, int]]:
    """Where the words begin and end between gaps of two blanks or more."""
    edges = [0]
    for gap in _GAPS.finditer(line):
        edges += gap.span()
    edges.append(len(line))
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if line[a:b].strip()]


def _row(roles: Sequence[str], cells: Sequence[str]) -> str:
    """The sentences of one row."""
    fields: _Record = {}
    for role, cell in zip(roles, cells, strict=False):
        if role == STATE and _NO in roles:  # "Present" beside "Absent" is a column for a cross
            role = _YES
        if (cell.lower() in _NOTHING or _EMPTY.fullmatch(cell) or not role) and role != NAME:
            continue  # what stands in a column that nobody knows may be of another film
        fields[role] = f"{fields[role]}, {cell}" if role in fields else cell
    if _NO in fields or _YES in fields:
        fields[STATE] = "present" if _YES in fields and fields[_YES].lower() not in _ABSENT else "absent"
    if fields.keys() <= {NAME} and {STATE, _YES}.intersection(roles):
        return ""  # nothing is told of it
    sides = [side for side in (_RIGHT, _LEFT) if side in fields]
    if sides:
        return " ".join(sentence({**fields, _SIDE: side, STATE: fields[side]}) for side in sides)
    return sentence(fields)


# ----- a record as a sentence -----------------------------------------------------------------------------------------


def sentence(fields: Mapping[str, str]) -> str:
    """What a record says, in words; "" where it names nothing."""
    told = {role: value for role in fields if (value := fields[role].strip(" \t\r\"'`")).lower() not in _NOTHING}
    name = spelled_out(told.get(NAME, "")).rstrip(":.")
    name = name[:1].lower() + name[1:] if name[1:2].islower() else name
    if not name or len(name.split()) > _NAMED:
        return ""
    state = told.get(STATE, "").rstrip(".")
    size = told.get(_SIZE, "")
    if not state and size.lower() in _ABSENT:
        state, size = "absent", ""
    stated = told_state(state, told.get(_CHANCE, ""))
    side, place = _where(told)
    note = told.get(_NOTE, "").rstrip(".")
    if tip := told.get(_TIP, "").rstrip("."):
        note = f"{note}. Tip {'' if _PREPOSITION.match(tip) or tip[:1].isdigit() else 'in '}{tip}".removeprefix(". ")
    if stated == "absent":
        comment = f" {_capital(note)}." if note else ""
        return _capital(f"no {'' if side == 'bilateral' else side} {name}{place}.") + comment
    measured = bool(re.search(r"\d", size))
    words = f"{'' if measured else size.lower()} {side} {name}"
    if told.get(_WAY):
        place += f" to the {told[_WAY]}"
    after = [f"measuring {size}"] if measured else []
    after += [told[_CHANGE]] if _CHANGE in told else []
    short = len(note.split()) <= _SHORT and not TELLS.search(note)
    after += [note] if note and short else []
    tail = f"{place}{''.join(f', {each}' for each in after)}"
    if stated in ("possible", "probable"):
        said = f"{stated} {words}{tail}."
    elif stated == "present" or not state:
        said = f"{words}{tail}."
    elif state.lower() in _SHAPES:
        said = f"{side} {name}{tail}: {words.split(f' {side} {name}')[0]} {state}."
    elif len(state.split()) <= _STATED:
        said = f"{words}{tail}: {state}."
    else:
        said = f"{words}{tail}. {_capital(state)}."
    return _capital(said) + ("" if short or not note else f" {_capital(note)}.")


def leaf(name: str, attributes: str, state: str) -> str:
    """The sentence of an element or key that has the name of a finding and its state; "" where it is none."""
    parts = [f"{key}: {value}" for key, value in _ATTRIBUTE.findall(attributes)]
    fields = _fields(parts) if parts else {}
    if _role(name) == NAME and fields and NAME not in fields and not TELLS.search(state):
        return _told({**fields, NAME: state})  # "<finding status='absent'>edema</finding>"
    if fields and NAME in fields and told_state(state, ""):
        return _told({**fields, STATE: state})  # "<finding name='edema'>absent</finding>"
    if fields and fields.keys() == {NAME} and _role(name) == NAME and 0 < len(state.split()) <= _SHORT:
        return f"{_capital(fields[NAME])}: {state}."  # "<finding name='effusion'>small, bilateral</finding>"
    if name.lower() in _PRESENT | _ABSENT and 0 < len(state.split()) <= _SHORT and not TELLS.search(state):
        return sentence({NAME: state, STATE: name})  # "<absent>edema</absent>"
    if not told_state(state, "") or _role(name):
        return ""
    return sentence({NAME: name, STATE: state, **(fields or {})})


def told_state(state: str, chance: str) -> str:
    """ "absent", "present", "possible" or "probable", by a word, a sign or a probability; else ""."""
    word = re.sub(r"\s+", " ", state.lower())
    word = word.split(" (")[0] if word.endswith(")") and not word.startswith("(") else word
    groups = ((_ABSENT, "absent"), (_PRESENT, "present"), (_POSSIBLE, "possible"), (_PROBABLE, "probable"))
    for words, name in groups:
        if word in words:
            return name
    if chance.lower() in _CHANCES:
        return _CHANCES[chance.lower()]
    figure = _FIGURE.fullmatch(state or chance)
    if figure is None:
        return ""
    number = float(figure["number"])
    share = number / (100 if figure["percent"] or number > 1 else 1)
    return "absent" if share < FEW else "present" if share > SURE else "possible"


def _where(told: Mapping[str, str]) -> tuple[str, str]:
    """The side as an adjective, and the place as words behind the name."""
    given, place = told.get(_SIDE, ""), told.get(_PLACE, "").rstrip(".")
    side = _SIDES.get(given.lower(), "")
    if given and not side:
        place = f"{given}, {place}" if place else given
    if not place:
        return side, ""
    if place.lower() in _SIDES:
        return side or _SIDES[place.lower()], ""
    if place.lower() in _WELL:
        return side, f" in {place} position"
    if _PREPOSITION.match(place) or not _IN_LUNG.match(place):
        return side, f", {place}" if not _PREPOSITION.match(place) or place.lower().startswith("t") else f" {place}"
    if (
        side in ("left", "right")
        and _LOBE.match(place.split(" lobe")[0].split(" zone")[0])
        and side not in place.lower()
    ):
        return "", f" in the {side} {place}"
    return side, f" in the {place}"


def _capital(text: str) -> str:
    words = " ".join(text.split())
    return words[:1].upper() + words[1:]
