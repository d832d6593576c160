"""One canonical spelling for every text before it is scored, with a map back to what was sent.

A policy under training finds whatever the scorer reads differently from a person: look-alike letters,
invisible characters, chat tokens, thinking blocks. They are folded or removed here, once, for candidate and
reference alike, so that no metric or judge has to know of them; what was removed is reported as a flag.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from judges import chat_tokens as tokens
from judges import records
from judges.containers import unwrap
from judges.draft import Draft
from reward_service.text import answer

VERSION = 6
"""Raised by hand whenever any output changes; part of every component's fingerprint."""

Policy = Literal["standard", "none"]
Span = tuple[int, int]

_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
# Format and control characters that leave no ink, as fixed ranges: the result must not change with Python's tables.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
_BENIGN_INVISIBLE = "\xad\ufeff"  # soft hyphens and byte order marks come with honest copy and paste

# Symbols for which NFKC would change the meaning or leave several spellings of one thing.
_SYMBOLS = {
    **dict.fromkeys("‐‑‒–−﹣－•●▪‣◦\uf0b7", "-"),
    **dict.fromkeys("—―", " - "),
    **dict.fromkeys("‘’‚‛′´", "'"),
    **dict.fromkeys("“”„‟″", '"'),
    **dict.fromkeys("⁄∕", "/"),
    "№": "#",
    "º": "°",
    # Letters in boxes, circles and brackets that NFKC leaves alone or writes out; regional indicators.
    **{chr(first + i): chr(65 + i) for first in (0x1F110, 0x1F150, 0x1F170, 0x1F1E6) for i in range(26)},
    **{chr(0x249C + i): chr(97 + i) for i in range(26)},
}
_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_FRACTIONS = "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
_MAX_GROWTH = 4  # characters out of one; some Arabic ligatures make 18, and a text limit should stay a limit
_MAX_MARKS = 16  # characters of a cluster that are read; reordering thousands of marks is quadratic

# Letters that a reader cannot tell from Latin ones: Cyrillic, Greek, Armenian, small capitals and IPA forms.
_LOOKALIKES = {
    **dict(zip("АВЕЅІЈКМНОРСТУХѴҮԌԜԛԝ", "ABESIJKMHOPCTYXVYGWqw", strict=True)),
    **dict(zip("авеѕіјкмнорстухѵүһԁԍӏг", "abesijkmhopctyxvyhdglr", strict=True)),
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαβεικνορτυχγω", "ABEZHIKMNOPTYXabeikvoptuxyw", strict=True)),
    **dict(zip("ոսցհօզյɑɡɩıʟɴʀʏʙɢʜɪᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢꜱꜰ", "nughoqjagiilnrybghiacdejkmoptuvwzsf", strict=True)),
    **dict(zip("ƒʃøØʊłŁđħŧ", "ffoOulLdht", strict=True)),
    **dict(zip("ᎪᏴᏟᎠᎬᎶᎻᎥᎫᏦᏞᎷᏢᎡᏚᎢᏙᎳᏃ", "ABCDEGHiJKLMPRSTVWZ", strict=True)),  # Cherokee
    **dict(zip("ⲀⲂⲈⲎⲒⲔⲘⲚⲞⲢⲤⲦⲨⲬⲁⲉⲓⲟⲣⲥⲩⲭ", "ABEHIKMNOPCTYXaeiopcyx", strict=True)),  # Coptic
}
_WORD = re.compile(r"[^\W\d_]+")
_NON_ASCII_RUN = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")

# How models mark their thinking; only what ends it is a named group.
_THINK = re.compile(
    r"<\s?(?P<tag>/)?\s?(?:(?:seed:)?think(?:ing)?|thoughts?|reasoning|reflection|analysis|scratchpad)(?:\s[^<>]{0,80})?>"
    r"|\[(?P<bracket>/)?THINK\]|◁(?P<triangle>/)?think▷"
    r"|<\|(?:START_THINKING|begin_of_thought)\|>|(?P<end><\|(?:END_THINKING|end_of_thought)\|>)"
    r"|<unused94>(?:thought\b)?|(?P<unused><unused95>)|<\|channel>thought\b|(?P<channel><channel\|>)"
    r"|<\|channel\|>analysis<\|message\|>|(?P<final><\|channel\|>final<\|message\|>)",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
# Without `chat_tokens.CONTENT` and `TOOLS`: thinking is cut out above, and the judge takes the rest for itself.
_SPECIAL = re.compile(
    rf"<\|{tokens.either(tokens.HEADERS)}\|>[ ]?{tokens.either(tokens.ROLES, ('tool',))}?\b"
    rf"|<start_of_turn>[ ]?{tokens.either(tokens.GEMMA_ROLES)}?\b"
    r"|<\|[\w.:/▁-]{1,60}\|>|<\|channel>|<channel\|>|<</?SYS>>"
    rf"|</?{tokens.either(tokens.SEQUENCE, tokens.TURNS, tokens.START_OF_IMAGE, tokens.WRAPPERS, tokens.VOCABULARY)}>"
    rf"|\[/?{tokens.either(tokens.INSTRUCTION)}\]|\[{tokens.either(tokens.ENDS, tokens.OTHERS)}\]",
    re.IGNORECASE,
)
_WRAPPER = re.compile(f"</?{tokens.either(tokens.WRAPPERS)}>", re.IGNORECASE)  # an output format, not an attack
# Without any of these, printable ASCII stays as it is.
_WORK = ("<", "[", "{", "\\", "`", "~~~", "&", "  ", " \n", "\n ", "\n\n\n", "..", ". .", "::")
_NOTHING = re.compile(r"\W*(?:nan|none|null|nil|nat|n[./]?a|na|undefined)\W*", re.IGNORECASE)
_LONGEST_NOTHING = 16
# "FINDINGS.....:": dots that lead from a heading to its text.
_LEADER = re.compile(r"(?<=[A-Za-z)])(?:[ ]?(?:\.[ ]?){2,40}:+|:{2,40})")
# "F I N D I N G S :" on a line of its own.
_SPACED = re.compile(
    r"^[ \t]*([A-Z](?: [A-Z-]){3,40}(?:[ ]{2,6}[A-Z](?: [A-Z-]){0,40}){0,8})(?=[ \t]*+(?::[ \t]*+)?$)", re.M
)
_UNTIDY_SPACE = re.compile(r"\s{2,}|[^\S \n]|\A\s|\s\Z")


@dataclass(frozen=True, slots=True)
class Normalised:
    """A text as it is scored, and where each of its characters came from."""

    original: str
    text: str
    offsets: tuple[array[int], array[int]] | None = None
    """Start and end in `original` for each character of `text`; None where the two are equal."""
    flags: tuple[str, ...] = ()
    """What was folded or removed: homoglyphs, invisible_characters, special_tokens, unclosed_think."""

    def cut(self, start: int, end: int) -> Normalised:
        """The part ``text[start:end]``, which still knows where it came from."""
        if self.offsets is None:
            starts, ends = array("I", range(start, end)), array("I", range(start + 1, end + 1))
        else:
            starts, ends = self.offsets[0][start:end], self.offsets[1][start:end]
        return replace(self, text=self.text[start:end], offsets=(starts, ends))

    def to_original(self, start: int, end: int) -> Span:
        """The half-open span of `original` behind ``text[start:end]``; an empty span stays empty."""
        if not 0 <= start <= end <= len(self.text):
            raise ValueError(f"span [{start}, {end}) is outside a text of {len(self.text)} characters")
        if self.offsets is None:
            return start, end
        starts, ends = self.offsets
        first = starts[start] if start < len(starts) else len(self.original)
        return first, (ends[end - 1] if end > start else first)


def stands_for_nothing(text: str) -> bool:
    """Whether a text is a missing value that became text: "nan", "None", "N/A"."""
    return len(text) <= _LONGEST_NOTHING and _NOTHING.fullmatch(text) is not None


def manifest(policy: Policy) -> dict[str, object]:
    """What determines the score, as plain JSON for the fingerprint."""
    unicode = {"unicodedata": unicodedata.unidata_version}
    if policy == "none":
        return {"policy": policy, **unicode}
    return {"policy": policy, "version": VERSION, **unicode}


def normalise(text: str, policy: Policy = "standard") -> Normalised:
    """Fold `text` to its canonical spelling. A pure function, linear in the length of `text`.

    ``none`` returns it untouched, for published numbers that must be reproduced.
    """
    if policy == "none":
        return Normalised(text, text)
    # The common case, in a few microseconds: tidy ASCII that holds nothing to fold.
    tidy = text.isascii() and text.replace("\n", "").isprintable() and not any(mark in text for mark in _WORK)
    tidy = tidy and not (text[:1].isspace() or text[-1:].isspace() or stands_for_nothing(text) or _SPACED.search(text))
    if tidy and not (answer.start(text) or records.may_hold(text)) and answer.end(text) == len(text):
        return Normalised(text, text)
    draft = Draft(text)
    flags = [
        flag
        for flag, step in (
            ("invisible_characters", _strip_invisible),
            ("homoglyphs", _fold_letters),
            ("unclosed_think", _strip_thinking),
        )
        if step(draft)
    ]
    if begin := answer.start(draft.text):
        draft.edit([(0, begin, "")])
    if (end := answer.end(draft.text)) < len(draft.text):
        draft.edit([(end, len(draft.text), "")])
    if _strip_special_tokens(draft):
        flags.append("special_tokens")
    unwrap(draft)
    if "\t" in draft.text:
        draft.edit(list(_columns(draft.text)))
    draft.edit((*m.span(1), _joined(m[1])) for m in _SPACED.finditer(draft.text))
    draft.edit((*m.span(), ":") for m in _LEADER.finditer(draft.text))
    draft.edit((*m.span(), _space(m, len(draft.text))) for m in _UNTIDY_SPACE.finditer(draft.text))
    if stands_for_nothing(draft.text):
        draft.edit([(0, len(draft.text), "")])
    offsets = None if draft.text == text else (draft.starts, draft.ends)
    return Normalised(text, draft.text, offsets, tuple(flags))


def _columns(text: str) -> Iterator[tuple[int, int, str]]:
    """Signs of a table for the tabs of one: the same number of them in every line, and a first line without a blank."""
    lines = [line for line in text.split("\n") if line.strip()]
    tabs = {line.strip().count("\t") for line in lines}
    if len(lines) > 1 and len(tabs) == 1 and tabs != {0} and " " not in lines[0].strip():
        yield from ((i, i + 1, " | ") for i, char in enumerate(text) if char == "\t")


def _joined(spaced: str) -> str:
    """The words of letters that stand apart; wider gaps are between words."""
    return " ".join(part.replace(" ", "") for part in re.split(" {2,}", spaced))


def _strip_invisible(draft: Draft) -> bool:
    found = [(*m.span(), m.group()) for m in _INVISIBLE.finditer(draft.text)]
    draft.edit((start, end, "") for start, end, _ in found)
    return any(set(group).difference(_BENIGN_INVISIBLE) for _, _, group in found)


def _fold_letters(draft: Draft) -> bool:
    if draft.text.isascii():
        return False
    edits = list(_compatibility_edits(draft.text))
    dressed = any(len(new) == end - start == 1 and new.isascii() and new.isalpha() for start, end, new in edits)
    draft.edit(edits)
    words = [m for m in _WORD.finditer(draft.text) if not m.group().isascii() and _imitates_latin(m.group())]
    draft.edit(
        (i, i + 1, _LOOKALIKES[c]) for m in words for i, c in enumerate(m.group(), m.start()) if c in _LOOKALIKES
    )
    return dressed or bool(words)


def _imitates_latin(word: str) -> bool:
    # A mixed word, or a longer one of nothing but look-alikes; a lone Greek letter is a symbol.
    alike = sum(c in _LOOKALIKES for c in word)
    return alike > 0 and (any(c.isascii() for c in word) or (alike == len(word) > 1))


def _compatibility_edits(text: str) -> Iterator[tuple[int, int, str]]:
    """NFKC, cluster by cluster (a base and its combining marks), so that each edit has a small span."""
    for run in _NON_ASCII_RUN.finditer(text):
        start = run.start()
        while start < run.end():
            end = start + 1
            while end < run.end() and unicodedata.combining(text[end]):
                end += 1
            old = text[start:end]
            new = _fold_cluster(old[:_MAX_MARKS])
            if start and text[start - 1] in "0123456789":  # 1½ is not 11/2, and 10² is not 102
                new = "^" + new if old in _SUPERSCRIPTS else " " + new if old in _FRACTIONS else new
            if new != old:
                yield start, end, new
            start = end


@lru_cache(maxsize=4096)
def _fold_cluster(cluster: str) -> str:
    if cluster in _SYMBOLS:
        return _SYMBOLS[cluster]
    folded = unicodedata.normalize("NFKC", cluster)
    if len(folded) > _MAX_GROWTH * len(cluster):
        return cluster
    base = unicodedata.normalize("NFKD", folded[:1])
    if base[:1].isascii():  # marks that compose with no Latin letter are decoration, e.g. struck-out text
        folded = "".join(c for c in folded if not unicodedata.combining(c))
    return "".join(_SYMBOLS.get(c, c) for c in folded)


def _strip_thinking(draft: Draft) -> bool:
    """Drop comments and closed blocks; an answer that never leaves its thinking block is none. True for that case."""
    draft.edit((*comment.span(), " ") for comment in _COMMENT.finditer(draft.text))
    spans: list[Span] = []
    opened: int | None = None
    for mark in _THINK.finditer(draft.text):
        if mark.lastgroup is None:
            opened = mark.start() if opened is None else opened
        elif opened is not None:
            spans.append((opened, mark.end()))
            opened = None
        else:  # the prompt opened the block: all up to here was thinking
            spans = [(0, mark.end())]
    if opened is not None:
        spans = [(0, len(draft.text))]
    # A space, not nothing: the removal must not join two halves into a new token.
    draft.edit((start, end, " ") for start, end in spans)
    return opened is not None


def _strip_special_tokens(draft: Draft) -> bool:
    """Remove chat tokens; True when one stands inside the text (at either end they are the tokenizer's habit)."""
    edits: list[tuple[int, int, str]] = []
    seen_text = pending = inside = False
    done = 0
    for token in _SPECIAL.finditer(draft.text):
        if not draft.text[done : token.start()].isspace() and done < token.start():
            seen_text, inside, pending = True, inside or pending, False
        pending = pending or (seen_text and not _WRAPPER.fullmatch(token.group()))
        done = token.end()
        edits.append((token.start(), done, " "))
    inside = inside or (pending and bool(draft.text[done:].strip()))
    draft.edit(edits)
    return inside


def _space(run: re.Match[str], length: int) -> str:
    if run.start() == 0 or run.end() == length:
        return ""
    if "\f" in run.group():
        return "\n\f"  # the end of a page is no end of a paragraph; who reads the text as pages needs to know it
    breaks = sum(c in _BREAKS for c in run.group().replace("\r\n", "\n"))
    return "\n" * min(breaks, 2) or " "
