"""The forms that are worked with."""

from __future__ import annotations

import json
import random
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Final

from testbed.forms.report import Written, bare, by_organ, sentences

Form = Callable[[Written], str]

WIDTHS: Final = (40, 60, 72, 80)
_SEPARATE: Final = re.compile(r"((?<!\d)[.:/]|[.:/](?!\d)|[,;?!()]|(?<=\w)-(?=\w))")  # a decimal stays whole
_GAP: Final = re.compile(r"X{3,}")
_ARTICLE: Final = re.compile(r"\b(?:The|the|a|an|A)\b(?= [a-z])")
_PREAMBLE: Final = "INDICATION: Cough and fever. HISTORY: Asthma. TECHNIQUE: PA and lateral views. COMPARISON: None."


def _wrapped(width: int) -> Form:
    return lambda report: "\n\n".join(textwrap.fill(text, width) for _, text in report.sections)


def _wrapped_with_headings(width: int) -> Form:
    return lambda report: "\n\n".join(textwrap.fill(f"{name.upper()}: {text}", width) for name, text in report.sections)


def _capitals(form: Form) -> Form:
    return lambda report: form(report).upper()


def _plain(report: Written) -> str:
    return report.plain


def _headed(before: str, *, impression: str = "IMPRESSION") -> Form:
    """One line: what stands before the findings, then the impression with its heading."""

    def form(report: Written) -> str:
        closing = f" {impression}: {report.impression}" if report.impression else ""
        return f"{before} {report.findings}{closing}"

    return form


def _joined(separator: str, *, stops: bool) -> Form:
    return lambda report: separator.join(s if stops else bare(s) for s in report.sentences)


def _lines(lead: Callable[[int], str], between: str = "\n") -> Form:
    return lambda report: between.join(f"{lead(n)}{s}" for n, s in enumerate(report.sentences, 1))


def _markdown(report: Written) -> str:
    return "\n\n".join(
        f"## {name}\n\n" + "\n".join(f"- {s}" for s in sentences(text)) for name, text in report.sections
    )


def _bold_headings(report: Written) -> str:
    return "\n\n".join(f"**{name}:** {text}" for name, text in report.sections)


def _emphasised(report: Written) -> str:
    lines = []
    for sentence in report.sentences:
        first, _, rest = sentence.partition(" ")
        lines.append(f"- **{first}** {rest}".rstrip())
    return "# Chest radiograph\n" + "\n".join(lines) + "\n\n---\n"


def _table(report: Written) -> str:
    rows = [f"| {n} | {s} |" for n, s in enumerate(report.sentences, 1)]
    return "\n".join(["| No. | Finding |", "|---|---|", *rows])


def _table_of_sections(report: Written) -> str:
    rows = [f"| {name} | {text} |" for name, text in report.sections]
    return "\n".join(["| Section | Text |", "| --- | :--- |", *rows])


def _table_by_organ(report: Written) -> str:
    rows = [f"| {organ.capitalize()} | {' '.join(said)} |" for organ, said in by_organ(report)]
    return "\n".join(["| Organ | Description |", "|:------|:------|", *rows])


def _json(report: Written) -> str:
    return json.dumps({name.lower(): text for name, text in report.sections})


def _json_by_organ(report: Written) -> str:
    return json.dumps({organ: " ".join(said) for organ, said in by_organ(report)}, indent=2)


def _json_nested(report: Written) -> str:
    return json.dumps({"report": {"findings": dict(by_organ(report)), "confidence": 0.9, "missing": None}})


def _json_list(report: Written) -> str:
    return json.dumps(report.sentences)


def _gaps(gap: str) -> Form:
    return lambda report: _GAP.sub(gap, report.plain)


def _gaps_for_articles(gap: str) -> Form:
    return lambda report: _ARTICLE.sub(lambda _: gap, report.plain)


def _without_gaps_to_read(form: Form, gap: str) -> Form:
    return lambda report: _ARTICLE.sub(lambda _: gap, form(report))


def tokenised(text: str) -> str:
    """With blanks around punctuation, as a tokenizer leaves it."""
    return " ".join(_SEPARATE.sub(r" \1 ", text).split())


def _stray(marks: str, every: int) -> Form:
    """With a lone mark between two words in `every`."""

    def form(report: Written) -> str:
        rng = random.Random(report.plain)
        words = report.plain.split()
        strewn: Iterator[str] = (
            f"{word} {rng.choice(marks)}" if rng.randrange(every) == 0 and word[-1].isalpha() else word
            for word in words[:-1]
        )
        return " ".join([*strewn, *words[-1:]])

    return form


FORMS: Final[dict[str, Form]] = {
    **{f"wrapped at {width}": _wrapped(width) for width in WIDTHS},
    **{f"capitals, wrapped at {width}": _capitals(_wrapped(width)) for width in WIDTHS},
    "headings, wrapped at 72": _wrapped_with_headings(72),
    "capitals, headings, wrapped at 60": _capitals(_wrapped_with_headings(60)),
    "capitals": _capitals(_plain),
    "lower case": lambda report: report.plain.lower(),
    "headings, findings": _headed(f"{_PREAMBLE} FINDINGS:"),
    "headings, views": _headed(f"{_PREAMBLE} TWO VIEWS OF THE CHEST:"),
    "headings, portable": _headed("HISTORY: Cough. PORTABLE AP CHEST:"),
    "headings, observations": _headed(
        "Clinical indication: cough. Comparison: none. Observations:", impression="Impression"
    ),
    "headings, description": _headed("Technique: PA and lateral views. Description:", impression="Conclusion"),
    "headings, none before the findings": _headed(_PREAMBLE),
    "headings, technique alone": _headed("TECHNIQUE: PA and lateral views of the chest."),
    "literal line breaks": lambda report: "\\n".join(report.sentences),
    "literal line breaks, Windows": lambda report: "\\r\\n".join(report.sentences),
    "literal line breaks, headings": lambda report: "\\n\\n".join(f"{n.upper()}:\\n{t}" for n, t in report.sections),
    "literal line breaks, wrapped": lambda report: _wrapped(60)(report).replace("\n", "\\n"),
    "joined by |": _joined(" | ", stops=False),
    "joined by -": _joined(" - ", stops=False),
    "joined by ;": _joined("; ", stops=False),
    "stops and |": _joined(" | ", stops=True),
    "stops and -": _joined(" - ", stops=True),
    "numbered": _lines(lambda n: f"{n}. "),
    "numbered, brackets": _lines(lambda n: f"{n}) "),
    "numbered in one line": _lines(lambda n: f"{n}. ", " "),
    "numbered in one line, brackets": _lines(lambda n: f"({n}) ", " "),
    "bulleted": _lines(lambda _: "- "),
    "bulleted with stars": _lines(lambda _: "* "),
    "bulleted with dots": _lines(lambda _: "• "),
    "bulleted without stops": lambda report: "\n".join(f"- {bare(s)}" for s in report.sentences),
    "capitals, bulleted without stops": lambda report: "\n".join(f"- {bare(s)}" for s in report.sentences).upper(),
    "a sentence a line": _lines(lambda _: ""),
    "markdown": _markdown,
    "markdown, bold headings": _bold_headings,
    "markdown, emphasis": _emphasised,
    "table": _table,
    "table of sections": _table_of_sections,
    "table by organ": _table_by_organ,
    "JSON": _json,
    "JSON by organ": _json_by_organ,
    "JSON, nested": _json_nested,
    "JSON, list": _json_list,
    "JSON in a fence": lambda report: f"```json\n{_json_by_organ(report)}\n```",
    "fence": lambda report: f"```\n{_markdown(report)}\n```",
    "Assistant": lambda report: f"Assistant: {report.plain}",
    "gaps as ___": _gaps("___"),
    "gaps as [** **]": _gaps("[**Hospital 12**]"),
    "gaps as [** **] with a date": _gaps("[**2101-3-4**]"),
    "articles as ___": _gaps_for_articles("___"),
    "articles as XXXX": _gaps_for_articles("XXXX"),
    "articles as [** **]": _gaps_for_articles("[**Known lastname**]"),
    "wrapped at 60, articles as ___": _without_gaps_to_read(_wrapped(60), "___"),
    "tokenised": lambda report: tokenised(report.plain),
    "tokenised, lower case": lambda report: tokenised(report.plain.lower()),
    "stray marks": _stray("?:,", 6),
    "stray marks, many": _stray("?:,;", 3),
}  # fmt: skip

LOSSY: Final[dict[str, Form]] = {
    # A single assertion behind a history is history.
    "headings, history alone": _headed("HISTORY: Shortness of breath."),
    "no punctuation": lambda report: re.sub(r"[.,;:?!](?!\d)", "", report.plain),
    "capitals, no punctuation": lambda report: re.sub(r"[.,;:?!](?!\d)", "", report.plain.upper()),
    "lower case, no punctuation": lambda report: re.sub(r"[.,;:?!](?!\d)", "", report.plain.lower()),
}
"""Forms in which something is lost, because nothing tells where a sentence or section ends; how much is reported."""
