"""An adversary that has nothing but the reward: it looks for constants, climbs word by word, and tries edits.

The searches know no reference and no judge. They call `score` with candidates and see one number for each, as a policy
does. Everything is drawn from a seeded generator, and the number of calls is fixed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from testbed.abuse.studies import NORMAL_REPORT

Score = Callable[[Sequence[str]], Sequence[float]]
"""Candidates -> one number for each: the reward, or its mean over several studies."""

_NAMES: Final = (
    "Opacity", "Opacities", "Device", "Devices", "Pleural abnormality", "Cardiomegaly", "Atelectasis",
    "Pleural effusion", "Consolidation", "Pulmonary edema", "Pneumothorax", "Nodule", "Fracture", "Emphysema",
    "Degenerative changes", "Low lung volumes", "Tortuous aorta", "Granuloma", "Central line",
    "Support lines and tubes",
)  # fmt: skip
_FORMS: Final = (
    "{}.", "Possible {}.", "There may be {}.", "No large {}.", "No new {}.", "No {}.", "Bilateral {}.", "Mild {}.",
    "Stable {}.", "{} at the lung bases.", "Moderate {} on the left.",
)  # fmt: skip
_WHOLE: Final = (
    "The lungs are clear.", "The left lung is clear.", "The right lung is clear.", "Heart size is normal.",
    "No acute cardiopulmonary abnormality.", "No acute osseous abnormality.", "No change.",
    "Stable appearance of the chest.", "No pleural effusion or pneumothorax.", "The mediastinum is unremarkable.",
    "Support devices are in place.",
)  # fmt: skip
SENTENCES: Final = (
    *(form.format(name if form[:2] == "{}" else name.lower()) for name in _NAMES for form in _FORMS),
    *_WHOLE,
)
"""What a policy may say without a look at the study."""
PUNCTUATION: Final = ("?", ":", ",", "/", ".", ";", "-")
FORM: Final = (*PUNCTUATION, "the", "is", "are", "and", "or", "with", "of", "in", "there", "at", "be")
"""What says nothing by itself."""
WORDS: Final = (
    *FORM, "no", "not", "may", "left", "right", "bilateral", "lung", "lungs", "lobe", "base", "lower", "upper",
    "heart", "pleural", "opacity", "effusion", "normal", "clear", "stable", "unchanged", "mild", "moderate", "large",
    "small", "new", "possible", "likely", "tube", "line", "tip", "without", "but", "except", "old", "prior",
    "increased",
)  # fmt: skip
"""What the climb puts between the words of a text."""


class Found(NamedTuple):
    """The best text of one search."""

    text: str
    score: float
    start: float
    """The score of the text with which the search began."""

    @property
    def gain(self) -> float:
        return self.score - self.start


def constant(score: Score, rng: random.Random, *, generations: int = 20, children: int = 16, kept: int = 6) -> Found:
    """Evolve a text that is the same for every study; `score` is a mean over studies.

    The first generation is single sentences and the normal report; children join two parents and change a sentence.
    """
    pool = [[NORMAL_REPORT], *([sentence] for sentence in rng.sample(SENTENCES, min(len(SENTENCES), 4 * children)))]
    ranked = _ranked(score, pool, kept)
    start = score([NORMAL_REPORT])[0]
    for _ in range(generations):
        born = [_child(rng.choice(ranked)[1], rng.choice(ranked)[1], rng) for _ in range(children)]
        ranked = sorted([*ranked, *_ranked(score, born, kept)], key=lambda each: -each[0])
        ranked = list({" ".join(parts): (value, parts) for value, parts in reversed(ranked)}.values())[::-1][:kept]
    return Found(" ".join(ranked[0][1]), ranked[0][0], start)


def _ranked(score: Score, pool: Sequence[list[str]], kept: int) -> list[tuple[float, list[str]]]:
    scored = zip(score([" ".join(parts) for parts in pool]), pool, strict=True)
    return sorted(scored, key=lambda each: -each[0])[:kept]


def _child(one: list[str], other: list[str], rng: random.Random) -> list[str]:
    parts = list(dict.fromkeys([*one, *rng.sample(other, rng.randrange(len(other) + 1))]))
    change = rng.randrange(4)
    if change == 0 and len(parts) > 1:
        parts.pop(rng.randrange(len(parts)))
    elif change == 1:
        parts[rng.randrange(len(parts))] = rng.choice(SENTENCES)
    elif change == 2:
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(SENTENCES))
    else:
        rng.shuffle(parts)
    return parts


def climb(
    score: Score, text: str, rng: random.Random, *, words: Sequence[str] = WORDS, steps: int = 40, tries: int = 16
) -> Found:
    """Change a text word by word, always to the best of `tries` changes, as long as one of them pays.

    Of `WORDS` also whole sentences are put in; with `FORM` the words stay those of the text.
    """
    best, value = text, score([text])[0]
    start = value
    for _ in range(steps):
        changed = [(_changed if words is WORDS else _formed)(best, words, rng) for _ in range(tries)]
        top, candidate = max(zip(score(changed), changed, strict=True))
        if top > value:
            best, value = candidate, top
    return Found(best, value, start)


def _changed(text: str, known: Sequence[str], rng: random.Random) -> str:
    """One word put in, taken out, replaced or moved, or a sentence put in."""
    words = text.split()
    at = rng.randrange(len(words))
    change = rng.randrange(5)
    if change == 0:
        words[at] = rng.choice(known)
    elif change == 1 and len(words) > 2:
        words.pop(at)
    elif change == 2:
        words.insert(rng.randrange(len(words)), words.pop(at))
    elif change == 3:
        ends = [i for i, word in enumerate(words) if word.endswith(".")] or [at]
        words.insert(rng.choice(ends) + 1, rng.choice(SENTENCES))
    else:
        words.insert(at, rng.choice(known))
    return " ".join(words)


def _formed(text: str, known: Sequence[str], rng: random.Random) -> str:
    """A mark or a function word put in, a word said twice, or two neighbours swapped."""
    words = text.split()
    at = rng.randrange(len(words))
    change = rng.randrange(4)
    if change == 0:
        words.insert(at, words[at])
    elif change == 1 and at:
        words[at - 1], words[at] = words[at], words[at - 1]
    else:
        words.insert(at, rng.choice(known))
    return " ".join(words)


def _flip(text: str) -> str:
    swap = {"left": "right", "right": "left", "Left": "Right", "Right": "Left", "LEFT": "RIGHT", "RIGHT": "LEFT"}
    return " ".join(swap.get(word, word) for word in text.split(" "))


def _first_dropped(text: str) -> str:
    return text.partition(". ")[2] or text


def _last_dropped(text: str) -> str:
    return text.rpartition(". ")[0] + "." if ". " in text else text


EDITS: Final[dict[str, Callable[[str], str]]] = {
    "normal report first": lambda text: f"{NORMAL_REPORT} {text}",
    "normal report last": lambda text: f"{text} {NORMAL_REPORT}",
    "said twice": lambda text: f"FINDINGS: {text}\nIMPRESSION: {text}",
    "of an earlier study": lambda text: f"Prior study: {text} Today the chest is normal.",
    "all possible": lambda text: f"Possibly: {text}",
    "sides swapped": _flip,
    "first statement left out": _first_dropped,
    "last statement left out": _last_dropped,
    "a question mark after each word": lambda text: text.replace(" ", " ? "),
    "commas between words": lambda text: text.replace(" ", " , "),
    "slashes between words": lambda text: text.replace(" ", " / "),
    "something unknown": lambda text: f"{text} The zorbic flumption is brillig.",
    "a rare finding": lambda text: f"{text} Cardiac tamponade.",
    "a device": lambda text: f"{text} Support devices are in place.",
    "a vague finding": lambda text: f"{text} Opacities.",
    "everything denied in part": lambda text: f"{text} No large effusion. No large pneumothorax. No new consolidation.",
}  # fmt: skip
"""Changes that make no report better. What says something false must cost, whichever of the two is the reference."""
