"""Cuts a report into numbered statements, and makes each safe to show to a model.

A statement keeps its offsets, so a judgement about an id is a judgement about a span of the original text. What a
policy wrote is data: markers of chat templates are removed.
"""

from __future__ import annotations

import itertools
import re
from typing import Final, NamedTuple

import orjson

from judges import chat_tokens as tokens

# A full stop ends a statement unless it follows one of these; a decimal has no blank after its point.
_ABBREVIATION: Final = re.compile(
    r"(?:\b(?:dr|drs|mr|mrs|ms|prof|st|vs|approx|e\.g|i\.e|cf|inc)|^\s*\(?\d{1,2})$", re.I
)
_BOUNDARY: Final = re.compile(r"(?<![.!?])[.!?]+(?=\s|$)|[;\n\r\u2028\u2029]+")
_WORD: Final = re.compile(r"\w")
_LIST: Final = re.compile(r",|;|/|\b(?:and|or|with)\b", re.I)


class Statement(NamedTuple):
    """One statement: the text, and its offsets [start, end) in the report."""

    text: str
    start: int
    end: int


def split(report: str) -> list[Statement]:
    """The report's statements in order: sentences, lines, and parts between semicolons. Blank ones are dropped."""
    statements: list[Statement] = []
    start = 0
    for boundary in [*_BOUNDARY.finditer(report), None]:
        end = boundary.end() if boundary else len(report)
        # The look-back is cut to 16 characters: an abbreviation is short, and a long line must not cost its square.
        if boundary and report[boundary.start()] == ".":
            before = report[max(start, boundary.start() - 16) : boundary.start()]
            if _ABBREVIATION.search(before):
                continue
        text = report[start:end]
        if _WORD.search(text):
            left = start + len(text) - len(text.lstrip())
            statements.append(Statement(text.strip(), left, left + len(text.strip())))
        start = end
    return statements


def findings_in(text: str) -> int:
    """Most findings that a statement can hold: its list separators and one."""
    return 1 + len(_LIST.findall(text))


# --- is it only about something normal or absent? ---------------------------------------------------------------

_NORMAL: Final = re.compile(
    r"\b(?:no|not|without|nor|neither|none|negative|absent|free of|clear|normal\w*|unremarkable|intact|patent|"
    r"within (?:normal )?limits|midline|preserved)\b",
    re.I,
)
_NOT_NORMAL: Final = re.compile(
    r"\bno (?:\w+ ){0,2}(?:change|increase|decrease|improvement|interval)|\bnot (?:\w+ )?changed|\bno longer|"
    r"\bnot (?:be )?(?:entirely )?(?:excluded|ruled out)|\b(?:but|however|although|except|aside from|other than|"
    r"apart from|otherwise|abnormal)\b",
    re.I,
)
_CLAUSE: Final = re.compile(r",|\b(?:with|without|and)\b", re.I)
_PADDING: Final = re.compile(
    r"\b(?:is|are|was|were)\s+(?:seen|identified|present|noted|evident|visuali[sz]ed|demonstrated)\b|\bin size and \w+",
    re.I,
)
_NEGATION: Final = re.compile(r"\b(?:no|without|negative for|free of|nor|neither)\b|^\W*(?:\d+\W+)?normal\b", re.I)
_PLURAL: Final = re.compile(r"\b(?:are|were|appear|remain)\b", re.I)
_STANDS_ALONE: Final = re.compile(
    r"\b(?:is|are|was|were|has|have|there|shows?|seen|noted|small|mild|moderate|trace|stable|unchanged|new)\b", re.I
)


def reads_normal(statement: str) -> bool:
    """Whether a reference statement only says that something is normal or absent.

    By its words and in code, on purpose: what a reference is worth must be the same for all candidates, and no
    candidate may talk a model into another view of it. In doubt the statement counts as a finding.
    """
    if not _NORMAL.search(statement) or _NOT_NORMAL.search(statement):
        return False
    clauses = _cut(_PADDING.sub(" ", statement))
    cues = [bool(_NORMAL.search(clause)) for clause in clauses]
    # A clause without a cue of its own is fine only as an item of a list: "no A, B, or C"; "A, B and C are normal".
    negated = cues[0] and _NEGATION.search(statement) is not None
    plural = cues[-1] and _PLURAL.search(clauses[-1]) is not None
    return all(
        cue or ((negated or plural) and not _STANDS_ALONE.search(c)) for c, cue in zip(clauses, cues, strict=True)
    )


def _cut(statement: str) -> list[str]:
    """Clauses, each with the word that opens it: `without` is itself a cue."""
    edges = [0, *(m.start() for m in _CLAUSE.finditer(statement)), len(statement)]
    return [part for a, b in itertools.pairwise(edges) if _WORD.search(part := statement[a:b])]


# --- a candidate is data -----------------------------------------------------------------------------------------

# Wider than what the normaliser removes: with blanks inside, the full-width bar, and whatever else may open a turn.
_MARKER: Final = re.compile(
    rf"<\s*[|｜][^<>]{{0,64}}[|｜]\s*>(?:\s*{tokens.either(tokens.ROLES, ('developer', 'tool'))}\b)?"
    rf"|\[/?\s*{tokens.either(tokens.INSTRUCTION, tokens.TOOLS)}\s*\]|<</?\s*sys\s*>>"
    rf"|</?\s*{tokens.either(tokens.SEQUENCE, tokens.TURNS, tokens.START_OF_IMAGE, tokens.ROLES, tokens.CONTENT)}\s*>"
    r"|^[^\S\n]{0,16}#{2,}[^\S\n]{0,16}(?:human|assistant|system|user|instructions?|response)\b:?",
    re.I | re.M,
)
_NESTED: Final = 8
_NO_BRACKETS: Final = str.maketrans("<>[]#", "     ")
# Control and format characters (zero-width, bidirectional, tags) can hide text from people and split a marker.
_INVISIBLE: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)


def clean(text: str) -> str:
    """The text without invisible characters and without markers of chat templates; a blank stands for a marker.

    Repeated, since taking one marker out may put another together; who nests them deeper loses the brackets.
    """
    text = _INVISIBLE.sub("", text)
    for _ in range(_NESTED):
        if (shorter := _MARKER.sub(" ", text)) == text:
            break
        text = shorter
    else:
        text = text.translate(_NO_BRACKETS)
    return " ".join(text.split())


def has_markers(text: str) -> bool:
    """Whether the text carries markers of a chat template; `clean` takes them out."""
    return _MARKER.search(_INVISIBLE.sub("", text)) is not None


def show(identifier: str, text: str) -> str:
    """One line of JSON for a prompt; `<` and `>` are escaped, so no special token can stand in it."""
    line = orjson.dumps({"id": identifier, "text": text}).decode()
    return line.replace("<", "\\u003c").replace(">", "\\u003e")
