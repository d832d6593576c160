"""What a report was packed in, taken off: escapes, code fences, markup, JSON. Its words and their order stay.

A container is no content: the same report as JSON, as HTML or with a literal backslash-n for a line break is the same
report. Everything here is one linear pass over the text; what does not parse as a whole is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from judges import markup
from judges.draft import Draft

_SIGNS: Final = ("\\", "`", "~~~", "<", "&", "{", '["', "['")
"""A text without any of these is in no container."""
_NESTED: Final = 3  # JSON within a string of JSON within a string

_ESCAPE: Final = re.compile(r"\\{1,2}(?:r\\{1,2}n|[nr])|\\{1,2}t(?=[A-Z\d\s-])")
_FENCE: Final = re.compile(r"(?:```|~~~)(?:(?:json|text|txt|markdown|md|yaml|xml|html|plaintext|python)\b)?[ ]?", re.I)
_TAG: Final = re.compile(r"<(?P<close>/?)(?P<name>[a-z][a-z\d]{0,15})(?:\s[^<>]{0,80})?/?>", re.I)
# fmt: off
_BLOCKS: Final = frozenset((
    "br", "p", "div", "li", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "tr", "table", "thead", "tbody", "pre",
    "hr", "section", "html", "body",
))
_INLINE: Final = frozenset(("b", "i", "u", "em", "strong", "span", "code", "td", "th", "font"))
_SECTIONS: Final = frozenset((
    "finding", "findings", "impression", "impressions", "conclusion", "indication", "history", "technique",
    "comparison", "recommendation", "recommendations", "heart", "lung", "lungs", "pleura", "mediastinum", "bones",
    "devices", "abdomen", "other",
))
# fmt: on
_ENTITIES: Final = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&apos;": "'", "&nbsp;": " "}
_ENTITY: Final = re.compile("|".join(_ENTITIES))

_PREFACE: Final = re.compile(r"\s*(?:[^{}\[\]\n]{0,80}:\s*)?(?=[{\[])")
_JSON: Final = re.compile(
    r"\s*(?:(?P<quote>[\"'])|(?P<sign>[{}\[\],:])|(?P<value>-?\d[\d.eE+-]{0,20}|true|false|null|none|nan)\b)", re.I
)
_QUOTE: Final = re.compile(r"\\.|[\"']", re.S)
_BLANK: Final = re.compile(r"\s*")
_IN_STRING: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.S)
_CONTROL: Final = {"n": "\n", "r": "\n", "t": " ", "b": "", "f": "\n"}
_ANSWERS: Final = {"true": "yes", "false": "no"}
_ATTRIBUTES: Final = frozenset((
    "present", "presence", "side", "laterality", "location", "size", "severity", "status", "certainty", "grade", "zone",
))  # fmt: skip
"""Keys of an object that describes one finding."""
_HOLDERS: Final = frozenset((
    "output", "answer", "response", "content", "text", "message", "data", "prediction", "completion", "generated_text",
    "report", "generated_report", "final_answer", "div",
))  # fmt: skip
"""Keys that name a text as a whole: no headings."""
_ABOUT: Final = frozenset((
    "id", "_id", "uid", "role", "model", "status", "resourcetype", "system", "code", "type", "format", "language",
    "lang", "version", "date", "datetime", "effectivedatetime", "issued", "timestamp", "created", "author", "reference",
    "object", "finish_reason", "modality", "patient_id", "study_id", "accession", "accession_number", "mrn",
))  # fmt: skip
"""Keys whose text is about the file, not the patient."""


def unwrap(draft: Draft) -> None:
    """Take off whatever the text is packed in."""
    if not any(sign in draft.text for sign in _SIGNS):
        return
    draft.edit((*m.span(), "\n" if m.start() else "") for m in _FENCE.finditer(draft.text))
    for _ in range(_NESTED):
        if not _unwrap_json(draft):
            break
    if "\\" in draft.text:
        markup.take_off(draft)
    draft.edit((*m.span(), " " if m.group()[-1] == "t" else "\n") for m in _ESCAPE.finditer(draft.text))
    if "<" in draft.text:
        draft.edit(_tags(draft.text))
    if "&" in draft.text:
        draft.edit((*m.span(), _ENTITIES[m.group()]) for m in _ENTITY.finditer(draft.text))


def _tags(text: str) -> Iterator[tuple[int, int, str]]:
    """Line breaks for the tags of blocks, headings for those of sections; tags that nobody knows stay."""
    for tag in _TAG.finditer(text):
        name = tag["name"].lower()
        if name in _SECTIONS:
            yield (*tag.span(), "\n" if tag["close"] else f"\n{tag['name']}:\n")
        elif name in _BLOCKS or name in _INLINE:
            yield (*tag.span(), "\n" if name in _BLOCKS else "")


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
    inline = _inline(text, tokens)
    stack: list[str] = []
    """Per open bracket what ends a value in it: a line in an object, a comma in one that describes a finding."""
    for i, token in enumerate(tokens):
        last = stack[-1] if stack else ""
        if token.sign:
            yield token.start, token.end, _for_sign(token.sign, stack, described=i in inline)
        elif token.string is None:
            answer = _ANSWERS.get(token.value, "")
            yield token.start, token.end, answer and answer + last
        elif i + 1 < len(tokens) and tokens[i + 1].sign == ":":
            told = any(not each.value or each.value in _ANSWERS for each in tokens[i + 2 : i + 3])
            key = text[slice(*token.string)]
            told = told and key.lower() not in _HOLDERS and not _tells_of_file(text, tokens, i + 2)
            yield token.start, token.end, f"{_words(key)}: " if told else ""
        elif _tells_of_file(text, tokens, i):
            yield token.start, token.end, ""
        else:
            yield from _content(text, token, token.string, last)


def _for_sign(sign: str, stack: list[str], *, described: bool) -> str:
    """What stands for a bracket; `stack` is brought up to date."""
    if sign in "{[":
        stack.append(", " if described else ".\n" if sign == "{" else ". ")
        return "\n" if sign == "{" and not described else ""
    if sign in "}]" and stack:
        return ".\n" if stack.pop() == ", " else "\n" if sign == "]" else ""
    return ""


def _inline(text: str, tokens: list[_Token]) -> set[int]:
    """Which opening brackets belong to an object that describes one finding: ``{"present": true, "side": "left"}``."""
    found: set[int] = set()
    opened: list[int] = []
    for i, token in enumerate(tokens):
        if token.sign == "{":
            opened.append(i)
        elif token.sign == "}" and opened:
            opened.pop()
        elif opened and token.string and text[slice(*token.string)].lower() in _ATTRIBUTES:
            found.add(opened[-1])
    return found


def _tells_of_file(text: str, tokens: list[_Token], i: int) -> bool:
    """Whether the string at `i` is the value of a key about the file."""
    if not 1 < i < len(tokens) or tokens[i].string is None or tokens[i - 1].sign != ":":
        return False
    key = tokens[i - 2].string
    return key is not None and text[slice(*key)].lower() in _ABOUT


def _words(key: str) -> str:
    """A key as a heading: ``lung_fields`` has two words."""
    return key.replace("_", " ").replace("\\", " ").strip()


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
    return "" if "\ud800" <= char <= "\udfff" else char
