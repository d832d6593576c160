"""What stands around a report on its page: the letterhead, who signed it, page numbers and headers that come again.

Lines of this kind are recognised only where they stand in a document: at its beginning, at its end and at a page break.
They say nothing of the patient, and a sentence that a page break cuts in two is one sentence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from judges.rules.margins import RULE
from judges.rules.words import KNOWN
from judges.section_names import section

Edit = tuple[int, int, str]
Says = Callable[[str], int]
"""What a text says of a patient: `FINDING`, `PLACE` (an anatomy, a side, a change and the like), 0 for nothing."""
PLACE, FINDING = 1, 2


def _either(words: Sequence[str]) -> str:
    return "|".join(re.escape(each) for each in sorted(words, key=len, reverse=True))


_KNOWN: Final = KNOWN["letterhead"]
_AFTER: Final = r"(?:[ ]?\([\w ]{1,20}\))?[ ]?(?::|#:?|(?<=no)\.)"
_LABEL: Final = re.compile(
    rf"(?<![\w/])(?:(?P<who>{_either(_KNOWN['who'])})|{_either(_KNOWN['labels'])}){_AFTER}", re.I
)
_ANY_LABEL: Final = re.compile(r"[A-Z][\w ./'-]{1,30}[:#]")
"""A label that nobody knows."""
_PAGE: Final = re.compile(
    r"[\W_]*(?:(?:page|pg|p)\b\.?[ ]?\d{1,3}(?:[ ]?(?:of|/)[ ]?\d{1,3})?"
    r"|\d{1,3} of \d{1,3}|(?<=[-–—] )\d{1,3}(?= ?[-–—])"
    r"|\(?(?:over|cont|cont'd|continued(?: on (?:the )?next page)?|end of (?:report|document))\)?)[\W_]*",
    re.I,
)
_PAGE_IN_LINE: Final = re.compile(r"\bpage[ ]?\d{1,3}(?:[ ]?(?:of|/)[ ]?\d{1,3})?|\(cont(?:inued|'d|\.)?\)", re.I)
_MONTH: Final = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_DATE: Final = re.compile(
    rf"\d{{1,4}}[-/.]\d{{1,2}}[-/.]\d{{1,4}}|\d{{1,2}}[ -]{_MONTH}[ -]\d{{2,4}}|{_MONTH} \d{{1,2}},? \d{{4}}"
    r"|\d{1,2}:\d{2}(?::\d{2})?(?: ?[ap]\.?m\b\.?)?|\b(?:at|on)\b",
    re.I,
)
_CONTACT: Final = re.compile(
    r"\(?\b\d{3}\)?[-. ]\d{3}[-. ]\d{4}\b|\b[A-Z]{2} \d{5}(?:-\d{4})?\b|[\w.+-]{1,64}@[\w-]{1,64}\.\w|\b(?:https?://|www\.)\S"
    r"|\b(?:MRN|DOB|ACC|ACCT|NHS No|Hosp No)\.? ?\d",
    re.A,
)
_INSTITUTION: Final = re.compile(rf"\b(?:{_either(_KNOWN['institutions'])})\b", re.I)
_MAIL: Final = re.compile(
    r"(?:from|to|cc|bcc|reply-to)\s?:.{0,200}[\w.+-]@[\w-]+\.\w.{0,200}|(?:subject|re|fwd?)\s?:.{0,120}"
    r"|on [^.]{0,20}\d.{0,120}wrote:",
    re.I,
)
"""A line of the head of a mail."""
_GREETING: Final = re.compile(r"(?:dear|hi|hello|good (?:morning|afternoon|evening)|to whom)\b[^.!?:]{0,60}[,:]?", re.I)
"""A letter begins with it."""
_COVER: Final = re.compile(r"(?:(?:many )?thanks|thank you|please find|i enclose|attached)\b.{0,200}", re.I)
"""And goes on with it."""
_THANKS: Final = re.compile(r"(?:(?:many )?thanks|cheers|noted|thx|ta|best(?: wishes)?|rgds)\b[^.!?:]{0,30}[.!]?", re.I)
"""And ends with it."""
_MEANS: Final = f"(?:{_either(_KNOWN['means'])})"
_DEPARTMENTS: Final = re.compile(rf"\W*{_MEANS}(?:\s*(?:[^\w\s]|\band\b)+\s*{_MEANS}){{2,}}\W*", re.I)
"""A line that tells what a house does: "MRI | CT | X-RAY"."""
_INITIALS: Final = re.compile(r"/[A-Za-z]{2,4}|[A-Z]{2,4}[/:][A-Za-z]{2,4}")
"""Of who dictated and who typed: "JAS/mlk"."""
_WARD: Final = re.compile(
    r"\b(?:clinic|unit|ward|center|centre|hospital|institute|department|dept|pod|floor|program|associates)"
    r"[ ]?\w{0,3}\Z",
    re.I,
)
_CREDENTIAL: Final = re.compile(r",? (?:MD|M\.D\.|(?<=, )DO|MBBS|FRCR|FRANZCR|MBChB|PhD|RT\(R\))(?:$|[ ,.])")
_SIGNED: Final = re.compile(rf"[\W_]*(?:{_either(_KNOWN['signed'])})\b", re.I)
_TITLE: Final = re.compile(r"[\W_]*(?:[a-z]+ ){0,2}report[\W_]*", re.I)
_WORD: Final = re.compile(r"[^\W\d_]+")
_SMALL: Final = frozenset(("of", "and", "the", "for", "at", "de", "la", "van", "von", "in"))
_OF_SENTENCES: Final = frozenset((*KNOWN["lines"]["open"], *KNOWN["lines"]["continues"], *_KNOWN["sentences"])) - _SMALL
"""No name has one of these: a line in capitals may be a piece of a sentence."""
_FORM_FEED: Final = "(over)"
"""What stands for the sign that ends a page."""
_LONGEST: Final = 10  # words of a line that is no sentence
_NAME: Final = 5  # words of a person's name
_MARGIN: Final = 8  # lines at the top or at the foot of a page
_MOST: Final = 40  # lines of a letterhead, blank ones included


class _Line(NamedTuple):
    start: int
    end: int
    text: str


def without_letterhead(text: str, says: Says) -> list[Edit]:
    """The edits that take such lines off."""
    lines, start = [], 0
    for line in text.split("\n"):
        if line.startswith("\f"):
            lines.append(_Line(start, start + 1, _FORM_FEED))
        lines.append(_Line(start + line.startswith("\f"), start + len(line), line.strip()))
        start += len(line) + 1
    gone = _breaks(lines, says) | _block(lines[:_MOST], says) | _block(lines[: -_MOST - 1 : -1], says, signed=True)
    return list(_without(lines, gone))


def _without(lines: Sequence[_Line], gone: set[_Line]) -> Iterator[Edit]:
    """Take lines off with the blank ones beside them: what a page break parts are neighbours again."""
    said = [line for line in lines if line.text and line not in gone]
    if not gone or not said:
        return
    first = lines.index(said[0])
    for line in lines[:first]:
        if line.end > line.start:
            yield line.start, line.end, ""
    at, kept = first, first
    for line in lines[first + 1 :]:
        at += 1
        if line.text and line not in gone:
            if any(between in gone for between in lines[kept + 1 : at]):
                yield lines[kept].end, line.start, "\n"
            kept = at
    if any(line in gone for line in lines[kept + 1 :]):
        yield lines[kept].end, lines[-1].end, ""


def _breaks(lines: Sequence[_Line], says: Says) -> set[_Line]:
    """Numbers of pages, and the lines that stand at the top and at the foot of every page."""
    marks = [i for i, line in enumerate(lines) if line.text and _is_mark(line.text, says)]
    if not marks:
        return set()
    marked = {lines[i] for i in marks}
    gone = set(marked)
    tops = {line.text for line in lines[: marks[0]] if _heads_pages(line.text, says)}
    feet = Counter(line.text for i in marks for line in _beside(lines[max(0, i - _MARGIN) : i][::-1], marked))
    repeated: set[str] = set()
    for i in marks:
        gone |= _block(lines[i + 1 : i + 1 + _MARGIN], says)
        gone |= {line for line in lines[max(0, i - 2) : i + 3] if line.text and RULE.match(line.text)}
        for line in _beside(lines[i + 1 : i + 1 + _MARGIN], marked):
            if line.text not in tops:
                break
            gone.add(line)
            repeated.add(line.text)
        for line in _beside(lines[max(0, i - _MARGIN) : i][::-1], marked):
            if feet[line.text] == 1 or not _heads_pages(line.text, says):
                break
            gone.add(line)
    for line in _beside(lines[: marks[0]], marked):
        if line.text not in repeated:
            break
        gone.add(line)
    return gone


def _beside(lines: Sequence[_Line], marks: set[_Line]) -> Iterator[_Line]:
    """The lines that say something, up to the next mark."""
    for line in lines:
        if line in marks:
            return
        if line.text:
            yield line


def _heads_pages(text: str, says: Says) -> bool:
    """Whether a line that comes again on every page is its header or footer."""
    return _names(text, says, FINDING) or _tells_of_file(text, says, signed=False)


def _is_mark(text: str, says: Says) -> bool:
    """Whether a line is the number of a page, alone or behind the name of the patient and the like."""
    if _PAGE.fullmatch(text):
        return True
    rest = _PAGE_IN_LINE.sub(" ", text)
    return rest != text and (_names(rest.strip(), says) or _tells_of_file(rest, says, signed=False))


def _block(lines: Sequence[_Line], says: Says, *, signed: bool = False) -> set[_Line]:
    """The lines about the file with which a text begins; or ends, where `lines` come from its end.

    Names, addresses and labels that nobody knows count where a line that tells for sure comes behind them, further in.
    At the top names count behind such a line, too.
    """
    sure: set[_Line] = set()
    unsure: set[_Line] = set()
    for line in lines:
        if not line.text or RULE.match(line.text) or _PAGE.fullmatch(line.text):
            continue
        if _tells_of_file(line.text, says, signed=signed):
            sure |= {line} | unsure
            unsure = set()
        elif sure and not signed and not unsure and _names(line.text, says):
            sure.add(line)
        elif _names(line.text, says) or (_has_label(line.text) and _short(line.text, says, PLACE)):
            unsure.add(line)
        elif not _TITLE.fullmatch(line.text):
            break
    return sure


def _has_label(text: str) -> bool:
    """Whether a line begins with a label that is no heading of a report."""
    label = _ANY_LABEL.match(text)
    return label is not None and not section(label.group())


def _tells_of_file(text: str, says: Says, *, signed: bool) -> bool:
    """Whether a line is surely about the file: labels with their values, a date, an address, an institution."""
    if not signed and _MAIL.fullmatch(text):
        return says(text[text.index(":") + 1 :] if text[-1] != ":" else text) < FINDING
    if not signed and (_GREETING.fullmatch(text) or _COVER.fullmatch(text)):
        return says(text) < FINDING
    labels = list(_LABEL.finditer(text)) if ":" in text or "#" in text or "." in text else []
    if labels and not _WORD.search(text[: labels[0].start()]):
        ends = [label.start() for label in labels[1:]] + [len(text)]
        return all(
            _is_value(text[m.end() : end].strip(), says, m["who"] is not None)
            for m, end in zip(labels, ends, strict=True)
        )
    rest = _DATE.sub("", text)
    if rest != text and not _WORD.search(rest):
        return True
    if _DEPARTMENTS.fullmatch(text) or (signed and _INITIALS.fullmatch(text) and says(text) < PLACE):
        return True
    if signed and _THANKS.fullmatch(text):
        return says(text) < PLACE
    if signed and _SIGNED.match(text):
        return says(text) < PLACE
    if _is_ward(text, says):
        return True
    if _is_institution(text, says):
        return True
    if not _short(text, says, FINDING):
        return False
    if signed and _CREDENTIAL.search(text):
        return _short(text, says, PLACE)
    return bool(_CONTACT.search(text))


def _is_institution(text: str, says: Says) -> bool:
    """Whether this names an institution, which may be called after what it examines: "Bone Density Center"."""
    rest = _INSTITUTION.sub(" ", text)
    return rest != text and text[-1] not in ".?!:" and (not _WORD.search(rest) or _names(rest.strip(), says, FINDING))


def _is_ward(text: str, says: Says) -> bool:
    """Whether this is the name of a part of a hospital, which may be called after a disease: "Heart Failure Clinic".

    In capitals, "A NODULE IN THE CENTER" looks the same, so no disease may be in it there.
    """
    words = len(_WORD.findall(text))
    most = FINDING if text.isupper() else FINDING + 1
    return words <= _NAME + 1 and _WARD.search(text) is not None and _names(text, says, most)


def _is_value(text: str, says: Says, who: bool) -> bool:
    """Whether this may stand behind a label. A person or a ward may have the name of a finding."""
    if ":" in _DATE.sub("", text):
        return False
    words = [word for word in _WORD.findall(text) if len(word) > 1 and word != "Dr"]
    named = who and len(words) <= _NAME and all(word[0].isupper() for word in words)
    return (named and not text.isupper()) or _is_ward(text, says) or _short(text, says, PLACE)


def _short(text: str, says: Says, least: int) -> bool:
    """Whether a text has few words and says less than that of a patient."""
    return len(_WORD.findall(text)) <= _LONGEST and says(text) < least


def _names(text: str, says: Says, least: int = PLACE) -> bool:
    """Whether a line is nothing but names and numbers, without the full stop of a sentence."""
    words = _WORD.findall(text)
    named = all(word[0].isupper() or len(word) == 1 or word in _SMALL for word in words)
    named = named and _OF_SENTENCES.isdisjoint(word.lower() for word in words)
    return named and bool(words) and _short(text, says, least) and text[-1] not in ".?!:"
