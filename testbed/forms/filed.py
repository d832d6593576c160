"""Forms in which archives file reports: with who, when and where around them, on pages, in records of other systems."""

from __future__ import annotations

import base64
import json
import textwrap
from html import escape
from typing import Final

from testbed.forms.report import Written, sentences
from testbed.forms.shown import Form


def _chart(report: Written) -> str:
    """Printed from an electronic chart: demographics in columns, the report, who signed it."""
    body = "\n\n".join(f"{name.upper()}:\n{textwrap.fill(text, 80)}" for name, text in report.sections)
    return (
        "RIVERSIDE COMMUNITY HOSPITAL\nDEPARTMENT OF RADIOLOGY\n400 River Road, Milltown, OH 44111  (216) 555-0134\n\n"
        "Patient Name: ROE, JANE A.            MRN: 00481516\nDOB: 07/14/1957  Age: 61Y  Sex: F     Account #: 234201\n"
        "Ordering Provider: Stone, Peter MD    Location: ED\nExam Date: 03/04/2019 10:22\n\n"
        f"EXAM: XR CHEST 2 VIEWS\n\n{body}\n\n"
        "Dictated by: Alan Poe, MD 03/04/2019 10:41\nElectronically signed by: Alan Poe, MD 03/04/2019 11:02\n"
    )


def _continued(report: Written) -> str:
    """Two pages of a fixed form; the header comes again on the second."""
    lines = textwrap.wrap(report.plain, 74)
    half = (len(lines) + 1) // 2
    head = "DOE, JOHN\nMRN 4481920\nCHEST, TWO VIEWS   03/04/2019\n"
    return (
        f"{head}\n" + "\n".join(lines[:half]) + "\n\n                 (Continued on next page)\n\f"
        f"{head}\n" + "\n".join(lines[half:]) + "\n\n                 END OF REPORT"
    )


def _numbered_pages(report: Written) -> str:
    """Nothing but numbers of pages between its halves, which break a sentence."""
    lines = textwrap.wrap(report.plain, 60)
    half = (len(lines) + 1) // 2
    return "\n".join(lines[:half]) + "\n\n- 1 -\n\n" + "\n".join(lines[half:]) + "\n\n- 2 -\n"


def _mail(report: Written) -> str:
    return (
        "From: Radiology Reports <radiology@hospital.example>\nTo: Stone, Peter\nSent: Monday, March 4, 2019 10:22 AM\n"
        f"Subject: Result available\n\n{report.plain}\n\n--\nThis message is confidential."
    )


def _labelled(report: Written) -> str:
    """XML as an archive of publications has it: labels are attributes."""
    parts = "".join(
        f'<AbstractText Label="{n.upper()}">{escape(t, quote=False)}</AbstractText>' for n, t in report.sections
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<eCitation><meta type="rr"/><uId id="CXR9999"/><pmcId id="9999"/>\n'
        f"<articleDate>2013-08-01</articleDate><Abstract>{parts}</Abstract></eCitation>"
    )


def _structured(report: Written) -> str:
    """What dsrdump prints of a structured report in DICOM."""
    parts = "\n".join(
        f'  <contains CONTAINER:(,,"{name}")=SEPARATE>\n'
        + "\n".join(
            f'    <contains TEXT:(,,"{name[:-1] if name == "Findings" else name}")="{s}">' for s in sentences(text)
        )
        for name, text in report.sections
    )
    return f'<CONTAINER:(,,"Diagnostic Imaging Report")=SEPARATE>\n{parts}'


def _message(report: Written) -> str:
    """A whole HL7 v2 message with the report in one field of formatted text."""
    text = "\\.br\\".join(f"{name.upper()}: {body}" for name, body in report.sections)
    return (
        "MSH|^~\\&|RIS|HOSP|EMR|HOSP|20190304102200||ORU^R01|42|P|2.3\rPID|1||481516^^^HOSP||ROE^JANE||19570714|F\r"
        f"OBR|1||A1234|71020^XR CHEST 2 VIEWS|||20190304\rOBX|1|FT|71020^XR CHEST 2 VIEWS||{text}||||||F\r"
    )


def _bundle(report: Written) -> str:
    """A FHIR bundle: the report as a narrative."""
    paragraphs = "".join(f"<p>{escape(s, quote=False)}</p>" for s in report.sentences)
    resource = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "category": [{"coding": [{"code": "RAD", "display": "Radiology"}]}],
        "code": {"coding": [{"display": "Chest X-ray"}], "text": "Chest X-ray PA and lateral"},
        "subject": {"reference": "Patient/p1", "display": "Jane Roe"},
        "performer": [{"display": "Riverside Radiology"}],
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{paragraphs}</div>'},
        "presentedForm": [{"contentType": "application/pdf", "data": base64.b64encode(b"%PDF-1.4 " * 9).decode()}],
    }
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource}]})


def _html_table(report: Written) -> str:
    rows = "".join(f"<tr><th>{n}</th><td>{escape(t, quote=False)}</td></tr>" for n, t in report.sections)
    return f"<html><head><title>Report</title></head><body><table border='1'>{rows}</table></body></html>"


def _fields(report: Written) -> str:
    return "\n".join(f"{name.lower()}={text}" for name, text in report.sections)


def _toml(report: Written) -> str:
    return "\n".join(f"[{name.lower()}]\n{text}" for name, text in report.sections)


def _british(report: Written) -> str:
    """A British letterhead and sign-off."""
    return (
        "St Elsewhere NHS Foundation Trust\nRadiology Department\nTel: 020 7946 0123\n\n"
        "NHS No: 943 476 5919    Hosp No: X123456\n"
        f"Referrer: Dr A Patel    Ward: Acute Medical Unit\n\nXR Chest\n\n{textwrap.fill(report.plain, 72)}\n\n"
        "Reported by: Dr B Jones, Consultant Radiologist\nGMC No: 1234567\nVerified: 04-Mar-2019 11:02"
    )


def _admitted(report: Written) -> str:
    """A template's own lines in brackets and of dashes around the sections."""
    body = "\n".join(f"-------- {name.upper()} --------\n{text}" for name, text in report.sections)
    return f"[Exam: CXR] [Status: Final]\n{body}\n-------- END --------"


def _final(report: Written) -> str:
    """As a research archive files the text of its hospital: indented, a heading for every section."""
    fill = textwrap.TextWrapper(76, initial_indent=" ", subsequent_indent=" ")
    body = "\n \n".join(f" {name.upper()}: \n \n{fill.fill(text)}" for name, text in report.sections)
    return (
        "                                 FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n \n"
        " INDICATION:  ___F with cough  // eval for pneumonia\n \n TECHNIQUE:  Chest PA and lateral\n \n"
        f" COMPARISON:  Chest radiograph ___\n \n{body}\n"
    )


def _capitals(report: Written) -> str:
    """A chart in capitals and narrow columns: pages of six lines with header and footer, which cut sentences."""
    lines = textwrap.wrap(report.plain, 40)
    pages = [lines[i : i + 6] for i in range(0, len(lines), 6)]
    head = "DOE, JOHN Q\nMRN: 0012345   DOB: 01/02/1950\nVETERANS MEDICAL CENTER\n\n"
    foot = "\n\nCONFIDENTIAL\nPAGE {} OF " + str(len(pages)) + "\n"
    return "\f".join(head + "\n".join(page) + foot.format(n) for n, page in enumerate(pages, 1)).upper()


FORMS: Final[dict[str, Form]] = {
    "chart with demographics and signatures": _chart,
    "continued on the next page": _continued,
    "numbers of pages": _numbered_pages,
    "mail with its header": _mail,
    "XML with labels": _labelled,
    "structured report of DICOM, printed": _structured,
    "HL7 message": _message,
    "FHIR bundle with a narrative": _bundle,
    "HTML table": _html_table,
    "fields with equals signs": _fields,
    "sections in square brackets": _toml,
    "British letterhead": _british,
    "template with lines of dashes": _admitted,
    "final report of a research archive": _final,
    "chart in capitals, six lines a page": _capitals,
}
"""By name. None of them was looked at while reading forms was worked on before they were first run."""
