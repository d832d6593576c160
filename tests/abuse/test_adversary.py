"""Gates for an adversary that optimises: small searches with fixed seeds. The large ones are `benchmarks.adversary`."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from statistics import mean
from typing import Any

import pytest

from judges.rules.judge import RulesJudge
from judges.scores import MAJOR
from reward_service import Scorer
from testbed.abuse import search
from testbed.abuse.majors import MAJORS
from testbed.abuse.studies import STUDIES, Study

Results = Callable[[Sequence[str], Sequence[str]], Sequence[dict[str, Any]]]
PAID = (
    "Opacities. No large pleural effusion. No large pneumothorax.",
    "Mild opacities. Pleural effusion. No large nodule. Possible device.",
    "Moderate device on the left. The right lung is clear. Opacities. Pleural effusion. No large pneumothorax. Opacity.",
    "No fracture. No new opacities. No new pleural abnormality. Possible device.",
)
"""Constants that searches have found."""


@pytest.fixture(scope="module")
def results() -> Iterator[Results]:
    scorer = Scorer("text")
    yield lambda candidates, references: scorer.score(list(candidates), list(references))
    scorer.close()


def clinical(result: dict[str, Any]) -> float:
    return float(result["components"]["clinical"])


def over(results: Results, references: Sequence[str]) -> search.Score:
    """Candidates -> their mean clinical score over the references."""

    def score(candidates: Sequence[str]) -> list[float]:
        found = results([c for c in candidates for _ in references], [*references] * len(candidates))
        size = len(references)
        return [mean(map(clinical, found[i : i + size])) for i in range(0, len(found), size)]

    return score


def test_each_of_the_references_has_a_major_finding() -> None:
    judge = RulesJudge()
    for text, read in zip(MAJORS, judge.encode(MAJORS), strict=True):
        assert any(judge.lexicon.concepts[concept].weight >= MAJOR for concept in read.positive), text


def test_no_constant_is_paid_where_there_is_a_major_finding(results: Results) -> None:
    score = over(results, MAJORS)
    found = search.constant(score, random.Random(0), generations=4, children=10)
    assert max(found.score, *score(PAID)) <= 0.05, found.text


def test_the_search_finds_what_pays() -> None:
    """A score that pays for three sentences of one form and against all others."""

    def score(candidates: Sequence[str]) -> list[float]:
        said = [set(text.replace(". ", ".|").split("|")) for text in candidates]
        stable = [sum(sentence.startswith("Stable") for sentence in each) for each in said]
        return [min(n, 3) - 0.1 * (len(each) - n) for n, each in zip(stable, said, strict=True)]

    found = search.constant(score, random.Random(1), generations=30)
    assert found.score == pytest.approx(3.0)
    climbed = search.climb(lambda texts: [-float(len(text)) for text in texts], "one two three four", random.Random(0))
    assert climbed.gain > 0


@pytest.mark.parametrize("study", [s for s in STUDIES if "normal" in s.name], ids=lambda s: s.name)
def test_form_alone_gains_nothing(results: Results, study: Study) -> None:
    def score(candidates: Sequence[str]) -> list[float]:
        return [float(r["reward"]) for r in results(candidates, [study.reference] * len(candidates))]

    found = search.climb(score, study.paraphrase, random.Random(0), words=search.FORM, steps=10, tries=10)
    assert found.gain <= 0.02, found.text


def test_garbled_texts_are_flagged(results: Results) -> None:
    rng = random.Random(0)
    flagged = []
    for study in STUDIES:
        words = study.paraphrase.split()
        for _ in range(6):
            words.insert(rng.randrange(len(words)), rng.choice(search.FORM))
        flagged.append("garbled" in results([" ".join(words)], [study.reference])[0]["flags"])
    assert mean(flagged) >= 0.8
