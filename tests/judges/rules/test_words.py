"""Folding of words, and the correction of slips of the finger."""

from __future__ import annotations

import pytest

from judges.rules import words
from judges.rules.judge import RulesJudge
from judges.rules.words import Speller, fold
from tests.work import work


@pytest.mark.parametrize(
    ("token", "word"),
    [("Pneumothoraces", "pneumothorax"), ("oedematous", "edematous"), ("foci", "focus"), ("VISUALISED", "visualized")],
)
def test_fold(token: str, word: str) -> None:
    assert fold(token) == word


@pytest.mark.parametrize(
    ("slip", "word"),
    [
        ("pneumothroax", "pneumothorax"),  # two letters changed places
        ("pnemothorax", "pneumothorax"),  # one left out
        ("effussion", "effusion"),  # one doubled
        ("atelactasis", "atelectasis"),  # one changed
        ("pnuemothroax", "pnuemothroax"),  # two slips are too many
        ("efusion", "effusion"),
        ("edmea", "edmea"),  # short words have too many neighbours
        ("confusion", "confusion"),  # an English word beside "contusion"
        ("injection", "injection"),  # beside "infection"
        ("asymmetric", "asymmetric"),  # beside its opposite
        ("resolve", "resolve"),  # to resolve is not to have resolved
        ("evaluated", "evaluated"),
    ],
)
def test_a_slip_of_the_finger_is_corrected(judge: RulesJudge, slip: str, word: str) -> None:
    assert judge.lexicon.spelling.correct(slip) == word


def test_a_slip_between_two_words_is_left_alone() -> None:
    assert Speller(["consolidate", "consolidats"], [], []).correct("consolidatx") == "consolidatx"


def test_correction_does_not_search(judge: RulesJudge) -> None:
    """Its cost is that of the word, not of the lexicon, and a word too long to be a slip costs nothing."""
    spelling = judge.lexicon.spelling
    assert work(lambda: spelling.correct("abcdefghijklmnopqrst")) < 200
    assert work(lambda: spelling.correct("x" * 100_000)) < 20


def test_only_words_of_usual_length_are_remembered() -> None:
    """Else a few thousand texts without blanks would fill the memory."""
    usual, long = "q" * words.MEMO_LENGTH, "q" * (words.MEMO_LENGTH + 1)
    assert (fold(usual), fold(long)) == (usual, long)
    assert usual in words._memo
    assert long not in words._memo
