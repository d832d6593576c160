"""Words with their offsets: the only place that looks at characters.

Texts and lexicon phrases go through the same folding (case, plural, British spelling, compatibility characters),
so a phrase is written once. Everything here is one linear pass: no pattern can backtrack.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

TOKEN: Final = re.compile(r"[A-Za-z]+|\d+(?:\.\d+)?|\n\s*|[^\sA-Za-z\d]")
ARTICLES: Final = frozenset(("the", "a", "an"))

_IRREGULAR: Final = {
    "pneumothoraces": "pneumothorax", "hydropneumothoraces": "hydropneumothorax", "apices": "apex",
    "vertebrae": "vertebra", "bullae": "bulla", "metastases": "metastasis", "hila": "hilum", "hilus": "hilum",
    "foci": "focus", "emboli": "embolus", "diaphragms": "diaphragm", "bases": "base", "sulci": "sulcus",
    "bronchi": "bronchus", "prostheses": "prosthesis", "masses": "mass", "abscesses": "abscess",
    "diagnoses": "diagnosis", "indices": "index", "atelectases": "atelectasis", "calculi": "calculus",
    "opacites": "opacity", "arteries": "artery", "bodies": "body", "densites": "density", "atria": "atrium",
    "septa": "septum", "lordoses": "lordosis", "thoraces": "thorax", "dilatation": "dilation",
    "distension": "distention", "aetiology": "etiology", "practise": "practice", "grey": "gray",
    "programme": "program", "disks": "disc", "disk": "disc", "azygous": "azygos", "hiatus": "hiatal",
    "infiltrates": "infiltrate", "infiltration": "infiltrate", "calibre": "caliber", "centre": "center",
    "fibre": "fiber", "tumour": "tumor", "colour": "color", "tumours": "tumor", "litre": "liter",
    "goitre": "goiter", "mould": "mold", "this": "this", "is": "is", "was": "was", "has": "has", "as": "as",
    "does": "does", "us": "us", "its": "its", "svcs": "svc", "gas": "gas", "lens": "lens", "previous": "previous",
}  # fmt: skip
_ENDINGS: Final = (
    ("isation", "ization"), ("isations", "ization"), ("ised", "ized"), ("ising", "izing"), ("aemia", "emia"),
    ("aemic", "emic"),
)  # fmt: skip
_INSIDE: Final = (("oedema", "edema"), ("oesoph", "esoph"), ("haem", "hem"), ("paed", "ped"), ("caec", "cec"))
_KEEP: Final = frozenset(("raised", "comprised", "advised", "supervised", "raising", "rising", "arising"))
_memo: dict[str, str] = {}
_MEMO_LIMIT: Final = 50_000
_IGNORABLE: Final = frozenset(("Cf", "Cc", "Cs", "Co", "Cn", "Mn", "Me"))


def fold(token: str) -> str:
    """The word under which a token is looked up: lower case, singular, American spelling."""
    known = _memo.get(token)
    if known is not None:
        return known
    word = token.lower()
    if word in _IRREGULAR:
        word = _IRREGULAR[word]
    else:
        for british, american in _INSIDE:
            word = word.replace(british, american)
        if word not in _KEEP:
            for british, american in _ENDINGS:
                if word.endswith(british):
                    word = word[: -len(british)] + american
                    break
        if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
            if word.endswith("ies"):
                word = word[:-3] + "y"
            elif word.endswith(("xes", "sses", "ches", "shes")):
                word = word[:-2]
            else:
                word = word[:-1]
        word = _IRREGULAR.get(word, word)
    if len(_memo) < _MEMO_LIMIT:  # bounded: texts are not trusted; the result does not depend on it
        _memo[token] = word
    return word


def plain(text: str) -> tuple[str, list[int] | None]:
    """Text without compatibility and invisible characters, and the original index of each of its characters.

    The index list is None when nothing changed.
    """
    if text.isascii():
        return text, None
    out: list[str] = []
    where: list[int] = []
    for i, char in enumerate(text):
        folded = char if char.isascii() else unicodedata.normalize("NFKD", char)
        for c in folded:
            if c.isascii() or unicodedata.category(c) not in _IGNORABLE:
                out.append(c)
                where.append(i)
    where.append(len(text))
    return "".join(out), where


@lru_cache(maxsize=4096)
def phrase_words(phrase: str) -> tuple[str, ...]:
    """A lexicon phrase as the words that a text would have."""
    return tuple(w for w in (fold(m.group()) for m in TOKEN.finditer(phrase)) if w not in ARTICLES)
