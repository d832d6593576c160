"""Texts that a message carries as base64, as FHIR's `Attachment` and HL7's type ED do."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

_BASE64: Final = re.compile(r"[A-Za-z0-9+/\r\n]{24,}={0,2}\s*")
_KINDS: Final = (re.compile("[a-z]"), re.compile("[A-Z]"), re.compile(r"\d"))
_LEAST: Final = 3  # words of a text


def is_encoded(text: str) -> bool:
    """Whether a text is nothing but base64: one long word with letters of both kinds and figures."""
    return _BASE64.fullmatch(text) is not None and all(kind.search(text) for kind in _KINDS)


def decoded(text: str) -> str:
    """The words that are encoded here; the empty string for a picture, a PDF and whatever else is no plain text."""
    if not is_encoded(text):
        return ""
    try:
        words = base64.b64decode("".join(text.split()), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    printable = all(char.isprintable() or char in "\r\n\t\f" for char in words)
    return words if printable and not words.startswith("%PDF") and len(words.split()) >= _LEAST else ""
