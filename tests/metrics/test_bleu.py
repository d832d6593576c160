"""BLEU against nltk's published values, against nltk on any text, and BLEU-2 against values worked out by hand."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from metrics.bleu import Bleu1, Bleu2, Bleu3, Bleu4, Smoothing
from metrics.ngrams import NGrams

METHODS: tuple[Smoothing, ...] = get_args(Smoothing)
GUIDE = "It is a guide to action which ensures that the military always obeys the commands of the party"
HEED = "It is a guide to action that ensures that the military will forever heed Party commands"

words = st.sampled_from(["no", "No.", "effusion", "effusion.", "1.5", "is", "...", "\n", "\u00a0", "😀"])
texts = st.one_of(st.lists(words, max_size=40).map(" ".join), st.text(max_size=80))


def tokens(text: str) -> list[str]:
    return text.lower().replace(".", " .").split()


def nltk_bleu(candidate: list[str], reference: list[str], order: int, smoothing: str) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        method = getattr(SmoothingFunction(), smoothing)
        return float(sentence_bleu([reference], candidate, (1 / order,) * order, smoothing_function=method))


def bleu(metric: Bleu1 | Bleu2 | Bleu3 | Bleu4, candidate: str, reference: str) -> float:
    (c, r) = metric.encode([candidate, reference])
    return metric.compare([c], [r])[0].values[metric.key]


# Doctest of SmoothingFunction.__init__ in nltk/translate/bleu_score.py (Apache-2.0), shown to four digits there.
@pytest.mark.parametrize(
    ("smoothing", "expected"),
    [
        ("method0", 0.4118),
        ("method1", 0.4118),
        ("method2", 0.4452),
        ("method3", 0.4118),
        ("method4", 0.4118),
        ("method5", 0.4905),
        ("method7", 0.4905),
    ],
)
def test_published_smoothing_values(smoothing: Smoothing, expected: float) -> None:
    metric = Bleu4(smoothing)
    value = metric.compare([NGrams(GUIDE.split(), 4)], [NGrams(HEED.split(), 4)])[0].values["bleu4"]
    assert expected <= value < expected + 1e-4


# Doctests of brevity_penalty in nltk/translate/bleu_score.py; with one word repeated every precision is 1.
@pytest.mark.parametrize(
    ("length", "reference", "expected"), [(12, 28, 0.2635971381157267), (12, 13, 0.92004), (12, 12, 1)]
)
@pytest.mark.parametrize("metric", [Bleu2(), Bleu4(), Bleu4("method0")])
def test_published_brevity_penalties(metric: Bleu2 | Bleu4, length: int, reference: int, expected: float) -> None:
    assert bleu(metric, "a " * length, "a " * reference) == pytest.approx(expected, abs=1e-5)


# Doctest of modified_precision: 2 of 7 unigrams, clipped; no bigram, so 0.1 of 6 (RadCliQ's smoothing).
def test_clipping_and_smoothing_by_hand() -> None:
    assert bleu(Bleu2(), "the the the the the the the", "the cat is on the mat") == pytest.approx(
        math.sqrt(2 / 7 * 0.1 / 6), abs=1e-15
    )


# Tokens no/effusion/. and no/pleural/effusion/. : 3 of 3 unigrams, 1 of 2 bigrams, brevity penalty exp(1 - 4/3).
def test_bleu2_by_hand() -> None:
    assert bleu(Bleu2(), "No effusion.", "no pleural  EFFUSION.") == pytest.approx(
        math.sqrt(1 / 2) * math.exp(1 - 4 / 3), abs=1e-15
    )


@pytest.mark.parametrize("metric", [Bleu2(), *(Bleu4(method) for method in METHODS)])
@pytest.mark.parametrize(("candidate", "reference"), [("", "no effusion"), ("no effusion", ""), ("", ""), ("x", "y")])
def test_nothing_in_common_is_zero(metric: Bleu2 | Bleu4, candidate: str, reference: str) -> None:
    assert bleu(metric, candidate, reference) == 0.0


@settings(max_examples=300, deadline=None)
@example("no", "no", "method1")
@example("no effusion", "no effusion", "method5")
@example("no no no no effusion no no", "no no effusion no no no", "method7")
@given(texts, texts, st.sampled_from(METHODS))
def test_equals_nltk_exactly(candidate: str, reference: str, smoothing: Smoothing) -> None:
    c, r = tokens(candidate), tokens(reference)
    for metric in (Bleu1(), Bleu2(), Bleu3()):
        assert bleu(metric, candidate, reference) == nltk_bleu(c, r, metric.order, "method1")
    assert bleu(Bleu4(smoothing), candidate, reference) == nltk_bleu(c, r, 4, smoothing)


def test_bleu2_and_bleu4_share_artefacts() -> None:
    assert Bleu2().encoding == Bleu4("method3").encoding
    texts_ = ["no pleural effusion.", "small left pleural effusion.", "no pneumothorax. no pleural effusion.", ""]
    shared = Bleu2().encode(texts_)
    for metric in (Bleu2(), Bleu4(), Bleu2()):  # artefacts remember the last pair: it must be the right one
        for i, candidate in enumerate(shared):
            for j, reference in enumerate(shared):
                value = metric.compare([candidate], [reference])[0].values[metric.key]
                assert value == bleu(metric, texts_[i], texts_[j])


def test_smoothing_is_checked_and_in_the_manifest() -> None:
    with pytest.raises(ValueError, match="method7"):
        Bleu4("method6")  # type: ignore[arg-type]
    assert len({str(Bleu4(method).manifest()) for method in METHODS}) == len(METHODS)


@pytest.mark.parametrize(
    ("built", "imported"),
    [
        ("Bleu2(), Bleu4(), Bleu4('method0'), Rouge('rougeL')", False),
        ("Bleu4('method3')", True),
        ("Rouge('rougeL', stemmer=True)", True),
    ],
)
def test_nltk_is_imported_only_for_what_needs_it(built: str, imported: bool) -> None:
    code = f"""
import sys
from metrics.bleu import Bleu2, Bleu4
from metrics.rouge import Rouge
for metric in [{built}]:
    metric.compare(metric.encode(["No effusion."]), metric.encode(["No pleural effusion."]))
print("nltk" in sys.modules)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == str(imported)
