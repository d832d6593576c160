"""How a report becomes words, per model, as `radgraph` 0.1.18 does it (`utils.preprocess_reports`)."""

from __future__ import annotations

import re

V1 = ("radgraph", "None")
"""Vocabulary prefixes of the first model: in the package's archive, and in a checkpoint without a dataset name."""
XL = ("radgraph-xl", "modern-radgraph-xl")

_SPLIT_OFF = re.compile(r"([/,:.!?()])")
_WORD_OR_SIGNS = re.compile(r"\w+|[^\w\s]+")
# What escaped JSON leaves behind, replaced in this order.
_ESCAPES = (("\\n", "  "), ("\\f", "  "), ("\\u2122", "      "), ('\\"', "``"))
_SIGNS = ((").", ") ."), ("%.", "% ."), (".'", ". '"), ("%,", "% ,"), ("%)", "% )"))


def split(text: str, model_type: str) -> list[str]:
    """The words of `text`; none for an empty text or white space. Hyphens stay inside words for `radgraph` alone."""
    if model_type in V1:
        return _SPLIT_OFF.sub(r" \1 ", text).split()
    for old, new in _ESCAPES:
        text = text.replace(old, new)
    joined = " ".join(_WORD_OR_SIGNS.findall(text))
    for old, new in _SIGNS:
        joined = joined.replace(old, new)
    return joined.split()


def shown(word: str) -> str:
    """The word as the encoder reads it: OntoNotes writes a full stop as ``/.``, and the reader undoes that."""
    return word[1:] if word in ("/.", "/?") else word
