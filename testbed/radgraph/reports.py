"""Reports written for these tests: radiology prose of any length, and the texts that break readers."""

from __future__ import annotations

import random

_START = (
    "There is",
    "No evidence of",
    "Interval increase in",
    "Persistent",
    "Unchanged",
    "New",
    "Possible",
    "Status post",
)
_SIZE = ("small", "moderate", "large", "2.5 cm", "1-2 mm", "trace", "ill-defined", "right-sided", "bilateral", "(mild)")
_FINDING = (
    "pleural effusion", "pneumothorax", "consolidation", "opacity", "pulmonary edema", "atelectasis", "nodule", "fracture",
    "cardiomegaly", "widening of the mediastinum", "PICC line", "endotracheal tube", "hyperinflation", "granuloma",
)  # fmt: skip
_PLACE = (
    "in the left lower lobe", "at the right base", "along the T8/T9 level", "within the lingula", "of the left 5th rib",
    "over the heart", "near the carina", "at the lung apices", "in the right upper zone (anterior)", "of both hila",
)  # fmt: skip
_END = (
    "since the prior study", "compatible with infection", "which may represent aspiration", "as before",
    "; follow-up is advised", ", likely chronic", "50%", "suggestive of heart failure", "at 4:45 p.m.",
)  # fmt: skip
WORDS = sorted({word for parts in (_START, _SIZE, _FINDING, _PLACE, _END) for part in parts for word in part.split()})


def report(rng: random.Random, words: int) -> str:
    """About `words` words of sentences, some with headings and line ends."""
    sentences: list[str] = ["FINDINGS:"] if rng.random() < 0.3 else []
    while sum(len(sentence.split()) for sentence in sentences) < words:
        parts = [rng.choice(_START), rng.choice(_SIZE), rng.choice(_FINDING)]
        parts += [rng.choice(options) for options in (_PLACE, _END) if rng.random() < 0.6]
        sentences.append(" ".join(parts) + rng.choice((".", ".", ".", "!", "?", ".\n", " .\n\n")))
    return rng.choice((" ", " ", "\n")).join(sentences)


def reports(count: int, seed: int = 0, longest: int = 120) -> list[str]:
    """Distinct reports of 3 to about `longest` words, one of them that long; short ones are the most frequent."""
    rng = random.Random(seed)
    found = {report(rng, longest): None}
    while len(found) < count:
        found[report(rng, round(3 * (longest / 3) ** rng.random() ** 2.5))] = None
    return list(found)


ODD = (
    "a", ".", "?!", "None", "effusion", "No effusion", "XXXX XXXX.", "[SEP]", "[CLS] no effusion [PAD] [MASK]",
    "\u200b", "\u200b \u200b \u200b", "no \u200b effusion \u200b", "\ufeffno effusion", "é ÉTÉ naïve", "心臓 正常。", "🫁 clear",
    "e\u0301dema", "NO EFFUSION", "no\u00a0effusion", "right-sided -- left-sided", "T8/T9 and/or 5/6", "he said /. and /? now",
    "a(b)c", "(see above).", "50%.", "50%, 60%) 'x.'", "at 4:45 p.m.", "line\\nbreak \\f page \\u2122 \\\"quoted\\\"",
    "tab\tand\r\nline", "a.b,c:d!e?f(g)h/i", "...", "-", "_", "a_b", "x" * 99, "y" * 101, "1" * 300, "2.5 x 3.1 cm",
    "\x1c no \x1f effusion", "small " * 60, ". " * 40, "(" * 30, "No acute cardiopulmonary process. " * 20,
)  # fmt: skip
"""Without white space alone, for which the package raises."""
EMPTY = ("", " ", "\n\t", "\u00a0", "\u2003\u2028")
