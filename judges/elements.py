"""Elements of XML and HTML, taken off: what they hold stays, in lines; names of sections become headings."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Final

from judges import records
from judges.draft import Draft
from judges.section_names import section, spelled_out

_Edit = tuple[int, int, str]

_NAME: Final = r"(?:[A-Za-z][\w.-]{0,40}:)?(?P<name>[A-Za-z][\w.-]{0,40})"
_BEGINS: Final = re.compile(rf"\s*(?:<\?xml\b|<!DOCTYPE\s+(?!html)|<{_NAME}[\s>])", re.I)
_XML: Final = re.compile(
    rf"<(?:(?P<close>/)?{_NAME}(?P<attributes>\s[^<>]{{0,400}}?)?(?P<empty>/)?>"
    r"|\?[^<>]{0,400}>?|!--[^<>]{0,400}>?|!\[CDATA\[|![A-Za-z][^<>]{0,400}>?)|\]\]>"
)
_SR: Final = re.compile(
    r"[ \t]*<(?P<relation>[a-z][a-z ]{2,30} )?(?P<type>[A-Z]{3,12}):"
    r"(?:\([^<>()\",\n]{0,32},[^<>()\",\n]{0,32},\"(?P<name>[^\"<>]{1,80})\"\))?="
    r"(?:\"(?P<text>[^\"]{0,4000})\"|\([^<>\n\"]{0,80}\"(?P<meaning>[^\"<>\n]{1,80})\"[^<>\n]{0,40}|[^<>\n]{0,200})>"
)
"""A content item as dsrdump (DCMTK) prints those of structured reports in DICOM."""
_LABEL: Final = re.compile(r"""\b(?:label|heading|section)\s*=\s*["'](?P<words>[^"'<>]{1,60})["']""", re.I)
_DETAIL: Final = re.compile(
    r"""\b(?P<name>name|value|finding|code|description|text|side|laterality|location|site|size|severity|grade|present|status|state"""
    r"""|lobe|zone|direction|change|extent|certainty|probability|confidence)"""
    r"""\s*=\s*["'](?P<words>[^"'<>]{1,80})["']""",
    re.I,
)
"""An attribute of an empty element that describes a finding."""
_HTML: Final = re.compile(r"<(?P<close>/?)(?P<name>[a-z][a-z\d]{0,15})(?:\s[^<>]{0,80})?/?>", re.I)
_UNSEEN: Final = re.compile(r"<(?P<name>head|style|script)\b[^<>]{0,200}>", re.I)
"""What begins a part of a page that is not shown."""
_ENTITY: Final = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{2,6}|#[xX][\da-fA-F]{2,5});")
_ANSWERS: Final = {"true": "yes", "false": "no"}
_ATTRIBUTES: Final = re.compile(
    r"(?:[\w,-]+[ ]){0,2}(?:trace|tiny|small|minimal|mild|moderate|large|severe|left|right|bilateral)"
    r"(?:,?[ ][\w-]+){0,3}",
    re.I,
)
"""How much of something there is, or where."""
_LAST: Final = 60  # characters in which the last tag stands
_ENDS: Final = re.compile(r"</(?P<name>[A-Za-z][\w:.-]{0,40})>\Z")
_BLANK: Final = re.compile(r"\s*")
_FIELDS: Final = records.ATTRIBUTES - {"value", "result", "p"} | {"name"}
"""Elements that are fields of a record."""

# fmt: off
_BLOCKS: Final = frozenset((
    "br", "p", "div", "li", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "tr", "table", "thead", "tbody", "pre",
    "hr", "section", "html", "body", "paragraph", "para",
))
_INLINE: Final = frozenset((
    "b", "i", "u", "em", "strong", "span", "code", "td", "th", "font", "sub", "sup", "content", "linkhtml",
))
_CELLS: Final = frozenset(("td", "th"))
_TITLES: Final = frozenset(("title", "caption", "heading", "label"))
_SECTIONS: Final = frozenset((
    "finding", "findings", "impression", "impressions", "conclusion", "indication", "history", "technique",
    "comparison", "recommendation", "recommendations", "heart", "lung", "lungs", "pleura", "mediastinum", "bones",
    "devices", "abdomen", "other",
))
_ABOUT: Final = frozenset((
    "id", "setid", "typeid", "templateid", "effectivetime", "versionnumber", "given", "family", "birthdate",
    "birthtime", "gender", "sex", "age", "mrn", "accession", "accessionnumber", "date", "time", "datetime", "uid",
    "studyuid", "filename", "url",
))
"""Elements of XML about the file or who it is of."""
_ABOUT_WHOLE: Final = frozenset((
    "recordtarget", "author", "dataenterer", "custodian", "informationrecipient", "authenticator", "legalauthenticator",
    "participant", "documentationof", "componentof", "relateddocument", "infulfillmentof", "patient", "patientname",
    "physician", "meta", "metadata",
))
"""The same, where they hold other elements and no text of their own (most are of HL7 CDA release 2, 4.2)."""
# fmt: on


def take_off(draft: Draft) -> None:
    """Take off the elements of a document in XML, or those that are known anywhere else, and entities."""
    if "<" in draft.text:
        if (":(" in draft.text or ":=" in draft.text) and _SR.search(draft.text):
            draft.edit(_items(draft.text))
        draft.edit(_document(draft.text) if _is_document(draft.text) else _known(draft.text))
    if "&" in draft.text:
        draft.edit((*m.span(), html.unescape(m.group()).replace("\xa0", " ")) for m in _ENTITY.finditer(draft.text))


def _known(text: str) -> Iterator[_Edit]:
    """Line breaks for the tags of blocks, headings for those of sections; tags that nobody knows stay."""
    done = 0
    for start, end in _unseen(text):
        yield from _tags(text, done, start)
        yield start, end, "\n"
        done = end
    yield from _tags(text, done, len(text))


def _unseen(text: str) -> Iterator[tuple[int, int]]:
    """Where the parts of a page begin and end that are not shown."""
    lower, done = "", 0
    for opened in _UNSEEN.finditer(text):
        if opened.start() < done:
            continue
        lower = lower or text.lower()
        closed = lower.find(f"</{opened['name'].lower()}>", opened.end())
        if closed < 0 or len(lower) != len(text):  # a capital that has two small letters moves all behind it
            return
        done = closed + len(opened["name"]) + 3
        yield opened.start(), done


def _tags(text: str, begin: int, end: int) -> Iterator[_Edit]:
    for tag in _HTML.finditer(text, begin, end):
        name = tag["name"].lower()
        if name == "br" and _within(text, *tag.span()):
            yield (*tag.span(), " ")
        elif name in _SECTIONS or name in _BLOCKS or name in _INLINE:
            yield (*tag.span(), _for_tag(name, tag["name"], closes=bool(tag["close"])))


def _within(text: str, begin: int, end: int) -> bool:
    """Whether the only break of a text stands between two words of one sentence: "previously<br>described"."""
    if ". " not in text or text.lower().count("<br") > 1:
        return False
    return text[max(0, begin - 1) : begin].islower() and text[end : end + 1].islower()


def _items(text: str) -> Iterator[_Edit]:
    """Of content items the texts and what is coded; containers are headings. All else tells how the study was made."""
    done, current = 0, ""
    for item in _SR.finditer(text):
        name, kind = item["name"] or "", item["type"]
        contains = (item["relation"] or "contains").strip() == "contains"
        if kind == "TEXT" and contains and item["text"] is not None:
            heading = section(name)
            again = heading.lower().rstrip("s") == current
            yield done, item.start("text"), "\n" if again or not heading else f"\n{heading}:\n"
            current = heading.lower().rstrip("s") or current
            done = item.end("text")
        elif kind == "CODE" and contains and item["meaning"]:
            yield done, item.start("meaning"), "\n"
            yield item.end("meaning"), item.end(), "."
            done = item.end()
        else:
            opens = kind == "CONTAINER" and bool(name)
            yield done, item.end(), f"\n{name}:\n" if opens else "\n"
            current = name.lower().rstrip("s") if opens else current
            done = item.end()
    yield done, len(text), "\n"


def _is_document(text: str) -> bool:
    """Whether the text is XML as a whole; HTML is read otherwise, as it needs not be well formed."""
    begin = _BEGINS.match(text)
    if begin is None or not text.rstrip().endswith(">"):
        return False
    root = begin["name"]
    if root is None:
        return True
    if root.lower() in _BLOCKS or root.lower() in _INLINE:
        return False
    if text.rstrip().endswith((f"{root}>", "/>")):
        return True
    last = _ENDS.search(text.rstrip()[-_LAST:])  # several elements, whose root was taken off
    return last is not None and last["name"].lower() not in _BLOCKS | _INLINE


def _document(text: str) -> Iterator[_Edit]:
    """What elements hold, each on lines of its own, titles and labels as headings.

    Where labels or names tell sections, what stands before the first and behind the last of them is about the file.
    """
    tags = list(_XML.finditer(text))
    first, last = _sections(tags)
    hidden = replaced = ""
    depth = begin = 0
    for i, tag in enumerate(tags):
        name = (tag["name"] or "").lower()
        if hidden:
            depth += (name == hidden and not tag["empty"]) * (-1 if tag["close"] else 1)
            if depth == 0:
                yield begin, tag.end(), f"\n{replaced}\n"
                hidden = replaced = ""
        elif not first <= i <= last:
            yield (tag.start() if i > last or i else 0), tags[i + 1].start() if i + 1 < len(tags) else len(text), "\n"
        elif not (tag["close"] or tag["empty"]) and _is_about(text, name, tag.end()):
            hidden, depth, begin = name, 1, tag.start()
        elif (said := _leaf(text, tags, i)) and not tag["close"]:
            begin, hidden, depth, replaced = tag.start(), name, 1, said
        elif name in _FIELDS and not tag["attributes"] and not tag["empty"] and _stands_apart(text, tags, i):
            yield from _field(text, tag)
        else:
            yield (*tag.span(), _for_element(name, tag))


def _leaf(text: str, tags: list[re.Match[str]], i: int) -> str:
    """The sentence of an element that is called after a finding and holds its state: "<edema>absent</edema>"."""
    if tags[i]["close"] or i + 1 >= len(tags) or tags[i + 1]["name"] != tags[i]["name"] or not tags[i + 1]["close"]:
        return ""
    state = text[tags[i].end() : tags[i + 1].start()].strip()
    name = tags[i]["name"]
    told = records.leaf(name, tags[i]["attributes"] or "", state)
    if told or not _ATTRIBUTES.fullmatch(state) or name.lower() in _FIELDS | _SECTIONS | _BLOCKS | _INLINE:
        return told
    return f"{spelled_out(name)}: {state}."  # "<pleural_effusion>small, left</pleural_effusion>"


def _stands_apart(text: str, tags: list[re.Match[str]], i: int) -> bool:
    """Whether an element has others on both sides, and is no part of a sentence: "a <size>small</size> effusion"."""
    begin, end = (i - 1, i) if tags[i]["close"] else (i, i + 1)
    if not (begin >= 0 and end < len(tags)) or tags[begin]["name"] != tags[end]["name"]:
        return False
    before, after = text[: tags[begin].start()].rstrip()[-1:], text[tags[end].end() :].lstrip()[:1]
    return before == ">" and after == "<"


def _field(text: str, tag: re.Match[str]) -> Iterator[_Edit]:
    """Fields of a record are told in one line, whatever stands between their elements."""
    if tag["close"]:
        blank = _BLANK.match(text, tag.end())
        yield tag.start(), blank.end() if blank else tag.end(), "; "
    else:
        yield (*tag.span(), f"{tag['name']}: ")


def _sections(tags: list[re.Match[str]]) -> tuple[int, int]:
    """The first and last tag of the part with labelled sections; all of them where not two of one name have a label."""
    labelled = [i for i, tag in enumerate(tags) if tag["attributes"] and _LABEL.search(tag["attributes"])]
    if len(labelled) < 2 or len({tags[i]["name"] for i in labelled}) > 1:
        return 0, len(tags)
    name = tags[labelled[-1]]["name"]
    closing = (i for i in range(labelled[-1] + 1, len(tags)) if tags[i]["close"] and tags[i]["name"] == name)
    return labelled[0], next(closing, len(tags))


def _is_about(text: str, name: str, end: int) -> bool:
    return name in _ABOUT or (name in _ABOUT_WHOLE and text[end : end + 200].lstrip().startswith("<"))


def _for_element(name: str, tag: re.Match[str]) -> str:
    """What stands for a tag of XML."""
    attributes = tag["attributes"] or ""
    if not attributes or tag["close"]:
        heading = "" if tag["close"] or not name else section(tag["name"])
        return f"\n{heading}:\n" if heading and name not in _TITLES else _for_tag(name, "", closes=bool(tag["close"]))
    label = _LABEL.search(attributes)
    if label:
        return f"\n{label['words']}:\n"
    details = [(m["name"].lower(), m["words"]) for m in _DETAIL.finditer(attributes)] if tag["empty"] else []
    if details and any(key in ("name", "value", "finding", "text", "description") for key, _ in details):
        named = any(key in ("name", "finding") for key, _ in details)
        details = [("name" if key == "code" and not named else key, words) for key, words in details]
        said = (_ANSWERS.get(words.lower(), words) for _, words in details)
        return "\n" + ", ".join(f"{key}: {words}" for (key, _), words in zip(details, said, strict=True)) + ".\n"
    return _for_tag(name, tag["name"], closes=False)


def _for_tag(name: str, spelt: str, *, closes: bool) -> str:
    """What stands for a tag; `spelt`: its name with its capitals."""
    if name in _CELLS:
        return " | " if closes else ""
    if not name or name in _INLINE:
        return ""
    if name in _SECTIONS:
        return "\n" if closes or not spelt else f"\n{spelt}:\n"
    if name in _TITLES:
        return ":\n" if closes else "\n"
    return "\n| " if name == "tr" and not closes else "\n"
