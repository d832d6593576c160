"""What a report was packed in, taken off: escapes, code fences, markup, JSON. Its words and their order stay.

A container is no content: the same report as JSON, as HTML or with a literal backslash-n for a line break is the same
report. Everything here is one linear pass over the text; what does not parse as a whole is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from judges import attachments, elements, exchange, markup, records, signs
from judges.draft import Draft
from judges.section_names import spelled_out

_SIGNS: Final = ("\\", "`", "~~~", "<", "&", "{", '["', "['", "|")
"""A text without any of these is in no container."""
_NESTED: Final = 3  # JSON within a string of JSON within a string

_ESCAPE: Final = re.compile(r"\\{1,2}(?:r\\{1,2}n|[nr])|\\{1,2}t(?=[A-Z\d\s-])")
_CODE: Final = re.compile(r"\\{1,2}(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))")
"""A character by its number, outside a string of JSON."""
_FIELD: Final = re.compile(r"\[<[ ]?|[ ]?>\]")
_CHOICES: Final = re.compile(r"[ ]?\{<?[\w /,-]{1,40}(?:\|[\w /,-]{1,40}){1,12}>?\}")
"""What a template left to choose from: "{mild|moderate|severe}"."""
"""Around what was filled into a template: "LUNGS: [<The lungs are clear.>]"."""
_FENCE: Final = re.compile(
    r"(?:```|~~~)(?:(?:json|text|txt|markdown|md|yaml|xml|html|plaintext|python)\b|[\w+-]{1,12}(?=\n))?[ ]?", re.I
)

_PREFACE: Final = re.compile(r"\s*(?:[^{}\[\]\n]{0,80}:\s*)?(?=[{\[])")
_JSON: Final = re.compile(
    r"\s*(?:(?P<quote>[\"'])|(?P<sign>[{}\[\],:])|(?P<value>-?\d[\d.eE+-]{0,20}|true|false|null|none|nan)\b)", re.I
)
_QUOTE: Final = re.compile(r"\\.|[\"']", re.S)
_BLANK: Final = re.compile(r"\s*")
_IN_STRING: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.S)
_CONTROL: Final = {"n": "\n", "r": "\n", "t": " ", "b": "", "f": "\n"}
_ANSWERS: Final = {"true": "yes", "false": "no"}
_LABELS: Final = {"0": "no", "1": "yes", "-1": "possible", "0.0": "no", "1.0": "yes", "-1.0": "possible"}
"""What figures say in an object that has nothing else, as CheXpert's labels have them."""
_DENYING: Final = frozenset(("absent", "negative", "negatives", "denied", "excluded", "not present", "absent findings",
                             "negative findings", "ruled out", "pertinent negatives"))  # fmt: skip
"""Keys of a list whose members are denied."""
_OR: Final = " or "
_HOLDERS: Final = frozenset((
    "output", "answer", "response", "content", "text", "message", "data", "prediction", "completion", "generated_text",
    "report", "generated_report", "final_answer", "div", "entry", "entries", "resource", "payload", "body", "result",
    "results", "reports", "items", "choices", "outputs", "predictions", "records", "document", "documents",
    "valuestring", "value", "contained", "presentedform", "arguments", "args", "parameters", "input", "function",
))  # fmt: skip
"""Keys that name a text as a whole: no headings."""
_ABOUT: Final = frozenset((
    "id", "_id", "uid", "role", "model", "status", "resourcetype", "system", "code", "type", "format", "language",
    "lang", "version", "date", "datetime", "effectivedatetime", "issued", "timestamp", "created", "author", "reference",
    "object", "finish_reason", "modality", "patient_id", "study_id", "accession", "accession_number", "mrn",
    "fullurl", "url", "effectiveperiod", "contenttype", "hash", "display", "name",
))  # fmt: skip
"""Keys whose text is about the file, not the patient."""
_PARTS: Final = frozenset((
    "system", "organ", "region", "structure", "area", "section", "category", "heading", "title", "anatomy", "body_part",
))  # fmt: skip
"""Keys whose value is a heading of what stands beside it."""
_PART: Final = 5  # words of such a value
_EITHER: Final = frozenset(("type", "code", "object", "reference", "system", "version", "display", "language", "name"))
"""Those that may name a finding as well ("type": "pneumothorax"): then they stay."""
_TECHNICAL: Final = re.compile(
    r"[^\s]*[\d_.:/-][^\s]*|(?:system|user|assistant|tool|text|message|json|object|image|report|final|collection|english|"
    r"searchset|document|practitioner|patient|organization|diagnosticreport|observation|bundle|radiology|[a-z]{2})",
    re.I,
)
"""What such a key says of a file: one word with signs or figures in it, or one of these."""
_OF_FHIR: Final = frozenset((
    "code", "category", "subject", "performer", "identifier", "meta", "encounter", "basedon", "specimen", "extension",
    "resultsinterpreter", "imagingstudy", "conclusioncode", "name", "address", "telecom", "period",
    "effectiveperiod", "link", "author", "managingorganization", "generalpractitioner", "issuer", "media",
))  # fmt: skip
"""Objects and lists about the file or the patient in resources of FHIR (R4, DiagnosticReport, Observation, Patient)."""
_COUNTS: Final = frozenset(("usage", "logprobs"))
"""The same in any JSON."""
_FHIR: Final = re.compile(r"[\"']resourceType[\"']")
_TRANSLATION: Final = re.compile(
    r"^[ \t*#_-]{0,4}(?:english )?(?:courtesy |machine |certified )?translation"
    r"(?: \(english\)| into english| to english)?[ ]?:[*_]{0,2}",
    re.I | re.M,
)
"""Above the same report in English."""
_FOREIGN: Final = re.compile(
    r"\b(?:der|die|das|und|mit|kein|keine|keinen|nicht|el|los|las|con|sin|del|le|les|du|des|pas|une|il|della|non|gli|"
    r"nessun|n\u00e3o|sem|da|dos|geen|het|een|van|och|ej|ingen|ikke|uden|nie|bez|brak|ei)\b|[^\W\d_\u0000-\u036f]",
    re.I,
)
"""Words that show another language than English, and letters of another alphabet."""
_SHOWN: Final = 2  # of these before a translation: an English report above such a line is not dropped
_STATES: Final = frozenset((
    "registered", "partial", "preliminary", "final", "amended", "corrected", "appended", "cancelled", "generated",
    "additional", "completed", "complete", "verified", "signed", "draft", "success", "ok",
))  # fmt: skip
"""What ``status`` says of a file; that of a finding is new or stable."""


def unwrap(draft: Draft) -> None:
    """Take off whatever the text is packed in."""
    if "ranslation" in draft.text or "RANSLATION" in draft.text:
        draft.edit(_original(draft.text))
    if any(sign in draft.text for sign in _SIGNS):
        _take_off(draft)
    signs.take_off(draft)
    records.take_off(draft)


def _take_off(draft: Draft) -> None:
    draft.edit((*m.span(), "\n" if m.start() else "") for m in _FENCE.finditer(draft.text))
    exchange.take_off(draft)
    for _ in range(_NESTED):
        if not _unwrap_json(draft):
            break
    if "\\" in draft.text:
        draft.edit((*m.span(), _character(m[1] or m[2])) for m in _CODE.finditer(draft.text))
        markup.take_off(draft)
    draft.edit((*m.span(), " " if m.group()[-1] == "t" else "\n") for m in _ESCAPE.finditer(draft.text))
    if "{" in draft.text and "|" in draft.text:
        draft.edit((*m.span(), "") for m in _CHOICES.finditer(draft.text))
    if "[<" in draft.text and ">]" in draft.text:
        draft.edit((*m.span(), "") for m in _FIELD.finditer(draft.text))
    if "<" in draft.text or "&" in draft.text:
        elements.take_off(draft)


# ----- JSON, and what Python prints of the same -----------------------------------------------------------------------


def _unwrap_json(draft: Draft) -> bool:
    """Make lines of an object or list that is the whole text, a line that leads to it apart: keys become headings.

    Numbers and null are dropped with their keys: they are no words of a report. True when there was one.
    """
    text = draft.text
    preface = _PREFACE.match(text)
    if preface is None:
        return False
    tokens = _tokens(text, preface.end())
    if len(tokens) < 3:  # nothing between the brackets
        return False
    draft.edit(_lines(text, tokens))
    return True


class _Token(NamedTuple):
    """One token of JSON with the blanks around it; one of the last three says what it is."""

    start: int
    end: int
    string: tuple[int, int] | None
    """Where the words between its quotation marks begin and end."""
    sign: str
    value: str


def _tokens(text: str, start: int) -> list[_Token]:
    """The tokens from here to the end of the text; none where it is not one object or list (cut off, maybe)."""
    tokens: list[_Token] = []
    end, depth = start, 0
    while end < len(text):
        token = _token(text, end)
        if token is None or (depth == 0 and tokens) or (tokens and not (token.sign or tokens[-1].sign)):
            return []
        depth += (token.sign in ("{", "[")) - (token.sign in ("}", "]"))
        tokens.append(token)
        end = token.end
    return tokens if depth == 0 else []


def _token(text: str, at: int) -> _Token | None:
    found = _JSON.match(text, at)
    if found is None:
        return None
    end, string = found.end(), None
    if found["quote"]:
        begin, end = end, _string_end(text, end, found["quote"])
        if end < 0:
            return None
        string = begin, end - 1
    blank = _BLANK.match(text, end)
    return _Token(at, blank.end() if blank else end, string, found["sign"] or "", (found["value"] or "").lower())


def _string_end(text: str, begin: int, quote: str) -> int:
    """Behind the mark that closes a string; -1 where none does. The apostrophe of a word closes none."""
    mark = _QUOTE.search(text, begin)
    while mark is not None:
        at, end = mark.span()
        within = quote == "'" and text[at - 1].isalnum() and text[end : end + 1].isalnum()
        if mark.group() == quote and not within:
            return end
        mark = _QUOTE.search(text, end)
    return -1


def _lines(text: str, tokens: list[_Token]) -> Iterator[tuple[int, int, str]]:
    """The edits that make lines of JSON. Whatever is no string is taken out."""
    inline, figures = _inline(text, tokens)
    fhir = _FHIR.search(text) is not None
    labels = _labels(tokens)
    stack: list[str] = []
    """Per open bracket what ends a value in it: a line in an object, a comma in one that describes a finding."""
    hidden = 0
    """Up to which token what is said is about the file."""
    for i, token in enumerate(tokens):
        last = stack[-1] if stack else ""
        if i < hidden:
            yield token.start, token.end, ""
        elif (end := _end_of_about(text, tokens, i, _OF_FHIR if fhir else _COUNTS)) > i:
            hidden = end
            yield token.start, token.end, ""
        elif token.sign == "[" and _key(text, tokens, i) in _DENYING:
            stack.append(_OR)
            yield token.start, token.end, "No "
        elif token.sign:
            yield token.start, token.end, _for_sign(token.sign, stack, described=i in inline)
        elif token.string is None:
            said = token.value if i in figures else (_LABELS if i in labels else _ANSWERS).get(token.value, "")
            closes = last == ", " and tokens[i + 1 : i + 2] and tokens[i + 1].sign == "}"
            yield token.start, token.end, said and (said if closes else said + last)
        elif i + 1 < len(tokens) and tokens[i + 1].sign == ":":
            told = (
                i + 2 in labels
                or i + 2 in figures
                or any(not each.value or each.value in _ANSWERS for each in tokens[i + 2 : i + 3])
            )
            key = text[slice(*token.string)]
            told = told and key.lower() not in _HOLDERS
            told = told and not (_tells_of_file(text, tokens, i + 2) or _names_a_part(text, tokens, i + 2))
            yield token.start, token.end, f"{spelled_out(key)}: " if told else ""
        elif _tells_of_file(text, tokens, i):
            yield token.start, token.end, ""
        elif _names_a_part(text, tokens, i):
            yield from _content(text, token, token.string, ": ")
        elif fhir and attachments.is_encoded(text[slice(*token.string)]):
            attached = attachments.decoded(text[slice(*token.string)])
            yield token.start, token.end, attached and f"{attached}\n"
        else:
            closes = last == ", " and tokens[i + 1 : i + 2] and tokens[i + 1].sign == "}"
            if last == _OR:
                closes, last = False, last if tokens[i + 1].sign == "," else "."
            yield from _content(text, token, token.string, "" if closes else last)


def _original(text: str) -> Iterator[tuple[int, int, str]]:
    """What stands before the English translation of a report, where that is in another language."""
    for found in list(_TRANSLATION.finditer(text))[-1:]:
        foreign = len(_FOREIGN.findall(text, 0, found.start())) >= _SHOWN
        if foreign and found.end() < len(text) - 1:
            yield 0, found.end(), ""


def _key(text: str, tokens: list[_Token], i: int) -> str:
    """The key whose value begins with the bracket at `i`; "" where it has none."""
    key = tokens[i - 2].string if i > 1 and tokens[i - 1].sign == ":" else None
    return text[slice(*key)].lower().replace("_", " ") if key is not None else ""


def _for_sign(sign: str, stack: list[str], *, described: bool) -> str:
    """What stands for a bracket; `stack` is brought up to date."""
    if sign in "{[":
        stack.append(", " if described else ".\n" if sign == "{" else ". ")
        return "\n" if sign == "{" and not described else ""
    if sign in "}]" and stack:
        return ".\n" if stack.pop() == ", " else "\n" if sign == "]" else ""
    return ""


def _inline(text: str, tokens: list[_Token]) -> tuple[set[int], set[int]]:
    """What belongs to objects that describe one finding: ``{"present": true, "side": "left", "prob": 0.9}``.

    Their opening brackets, and the figures that say something of the finding.
    """
    brackets: set[int] = set()
    figures: set[int] = set()
    opened: list[tuple[int, list[tuple[str, int]]]] = []
    for i, token in enumerate(tokens):
        if token.sign == "{":
            opened.append((i, []))
        elif token.sign == "}" and opened:
            bracket, keys = opened.pop()
            names = {name for name, _ in keys}
            if not names.isdisjoint(records.DESCRIBING) or (keys and names <= records.ATTRIBUTES | records.FIGURES):
                brackets.add(bracket)
                figures.update(at for name, at in keys if name in records.FIGURES and tokens[at].value[-1:].isdigit())
        elif opened and token.string and tokens[i + 1 : i + 2] and tokens[i + 1].sign == ":":
            name = text[slice(*token.string)].lower()
            if not _tells_of_file(text, tokens, i + 2) and i + 2 < len(tokens):
                opened[-1][1].append((name, i + 2))
    return brackets, figures


def _labels(tokens: list[_Token]) -> set[int]:
    """The values of objects that have two figures or more, all of them labels."""
    found: set[int] = set()
    opened: list[tuple[bool, list[int]]] = []
    for i, token in enumerate(tokens):
        if token.sign == "{":
            opened.append((True, []))
        elif token.sign == "}" and opened:
            only, values = opened.pop()
            if only and len(values) > 1:
                found.update(values)
        elif opened and i and tokens[i - 1].sign == ":":
            only, values = opened[-1]
            if token.value in _LABELS:
                values.append(i)
            elif token.value not in ("null", "none", "nan"):
                opened[-1] = False, values
    return found


def _tells_of_file(text: str, tokens: list[_Token], i: int) -> bool:
    """Whether the string at `i` is the value of a key about the file."""
    value = tokens[i].string if 1 < i < len(tokens) and tokens[i - 1].sign == ":" else None
    key = tokens[i - 2].string if value is not None else None
    if value is None or key is None:
        return False
    name = text[slice(*key)].lower()
    said = text[slice(*value)]
    if name in _EITHER:
        return _TECHNICAL.fullmatch(said) is not None
    return name in _ABOUT and (name != "status" or said.lower() in _STATES)


def _names_a_part(text: str, tokens: list[_Token], i: int) -> bool:
    """Whether the string at `i` says of which part of the body the rest of its object speaks."""
    value = tokens[i].string if 1 < i < len(tokens) - 1 and tokens[i - 1].sign == ":" else None
    key = tokens[i - 2].string if value is not None else None
    if value is None or key is None or tokens[i + 1].sign != ",":
        return False
    return text[slice(*key)].lower() in _PARTS and len(text[slice(*value)].split()) <= _PART


def _end_of_about(text: str, tokens: list[_Token], i: int, names: frozenset[str]) -> int:
    """Behind the object or list that the key at `i` has, if it is one of `names`; else `i`."""
    key = tokens[i].string
    if key is None or i + 2 >= len(tokens) or tokens[i + 1].sign != ":" or tokens[i + 2].sign not in ("{", "["):
        return i
    if text[slice(*key)].lower() not in names:
        return i
    depth = 0
    for j in range(i + 2, len(tokens)):
        depth += (tokens[j].sign in ("{", "[")) - (tokens[j].sign in ("}", "]"))
        if depth == 0 and tokens[j].sign:
            return j + 1
    return i


def _content(text: str, token: _Token, string: tuple[int, int], end: str) -> Iterator[tuple[int, int, str]]:
    """A string's own words, and what ends a value here; one stop is enough, and JSON within the string needs none."""
    first, last = string
    yield token.start, first, ""
    for escape in _IN_STRING.finditer(text[first:last]):
        code, char = escape.groups()
        new = _character(code) if code else _CONTROL.get(char, char)
        yield first + escape.start(), first + escape.end(), new
    body = text[first:last].strip()
    stopped = body[-1:] in (".", "?", "!", ":", "") or body[0] in "{["
    yield last, token.end, end.lstrip(".,") if stopped else end


def _character(code: str) -> str:
    """What an escape stands for; half of a pair is no character."""
    char = chr(int(code, 16))
    return "" if "\ud800" <= char <= "\udfff" else " " if char == "\xa0" else char
