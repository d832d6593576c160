"""RTF and LaTeX around a report, taken off: what its words say stays, in their order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from judges.draft import Draft

_Edit = tuple[int, int, str]

_RTF: Final = re.compile(r"\s*\{\\rtf\d?")
_RTF_ASIDE: Final = re.compile(
    r"\{\\(?:\*|fonttbl|colortbl|stylesheet|info|pict|themedata|listtable|listoverridetable|rsidtbl|generator|object"
    r"|header[lrf]?|footer[lrf]?|datastore|latentstyles|xmlnstbl|mmathPr)(?![a-z])"
)
"""What begins a group about fonts, colours, pictures and the file itself."""
_BRACE: Final = re.compile(r"(?<!\\)[{}]")
_RTF_WORD: Final = re.compile(
    r"\\'(?P<code>[\da-fA-F]{2})|\\(?P<name>[a-z]{1,32})-?\d{0,10}[ ]?|\\(?P<sign>[^a-z])|[{}]"
)
_RTF_MEANS: Final = {
    "par": "\n", "line": "\n", "page": "\n", "sect": "\n", "row": "\n", "cell": " ", "tab": " ", "lquote": "'",
    "rquote": "'", "ldblquote": '"', "rdblquote": '"', "emdash": " - ", "endash": "-", "bullet": "-",
}  # fmt: skip

_LATEX: Final = re.compile(r"\\(?:begin|end|item|(?:sub)*(?:section|paragraph)|text\w*|emph|boxed|fbox|math\w*)\b")
_LATEX_PART: Final = re.compile(
    r"\\(?:begin|end)\{[^{}\n]{0,40}\}(?:\[[^\]\n]{0,40}\])?"
    r"|\\(?:documentclass|usepackage)(?:\[[^\]\n]{0,80}\])?\{[^{}\n]{0,80}\}|\\(?:maketitle|noindent|centering)\b"
    r"|(?P<item>\\item\b(?:\[[^\]\n]{0,60}\])?)|(?P<title>\\(?:sub)*(?:section|paragraph)\*?\{)"
    r"|(?P<dressed>\\[a-z]{2,12}\{)|(?P<line>\\\\(?=\s|\Z)|\\(?:newline|par)\b)|(?P<open>\{)|(?P<close>\})"
    r"|\\(?P<sign>[%&$#_])"
)


def take_off(draft: Draft) -> None:
    """Take off RTF or LaTeX, if the text is any."""
    if _RTF.match(draft.text):
        draft.edit(_asides(draft.text))
        draft.edit(_rtf(draft.text))
    elif _LATEX.search(draft.text):
        draft.edit(_latex(draft.text))


def _asides(text: str) -> Iterator[_Edit]:
    """The groups that hold nothing of the text, with all groups in them."""
    depth = begin = 0
    starts = {m.start() for m in _RTF_ASIDE.finditer(text)}
    for brace in _BRACE.finditer(text):
        if depth:
            depth += 1 if brace.group() == "{" else -1
            if depth == 0:
                yield begin, brace.end(), ""
        elif brace.start() in starts:
            depth, begin = 1, brace.start()


def _rtf(text: str) -> Iterator[_Edit]:
    for found in _RTF_WORD.finditer(text):
        if found["code"]:
            new = bytes.fromhex(found["code"]).decode("cp1252", "replace")
        elif found["name"]:
            new = _RTF_MEANS.get(found["name"], "")
        else:
            sign = found["sign"] or ""
            new = {"~": " ", "_": "-", "\n": "\n"}.get(sign, sign if sign in "{}\\" else "")
        yield (*found.span(), new)


def _latex(text: str) -> Iterator[_Edit]:
    """Lines for items and breaks, headings for titles, and what a command dresses without the command."""
    closing: list[str] = []
    """Per open brace what stands for the one that closes it."""
    for part in _LATEX_PART.finditer(text):
        new = "\n"
        if part["item"]:
            new = "\n- " + (part["item"][6:-1] + ": " if part["item"].endswith("]") else "")
        elif part["title"]:
            closing.append(":\n")
        elif part["dressed"] or part["open"]:
            closing.append("" if part["dressed"] else "}")
            new = part["open"] or ""
        elif part["close"]:
            new = closing.pop() if closing else "}"
        elif part["sign"]:
            new = part["sign"]
        yield (*part.span(), new)
