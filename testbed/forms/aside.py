"""Forms that were put aside for a first measurement, and are worked with since."""

from __future__ import annotations

import html
import json
import textwrap
from typing import Final

from testbed.forms.report import Written, bare, by_organ
from testbed.forms.shown import Form, tokenised

_ROMAN: Final = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x")


def _indented(report: Written) -> str:
    fill = textwrap.TextWrapper(66, initial_indent="    ", subsequent_indent="    ")
    return "\n\n".join(f"{name.upper()}:\n{fill.fill(text)}" for name, text in report.sections)


def _hanging(report: Written) -> str:
    return "\n".join(
        textwrap.fill(f"{n}. {sentence}", 44, subsequent_indent="   ") for n, sentence in enumerate(report.sentences, 1)
    ).upper()


def _quoted(report: Written) -> str:
    return "\n".join(f"> {line}" for line in textwrap.fill(report.plain, 50).splitlines())


def _yaml(report: Written) -> str:
    return "\n".join(f"{organ}:\n" + "\n".join(f"  - {s}" for s in said) for organ, said in by_organ(report))


def _xml(report: Written) -> str:
    parts = "".join(
        f"<{name.lower()}>{html.escape(text, quote=False)}</{name.lower()}>" for name, text in report.sections
    )
    return f"<report>{parts}</report>"


def _html(report: Written) -> str:
    items = "".join(f"<li>{html.escape(s, quote=False)}</li>" for s in report.sentences)
    return f"<h2>Chest radiograph</h2><ul>{items}</ul>"


FORMS: Final[dict[str, Form]] = {
    "wrapped at 50, every line followed by a blank one": lambda r: "\n\n".join(textwrap.wrap(r.plain, 50)),
    "indented sections, wrapped at 66": _indented,
    "capitals, numbered, wrapped at 44": _hanging,
    "quoted, wrapped at 50": _quoted,
    "Markdown line breaks": lambda r: "  \n".join(r.sentences),
    "HTML line breaks": lambda r: "<br>".join(r.sentences),
    "HTML list": _html,
    "XML": _xml,
    "YAML by organ": _yaml,
    "Python dict": lambda r: str(dict(by_organ(r))),
    "JSON lines of objects": lambda r: json.dumps(
        {"findings": [{"organ": organ, "description": " ".join(said)} for organ, said in by_organ(r)]}, indent=1
    ),
    "JSON of JSON": lambda r: json.dumps({"output": json.dumps({n.lower(): t for n, t in r.sections})}),
    "joined by //": lambda r: " // ".join(bare(s) for s in r.sentences),
    "joined by dots": lambda r: " • ".join(bare(s) for s in r.sentences),
    "joined by a long dash": lambda r: " — ".join(bare(s) for s in r.sentences),
    "letters": lambda r: "\n".join(f"{chr(96 + n % 26 or 97)}) {s}" for n, s in enumerate(r.sentences, 1)),
    "Roman numerals": lambda r: "\n".join(f"{_ROMAN[n % 10]}. {s}" for n, s in enumerate(r.sentences)),
    "table without frame": lambda r: "\n".join(f"{o.capitalize()} | {' '.join(s)}" for o, s in by_organ(r)),
    "heading in a sentence's line": lambda r: "EXAM: Chest two views REASON FOR EXAM: Cough RESULT: " + r.plain,
    "a preface": lambda r: f"Here is the radiology report:\n\n{r.plain}",
    "Answer": lambda r: f"Answer: {r.plain}",
    "Report in a tilde fence": lambda r: f"~~~text\n{r.plain}\n~~~",
    "gaps in angle brackets": lambda r: r.plain.replace("XXXX", "<NAME>"),
    "gaps in brackets": lambda r: r.plain.replace("XXXX", "[REDACTED]"),
    "capitals, tokenised": lambda r: tokenised(r.plain.upper()),
}
"""By name."""
