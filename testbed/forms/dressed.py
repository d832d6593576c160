"""Forms in which reports come by way of people and programs: letters, transcribers, tables, chats, templates."""

from __future__ import annotations

import json
from typing import Final

from testbed.forms.report import Written, sentences
from testbed.forms.shown import Form


def _headed(report: Written) -> str:
    return "\n\n".join(f"{name}:\n{text}" for name, text in report.sections)


def _departments(report: Written) -> str:
    """Below what the house does; an opening line of it is no examination."""
    return (
        "LAKESIDE IMAGING CENTER\nMRI | CT | X-RAY | ULTRASOUND | MAMMOGRAPHY\n12 Harbor Road, Milltown, OH 44111\n\n"
        f"EXAM: CHEST 2 VIEWS\n\n{_headed(report)}\n"
    )


def _unsigned(report: Written) -> str:
    """As typed from a dictation: who typed it, and that nobody has read it."""
    return (
        f"{_headed(report)}\n\nDICTATED BUT NOT READ.\nThis report was created using voice recognition software. "
        "Errors in transcription may occur. If there is any question, please call the radiologist at ext. 4-5512.\n"
        "cc: Dr. L. Stone; Dr. P. Rivers\nD: 03/04/2019 11:04  T: 03/04/2019 11:31  Job#: 883920\nAP/mlk\n"
        "Voice ID: 1120387\n"
    )


def _letter(report: Written) -> str:
    return (
        "From: radiology@hospital.example\nTo: p.stone@hospital.example\nSubject: CXR result - J.D.\n\n"
        "Dear Dr. Stone,\n\nThank you for referring this patient. Please find the result of today's chest X-ray below."
        f"\n\n{_headed(report)}\n\nKind regards,\nDr. Ann Rivers\nConsultant Radiologist\nTel. 555 0188\n"
    )


def _spaced(report: Written) -> str:
    """Headings in letters that stand apart, as a scan of a typed page has them."""
    return "\n\n".join(f"{' '.join(name.upper())} :\n{text}" for name, text in report.sections)


def _dotted(report: Written) -> str:
    return "\n".join(f"{name.upper()}.....: {text}" for name, text in report.sections)


def _by_tabs(report: Written) -> str:
    rows = [
        f"{name.lower()}\t{number}\t{sentence}"
        for name, text in report.sections
        for number, sentence in enumerate(sentences(text), 1)
    ]
    return "section\tn\ttext\n" + "\n".join(rows)


def _called(report: Written) -> str:
    """The arguments of a call of a tool."""
    called = {"name": "submit_report", "arguments": {name.lower(): text for name, text in report.sections}}
    return f"<tool_call>\n{json.dumps(called)}\n</tool_call>"


def _filled(report: Written) -> str:
    """A template whose fields were filled in."""
    fields = "\n".join(f"{name}: [<{text}>]" for name, text in report.sections)
    return f"XR Chest 2 Views\n\nClinical Information: [<Free text>]\nComparison: [<None.>]\n\n{fields}"


def _numbered_characters(report: Written) -> str:
    """Blanks and line breaks by their numbers."""
    return report.plain.replace(" ", "\\u0020")


def _helpful(report: Written) -> str:
    """What a chat model says around a report."""
    sections = "\n\n".join(f"**{name}:** {text}" for name, text in report.sections)
    return (
        f"Certainly. Based on the image you uploaded, I have drafted the following:\n\n---\n\n{sections}\n\n---\n\n"
        "*Disclaimer: As an AI language model, I am not a doctor and this is not medical advice. Please consult a "
        "qualified radiologist for a definitive diagnosis.*"
    )


FORMS: Final[dict[str, Form]] = {
    "below a list of departments": _departments,
    "dictated but not read": _unsigned,
    "letter by mail": _letter,
    "headings in spaced letters": _spaced,
    "headings with dots": _dotted,
    "table by tabs": _by_tabs,
    "arguments of a tool call": _called,
    "fields of a template": _filled,
    "blanks by their numbers": _numbered_characters,
    "chat with a disclaimer": _helpful,
}
"""By name; of kinds that were wrong when others first tried them."""
