"""One canonical spelling for every text before it is scored, with a map back to what was sent.

A policy under training finds whatever the scorer reads differently from a person: look-alike letters,
invisible characters, chat tokens, thinking blocks. They are folded or removed here, once, for candidate and
reference alike, so that no metric or judge has to know of them; what was removed is reported as a flag.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

VERSION = 1
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
    **dict.fromkeys("‘’‚‛′`´", "'"),
    **dict.fromkeys("“”„‟″", '"'),
    **dict.fromkeys("⁄∕", "/"),
    "№": "#",
    "º": "°",
}
_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"

# Letters that a reader cannot tell from Latin ones: Cyrillic, Greek, Armenian, small capitals and IPA forms.
_LOOKALIKES = {
    **dict(zip("АВЕЅІЈКМНОРСТУХѴҮԌԜԛԝ", "ABESIJKMHOPCTYXVYGWqw", strict=True)),
    **dict(zip("авеѕіјкмнорстухѵүһԁԍӏг", "abesijkmhopctyxvyhdglr", strict=True)),
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαβεικνορτυχγω", "ABEZHIKMNOPTYXabeikvoptuxyw", strict=True)),
    **dict(zip("ոսցհօզյɑɡɩıʟɴʀʏʙɢʜɪᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢꜱꜰ", "nughoqjagiilnrybghiacdejkmoptuvwzsf", strict=True)),
}
# In one pass over words of letters only; digits and hyphens end a word, so that "β-blocker" and "5 µm" stay.
_NON_ASCII_WORD = re.compile(r"[^\W\d_]*[^\W\d_\x00-\x7f][^\W\d_]*")
_NON_ASCII_RUN = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")

_THINK = re.compile(
    r"<(?P<close>/)?(?:think|thinking|thought|reasoning)>|<\|channel\|>(?:analysis|(?P<final>final))<\|message\|>",
    re.IGNORECASE,
)
_SPECIAL = re.compile(
    r"<\|(?:im_start|start_header_id|start)\|>[ ]?(?:system|user|assistant|tool)?\b"
    r"|<start_of_turn>[ ]?(?:system|user|model)?\b"
    r"|<\|[\w.:/▁-]{1,60}\|>"
    r"|</?(?:s|bos|eos|pad|unk|mask|start_of_turn|end_of_turn|end_of_utterance|image|image_soft_token|answer|report)>"
    r"|<</?SYS>>|\[/?INST\]|\[(?:CLS|SEP|PAD|MASK|UNK|BOS|EOS)\]",
    re.IGNORECASE,
)
_WRAPPER = re.compile(r"</?(?:answer|report)>", re.IGNORECASE)  # an output format, not an attack
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

    def to_original(self, start: int, end: int) -> Span:
        """The half-open span of `original` behind ``text[start:end]``; an empty span stays empty."""
        if not 0 <= start <= end <= len(self.text):
            raise ValueError(f"span [{start}, {end}) is outside a text of {len(self.text)} characters")
        if self.offsets is None:
            return start, end
        starts, ends = self.offsets
        first = starts[start] if start < len(starts) else len(self.original)
        return first, (ends[end - 1] if end > start else first)


def manifest(policy: Policy) -> dict[str, object]:
    """What determines the outcome, as plain JSON for the fingerprint."""
    if policy == "none":
        return {"policy": policy}
    tables = repr((sorted(_SYMBOLS.items()), sorted(_LOOKALIKES.items()), _SUPERSCRIPTS, _BREAKS, _BENIGN_INVISIBLE))
    patterns = (_INVISIBLE, _NON_ASCII_WORD, _NON_ASCII_RUN, _THINK, _SPECIAL, _WRAPPER, _UNTIDY_SPACE)
    return {
        "policy": policy,
        "version": VERSION,
        "tables": hashlib.sha256(tables.encode()).hexdigest()[:16],
        "patterns": hashlib.sha256("\0".join(p.pattern for p in patterns).encode()).hexdigest()[:16],
        "unicodedata": unicodedata.unidata_version,
    }


def normalise(text: str, policy: Policy = "standard") -> Normalised:
    """Fold `text` to its canonical spelling. A pure function, linear in the length of `text`.

    ``none`` returns it untouched, for published numbers that must be reproduced. Normalising twice changes nothing.
    """
    if policy == "none":
        return Normalised(text, text)
    tidy = text.isascii() and text.isprintable() and "  " not in text and text == text.strip()
    if tidy and "<" not in text and "[" not in text and "`" not in text:
        return Normalised(text, text)
    draft = _Draft(text)
    if draft.remove(_INVISIBLE, keep=_BENIGN_INVISIBLE):
        draft.flags.append("invisible_characters")
    if not draft.text.isascii() or "`" in draft.text:
        if draft.fold_words():
            draft.flags.append("homoglyphs")
        draft.edit([(m.span(), _fold_run(m.group(), draft)) for m in _NON_ASCII_RUN.finditer(draft.text)])
    return draft.finish()
