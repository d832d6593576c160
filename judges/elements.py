"""Elements of XML and HTML, taken off: what they hold stays, in lines; names of sections become headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from judges.draft import Draft

_Edit = tuple[int, int, str]

_NAME: Final = r"(?:[A-Za-z][\w.-]{0,40}:)?(?P<name>[A-Za-z][\w.-]{0,40})"
_BEGINS: Final = re.compile(rf"\s*(?:<\?xml\b|<!DOCTYPE\s+(?!html)|<{_NAME}[\s>])", re.I)
_XML: Final = re.compile(
    rf"<(?:(?P<close>/)?{_NAME}(?P<attributes>\s[^<>]{{0,400}})?(?P<empty>/)?"
    r"|\?[^<>]{0,400}|!--[^<>]{0,400}|!\[CDATA\[|![A-Za-z][^<>]{0,400})>?|\]\]>"
)
_SR: Final = re.compile(
    r"[ \t]*<(?:[a-z][a-z ]{2,30} )?(?P<type>[A-Z]{3,12}):\(,,\"(?P<name>[^\"<>]{1,80})\"\)="
    r"(?:\"(?P<text>[^\"]*)\"|[^<>\n]{0,200})>"
)
"""A content item as dsrdump (DCMTK) prints those of structured reports in DICOM."""
_LABEL: Final = re.compile(r"""\b(?:label|heading|section)\s*=\s*["'](?P<words>[^"'<>]{1,60})["']""", re.I)
_HTML: Final = re.compile(r"<(?P<close>/?)(?P<name>[a-z][a-z\d]{0,15})(?:\s[^<>]{0,80})?/?>", re.I)
_ENTITIES: Final = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&apos;": "'", "&nbsp;": " "}
_ENTITY: Final = re.compile("|".join(_ENTITIES))

# fmt: off
_BLOCKS: Final = frozenset((
    "br", "p", "div", "li", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "tr", "table", "thead", "tbody", "pre",
    "hr", "section", "html", "body",
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
    "id", "setid", "code", "typeid", "templateid", "realmcode", "effectivetime", "confidentialitycode", "languagecode",
    "versionnumber", "recordtarget", "author", "dataenterer", "custodian", "informationrecipient", "authenticator",
    "legalauthenticator", "participant", "documentationof", "componentof", "relateddocument", "infulfillmentof",
    "patient", "patientname", "patientid", "given", "family", "birthdate", "birthtime", "gender", "sex", "age", "mrn",
    "accession", "accessionnumber", "date", "time", "datetime", "uid", "studyuid", "physician", "signature", "filename",
    "url", "version", "meta", "metadata", "header",
))
"""Elements of XML about the file, the patient or who wrote it (the first two lines: HL7 CDA release 2, 4.2)."""
# fmt: on


def take_off(draft: Draft) -> None:
    """Take off the elements of a document in XML, or those that are known anywhere else, and entities."""
    if "<" in draft.text:
        if ":(,," in draft.text:
            draft.edit(_items(draft.text))
        draft.edit(_document(draft.text) if _is_document(draft.text) else _known(draft.text))
    if "&" in draft.text:
        draft.edit((*m.span(), _ENTITIES[m.group()]) for m in _ENTITY.finditer(draft.text))


def _known(text: str) -> Iterator[_Edit]:
    """Line breaks for the tags of blocks, headings for those of sections; tags that nobody knows stay."""
    for tag in _HTML.finditer(text):
        name = tag["name"].lower()
        if name in _SECTIONS or name in _BLOCKS or name in _INLINE:
            yield (*tag.span(), _for_tag(name, tag["name"], closes=bool(tag["close"])))


def _items(text: str) -> Iterator[_Edit]:
    """Of content items the texts; containers are headings, whatever else there is tells how the study was made."""
    for item in _SR.finditer(text):
        if item["type"] == "TEXT" and item["text"] is not None:
            yield item.start(), item.start("text"), ""
            yield item.end("text"), item.end(), ""
        else:
            yield (*item.span(), f"{item['name']}:" if item["type"] == "CONTAINER" else "")


def _is_document(text: str) -> bool:
    """Whether the text is XML as a whole; HTML is read otherwise, as it needs not be well formed."""
    begin = _BEGINS.match(text)
    if begin is None or not text.rstrip().endswith(">"):
        return False
    root = begin["name"]
    if root is None:
        return True
    known = root.lower() in _BLOCKS or root.lower() in _INLINE or root.lower() in _SECTIONS
    return not known and f"{root}>" in text[-len(root) - 2 - len(text) + len(text.rstrip()) :]


def _document(text: str) -> Iterator[_Edit]:
    """What elements hold, each on lines of its own, titles and labels as headings."""
    hidden = ""
    depth = begin = 0
    for tag in _XML.finditer(text):
        name = (tag["name"] or "").lower()
        if hidden:
            depth += (name == hidden and not tag["empty"]) * (-1 if tag["close"] else 1)
            if depth == 0:
                yield begin, tag.end(), "\n"
                hidden = ""
        elif name in _ABOUT and not (tag["close"] or _is_empty(tag)):
            hidden, depth, begin = name, 1, tag.start()
        else:
            label = _LABEL.search(tag["attributes"]) if tag["attributes"] else None
            new = f"\n{label['words']}:\n" if label else _for_tag(name, tag["name"], closes=bool(tag["close"]))
            yield (*tag.span(), new)


def _is_empty(tag: re.Match[str]) -> bool:
    return bool(tag["empty"]) or (tag["attributes"] or "").endswith("/")


def _for_tag(name: str, spelt: str, *, closes: bool) -> str:
    """What stands for a tag; `spelt`: its name with its capitals."""
    if name in _CELLS:
        return " | " if closes else ""
    if not name or name in _INLINE:
        return ""
    if name in _SECTIONS:
        return "\n" if closes else f"\n{spelt}:\n"
    if name in _TITLES:
        return ":\n" if closes else "\n"
    return "\n| " if name == "tr" and not closes else "\n"
