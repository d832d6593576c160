"""Forms in which hospital systems, copies, dictation and models hand a report on: segments, letters, pages, markup."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Iterator
from html import escape
from typing import Final

from testbed.forms.report import Written, bare, by_organ, sentences
from testbed.forms.shown import Form

_ORGAN_HEADINGS: Final = {
    "devices": "LINES AND TUBES",
    "pleura": "PLEURA",
    "heart": "HEART AND MEDIASTINUM",
    "bones": "BONES AND SOFT TISSUES",
    "lungs": "LUNGS AND AIRWAYS",
    "other": "OTHER",
}
_SPOKEN: Final = {".": " period", ",": " comma", ":": " colon", ";": " semicolon", "?": " question mark"}
_LONG: Final = 9  # letters of a word that a typesetter breaks


def _segments(report: Written) -> str:
    """HL7 v2 observation segments, one a sentence."""
    return "\n".join(f"OBX|{n}|TX|71020^CHEST 2 VIEWS^L||{s}||||||F" for n, s in enumerate(report.sentences, 1))


def _escaped_lines(report: Written) -> str:
    r"""The text of an HL7 v2 field, whose line breaks are \.br\."""
    return "\\.br\\\\.br\\".join(f"{name.upper()}:\\.br\\{text}" for name, text in report.sections)


def _csv(report: Written) -> str:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow([name.lower() for name, _ in report.sections])
    writer.writerow([text for _, text in report.sections])
    return out.getvalue()


def _pages(report: Written) -> str:
    """Copied from a PDF with two pages: header, demographics, and a page break in the middle of the text."""
    lines = textwrap.wrap(report.plain, 70)
    half = (len(lines) + 1) // 2
    head = "General Hospital - Department of Radiology\nName: XXXX XXXX   MRN: 0012345   DOB: 01/02/1950"
    first, second = "\n".join(lines[:half]), "\n".join(lines[half:])
    return f"{head}\n\nFINDINGS:\n{first}\n\nPage 1 of 2\n\n{head}\n\n{second}\n\nPage 2 of 2"


def _broken_words(report: Written) -> str:
    """As set in a narrow column: a long word at the end of a line is broken."""
    lines, line = [], ""
    for word in report.plain.split():
        if len(line) + len(word) < 46:
            line = f"{line} {word}".strip()
        elif len(word) >= _LONG and word.isalpha() and len(line) < 40:
            lines.append(f"{line} {word[:5]}-")
            line = word[5:]
        else:
            lines.append(line)
            line = word
    return "\n".join([*lines, line])


def _spoken(report: Written) -> str:
    """Dictation that writes punctuation out."""
    said = []
    for sentence in report.sentences:
        text = bare(sentence)
        for mark, word in _SPOKEN.items():
            text = text.replace(f"{mark} ", f"{word} ")
        said.append(f"{text} period")
    return " ".join(said).lower()


def _printout(report: Written) -> str:
    return "\n".join(f"{n:03d}  {line}" for n, line in enumerate(textwrap.wrap(report.plain, 60), 1))


def _rtf(report: Written) -> str:
    body = "\\par\n".join(f"\\b {name.upper()}:\\b0\\par {text}" for name, text in report.sections)
    return f"{{\\rtf1\\ansi\\deff0{{\\fonttbl{{\\f0 Arial;}}}}\\f0\\fs20 {body}\\par}}"


def _cda(report: Written) -> str:
    """Sections of a clinical document (HL7 CDA)."""
    parts = "".join(
        f'<component><section><code code="59776-5" displayName="{name}"/><title>{name}</title><text>'
        + "".join(f"<paragraph>{escape(s, quote=False)}</paragraph>" for s in sentences(text))
        + "</text></section></component>"
        for name, text in report.sections
    )
    return f'<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3">{parts}</ClinicalDocument>'


def _fhir(report: Written) -> str:
    resource = {
        "resourceType": "DiagnosticReport",
        "id": "rad-10234",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "36643-5"}], "text": "XR Chest 2 Views"},
        "effectiveDateTime": "2019-03-04T10:22:00Z",
        "conclusion": report.plain,
    }
    return json.dumps(resource, indent=2)


def _latex(report: Written) -> str:
    items = "\n".join(f"  \\item {s}" for s in report.sentences)
    return f"\\begin{{itemize}}\n{items}\n\\end{{itemize}}"


def _leaders(report: Written) -> str:
    return "\n".join(f"{organ.capitalize() + ' ':.<24} {' '.join(said)}" for organ, said in by_organ(report))


def _times(report: Written) -> str:
    """A log of dictation: when each sentence was said."""
    return "\n".join(f"[00:{n // 10:02d}:{n % 10 * 6:02d}] {s}" for n, s in enumerate(report.sentences))


def _letter(report: Written) -> str:
    return (
        "Dear Dr. XXXX,\n\nThank you for referring this patient.\n\n"
        f"{textwrap.fill(report.plain, 76)}\n\n"
        "Kind regards,\n\nDr. XXXX XXXX\nConsultant Radiologist\nElectronically signed on 04/03/2019 at 10:22"
    )


def _underlined(report: Written) -> str:
    return "\n\n".join(f"{name}\n{'=' * len(name)}\n\n{text}" for name, text in report.sections)


def _organ_headings(report: Written) -> str:
    return " ".join(f"{_ORGAN_HEADINGS[organ]}: {' '.join(said)}" for organ, said in by_organ(report))


def _framed(report: Written) -> str:
    lines = textwrap.wrap(report.plain, 56)
    return "\n".join(["*" * 60, *(f"* {line:<56} *" for line in lines), "*" * 60])


def _outline(report: Written) -> str:
    def lines() -> Iterator[str]:
        for n, (name, text) in enumerate(report.sections, 1):
            yield f"{n}. {name}"
            yield from (f"{n}.{m}. {s}" for m, s in enumerate(sentences(text), 1))

    return "\n".join(lines())


def _final_report(report: Written) -> str:
    """A page of a hospital's own system, with its header, form feeds of lines, and who read it."""
    fill = textwrap.TextWrapper(78, initial_indent=" ", subsequent_indent=" ")
    body = "\n \n".join(f" {name.upper()}:  \n \n{fill.fill(text)}" for name, text in report.sections)
    return (
        " [**2101-3-4**] 10:22 AM\n CHEST (PA & LAT)                                Clip # [**Clip Number 12**]\n"
        " Reason: eval for pneumonia\n ______________________________________________________________________________\n"
        " UNDERLYING MEDICAL CONDITION:\n  54 year old man with cough\n"
        " REASON FOR THIS EXAMINATION:\n  eval for pneumonia\n"
        " ______________________________________________________________________________\n"
        f"                                 FINAL REPORT\n{body}\n"
    )


FORMS: Final[dict[str, Form]] = {
    "HL7 segments": _segments,
    "HL7 line breaks": _escaped_lines,
    "HL7 repetitions": lambda r: "~".join(r.sentences),
    "CSV": _csv,
    "pages": _pages,
    "broken words": _broken_words,
    "spoken punctuation": _spoken,
    "numbered lines of a printout": _printout,
    "RTF": _rtf,
    "CDA": _cda,
    "FHIR": _fhir,
    "boxed": lambda r: f"\\boxed{{{r.plain}}}",
    "LaTeX list": _latex,
    "task list": lambda r: "\n".join(f"- [x] {s}" for s in r.sentences),
    "dot leaders by organ": _leaders,
    "times of dictation": _times,
    "letter": _letter,
    "underlined headings": _underlined,
    "impression first": lambda r: " ".join(f"{name.upper()}: {text}" for name, text in reversed(r.sections)),
    "organ headings in one line": _organ_headings,
    "no blanks between sentences": lambda r: "".join(r.sentences),
    "frame of a printer": _framed,
    "outline": _outline,
    "final report with its header": _final_report,
}
"""By name; a third of them by their names' hash is kept apart (`benchmarks.scope.half`)."""
