"""Findings of which a sign, a label, the line below or the heading of a list says whether they are there: as sentences.

"Effusion -", "Edema: 0", "No evidence of:" above a list. The marks of quoted lines, frames and numbered questions come
off as well, so that `records` sees the lines they stand around. All is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from judges.draft import Draft
from judges.records import NAME, STATE, TELLS, sentence, told_state

_BLOCK: Final = re.compile(r"(?<=:)[ ]?[|>][-+]?[ \t]*$", re.M)
"""What begins a text of several lines in YAML."""
_INQUIRY: Final = re.compile(
    r"(?:(?:clinical|referral|referrer's|the) )?(?:question|query|inquiry)[ ]?:[ ]?"
    r"(?P<asked>\??[^.?:\n]{2,80})[.?]{0,2}\s{1,2}(?:answer|reply|response)[ ]?:[ ]?",
    re.I,
)
"""What was asked, before its answer: "Clinical question: effusion. Answer: none"."""
_SR: Final = re.compile(
    r"^[ \t]*<?(?:(?:contains|has [a-z ]{3,20}|inferred from):[ ]?)?"
    r"(?:TEXT: (?P<name>[\w ]{1,30}) = \"(?P<text>[^\n\"]*)\"|CONTAINER: (?P<said>[\w ]{1,40}))>?[ \t]*$",
    re.M,
)
_SCORED: Final = re.compile(
    r"^[ \t]*(?P<name>[A-Za-z][A-Za-z /-]{2,40}?)[ ]?\.{3,}[ ]?[^\n.]{0,20}?\d[\d.]{0,6}[ ]{1,3}"
    r"\(?(?P<state>[A-Za-z]{2,10})\)?[ \t]*$",
    re.M,
)
"""A score and what it stands for: "Effusion ..... score 0.91 POSITIVE"."""
_DENIED: Final = re.compile(
    r"^[ \t]*(?:(?:there (?:is|are)|(?:i|we) (?:can )?see|the film shows)[ ])?"
    r"(?P<lead>no(?: (?:radiographic |convincing |definite |acute )?"
    r"(?:evidence|signs?|features?|suggestion|findings?)(?: of)?)?"
    r"(?: (?:any of )?the following(?: findings?)?)?|without|absen(?:t|ce of)|negative(?: for| findings?)?|negatives|"
    r"pertinent negatives|excluded|none of the following(?: (?:is|are) (?:seen|present|identified))?)[ ]?:?[ \t]*\n",
    re.I | re.M,
)
"""A line that denies what the items of the list below it name: "No evidence of:"."""
_DENIED_ITEM: Final = re.compile(
    r"(?P<mark>[ \t]*(?:[-*•▪◦‣·–—]|\(?(?:\d{1,2}|[a-h])[.)])[ \t]+)(?P<name>[^\n:]{2,60}?)[.;,]?[ \t]*(?:\n|\Z)"
)
_LABELLED: Final = re.compile(
    r"^[ \t]*(?P<name>[A-Za-z][A-Za-z /]{2,40})[ ]?[:=][ ]?(?P<figure>-?[01])(?:\.0)?[ \t]*$", re.M
)
_LEAST: Final = 3
"""Lines of a name and a figure that are labels."""
_BELOW: Final = re.compile(
    r"(?:\A|\n)[ \t]*(?:\n|\A)[ \t]*(?P<name>[A-Za-z][A-Za-z /]{2,40}?)[ \t]*\n"
    r"[ \t]*(?P<state>(?:absent|present|none|yes|no|normal|clear)\b[^\n:]{0,40})(?=\n[ \t]*\n|\s*\Z)",
    re.I,
)
"""A name, and its state in the line below, apart from others."""
_FRAMED: Final = re.compile(r"^(?P<before>[ \t]*[*#][ \t]+)[^\n]*?(?P<behind>[ \t]+[*#][ \t]*$|\Z)", re.M)
"""A line between the sides of a printed frame; the last one may have lost what closes it."""
_QUOTED: Final = re.compile(r"^[ \t]*(?:>[ ]?){1,6}", re.M)
"""What a mail has before the lines that it quotes, or a list before its levels."""
_DOTTED: Final = re.compile(r"^[ \t]*(?P<key>[A-Za-z][A-Za-z /]{1,20}?)([ ]?\.{2,}[ ]?)(?=(?!score)[A-Za-z<>])", re.M)
"""A field and dots up to its value: "Side ... left"."""
_TRAILED: Final = re.compile(
    r"(?P<name>\b[A-Za-z][A-Za-z /]{2,40}?)[ ](?P<sign>\+{1,3}|[-–−])(?P<side>[ ]\([LR]\))?"
    r"(?:[.;,](?=[ ])|(?=[.;]?[ \t]*$))",
    re.M,
)
"""Findings with a sign behind each, one after the other: "Effusion +. Pneumothorax -."."""
_SIGNED: Final = re.compile(r"^[ \t]*(?P<name>[A-Za-z][A-Za-z /]{1,40}?)[ ]{1,3}(?P<sign>\+{1,3}|[-–−])[ \t]*$", re.M)
"""The same in lines of their own."""
_LEGEND: Final = re.compile(
    r"\(?\b0[ ]?[=:][ ]?(?:absent|no|negative|none|not present)[ ]?[,;/][ ]?1[ ]?[=:][ ]?(?:present|yes|positive)\)?:?",
    re.I,
)
_FIGURE: Final = re.compile(r"\s*[01]\b")
_CODED: Final = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z /-]{2,40}?)[ ]?[:=]?[ ]?(?P<figure>[01])\b(?:[,;.]|(?=\s*$))", re.M
)
_NAMED: Final = r"[A-Za-z][A-Za-z /-]{2,40}?"
_BOX: Final = r"\[[ xX✓✔]?\]|[☑☒☐✅❌✔✘✗]"
_MORE: Final = r"[ ]{1,3}(?:left|right|bilateral|both|small|moderate|large|mild|severe|[LR])\b"
"""What behind a box says more of the finding: "Effusion [x] left"."""
_BOXES: Final = re.compile(
    rf"^[ \t]*(?:[A-Za-z ]{{1,30}}:[ ]?)?(?P<boxes>(?:{_NAMED}[ ]{{0,3}}(?:{_BOX})(?:{_MORE})?[ ,;]{{0,4}}){{2,20}})$",
    re.M,
)
"""A line of names with a box behind each."""
_STATES: Final = re.compile(
    r"(?:none|left|right|both|increased|decreased|unchanged|normal|borderline|enlarged|small|moderate|large|mild|severe"
    r"|yes|no|present|absent|side|:)[ ]{0,3}[\[☑☒☐✅❌✔✘✗]",
    re.I,
)
_BOXED: Final = re.compile(rf"(?P<name>{_NAMED})[ ]{{0,3}}(?P<box>{_BOX})(?P<more>{_MORE})?[ ,;]{{0,4}}")
_LISTED: Final = re.compile(
    r"^[ \t]*(?:[A-Za-z ]{1,30}:[ ]?)?(?:(?<![A-Za-z\d])[+–−-][ ]?[A-Za-z][A-Za-z /]{1,40}[,;.]?[ ]?){3,12}$"
    r"|^[+–−-][A-Za-z][A-Za-z /]{1,40}[,;][ ][+–−-][A-Za-z][A-Za-z /]{1,40}\.?$",
    re.M,
)
"""Findings with a sign before each: "+ cardiomegaly, - effusion, - pneumothorax"."""
_MINUS: Final = re.compile(r"(?<![A-Za-z\d])[–−-][ ]?(?=[A-Za-z])")
_NUMBERED: Final = re.compile(r"(?:^[ \t]*|(?<=[.?!] ))[QA]\d{0,2}[ ]?[.:)][ ]?", re.M)
"""What stands before a question or its answer: "Q1:"."""


def take_off(draft: Draft) -> None:
    """Write out what signs, labels and headings say of the findings beside them."""
    if ":" in draft.text and "\n" in draft.text:
        draft.edit((*m.span(), "") for m in _BLOCK.finditer(draft.text))
    draft.edit(_framed(draft.text))
    quoted = draft.text.count("\n>") + draft.text.startswith(">")
    if quoted > ("\n" in draft.text.strip()) or draft.text.count("\n  >") > 1:
        draft.edit((*m.span(), "") for m in _QUOTED.finditer(draft.text))
    if "\n" in draft.text and _DENIED.search(draft.text):
        draft.edit(_denied(draft.text))
    if "nswer" in draft.text or "NSWER" in draft.text:
        draft.edit((*m.span(), f"{m['asked'].strip()}? ") for m in _INQUIRY.finditer(draft.text))
    if ": 1" in draft.text and ": 0" in draft.text:
        draft.edit(_labelled(draft.text))
    below = [m for m in _BELOW.finditer(draft.text) if not TELLS.search(m["name"])] if "\n\n" in draft.text else []
    if len(below) > 1:
        draft.edit((m.end("name"), m.start("state"), ": ") for m in below)
    if "TEXT:" in draft.text:  # a structured report of DICOM, written out
        draft.edit((m.start(), m.end(), m["said"] or f"{m['name']}: {m['text']}") for m in _SR.finditer(draft.text))
    if ".." in draft.text:
        dotted = list(_DOTTED.finditer(draft.text))
        draft.edit((*m.span(2), ": ") for m in (dotted if len(dotted) > 1 else ()))
    for hints, edits in _BESIDE:
        if any(hint in draft.text for hint in hints):
            draft.edit(edits(draft.text))
    if "..." in draft.text:
        scored = (m for m in _SCORED.finditer(draft.text) if told_state(m["state"], ""))
        draft.edit((*m.span(), sentence({NAME: m["name"], STATE: m["state"]})) for m in scored)
    asked = any(mark in draft.text for mark in ("Q1", "Q:")) and any(mark in draft.text for mark in ("A1", "A:"))
    numbered = list(_NUMBERED.finditer(draft.text)) if asked else []
    draft.edit((*m.span(), "") for m in numbered)


def _framed(text: str) -> Iterator[tuple[int, int, str]]:
    """The sides of a printed frame, taken off."""
    lines = list(_FRAMED.finditer(text)) if text.count("*\n") + text.count("#\n") > 1 else []
    return ((*m.span(side), "") for m in lines if len(lines) > 1 for side in ("before", "behind"))


def _signed(text: str) -> Iterator[tuple[int, int, str]]:
    """Findings with "+" and "-" behind them, in lines of their own or in one, or before them in one line."""
    found = list(_SIGNED.finditer(text)) or list(_TRAILED.finditer(text))
    signs = {each["sign"][0] for each in found}
    if "+" in signs and len(signs) > 1 and len(found) >= _LEAST:
        yield from map(_behind, found)
        return
    for listed in _LISTED.finditer(text):
        if "+" in listed.group() and (minus := list(_MINUS.finditer(listed.group()))):
            yield from ((listed.start() + m.start(), listed.start() + m.end(), "no ") for m in minus)


def _behind(found: re.Match[str]) -> tuple[int, int, str]:
    """A finding with a sign behind it, as a sentence."""
    said = sentence({NAME: found["name"], STATE: "present" if found["sign"][0] == "+" else "absent"}).rstrip(".")
    stop = "" if found.string[found.end() : found.end() + 1] in (".", ";") else "."
    return *found.span(), f"{said}{found.groupdict().get('side') or ''}{stop}"


def _boxed(text: str) -> Iterator[tuple[int, int, str]]:
    """Sentences for the lines of a form in which a box stands behind each name: "Effusion [x] left  Edema [ ]"."""
    for line in _BOXES.finditer(text):
        if _STATES.search(line.group()):  # "left [x] right [ ]"
            continue
        for found in _BOXED.finditer(text, line.start("boxes"), line.end()):
            ticked = found["box"].strip("[] ☐❌✘✗") != ""
            said = sentence({NAME: found["name"], STATE: "present" if ticked else "absent"}).rstrip(".")
            yield *found.span(), f"{said}{found['more'] or ''}. "


def _coded(text: str) -> Iterator[tuple[int, int, str]]:
    """Findings with a figure behind each, where the text says what it means: "(0 = absent, 1 = present): edema 0"."""
    legend = _LEGEND.search(text)
    if legend is None:
        return
    coded = [*_CODED.finditer(text, 0, legend.start()), *_CODED.finditer(text, legend.end())]
    for found in sorted([legend, *coded], key=re.Match.start):
        if found is legend:
            yield *found.span(), ":" if _FIGURE.match(text, found.end()) else ""
        else:
            yield (
                *found.span(),
                sentence({NAME: found["name"], STATE: "present" if found["figure"] == "1" else "absent"}),
            )


def _labelled(text: str) -> Iterator[tuple[int, int, str]]:
    """Lines of a name and a figure, all of them labels: "Edema: 0", "Effusion: -1"."""
    found = list(_LABELLED.finditer(text))
    if len(found) >= _LEAST:
        for each in found:
            state = {"1": "present", "0": "absent"}.get(each["figure"], "possible")
            yield *each.span(), sentence({NAME: each["name"], STATE: state})


def _denied(text: str) -> Iterator[tuple[int, int, str]]:
    """A list whose heading denies it, as one sentence: "No evidence of:\\n- edema\\n- effusion"."""
    for lead in _DENIED.finditer(text):
        items = []
        at = lead.end()
        while (item := _DENIED_ITEM.match(text, at)) and not TELLS.search(item["name"]):
            items.append(item)
            at = item.end()
        if not items:
            continue
        yield lead.start("lead"), items[0].start("name"), "no "
        for one, other in pairwise(items):
            yield one.end("name"), other.start("name"), " or "
        yield items[-1].end("name"), items[-1].end(), ".\n"


_BESIDE: Final = ((("+",), _signed), (("0 =", "0=", "0:"), _coded), (("]", "☐", "❌", "✅", "✘", "✗"), _boxed))
"""What stands beside findings, by hints that it is there."""
