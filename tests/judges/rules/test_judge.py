"""Properties of the whole judge: purity, the directions that training relies on, cost, and the plug-in contract."""

from __future__ import annotations

import math
import pickle
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judges.base import CATEGORIES, Judgement
from judges.rules.judge import RulesJudge, Settings
from testbed.abuse.attacks import ATTACKS
from testbed.abuse.studies import STUDIES
from tests.work import assert_linear, some_now

from .conftest import errors

Compare = Callable[..., Judgement]

# Sentences that do not depend on one another; any subset in any order is a report.
SENTENCES = (
    "Small left pleural effusion.",
    "The heart is moderately enlarged.",
    "No pneumothorax.",
    "There is a 9 mm nodule in the right upper lobe.",
    "Bibasilar atelectasis, unchanged.",
    "Right PICC with tip in the SVC.",
    "Degenerative changes of the thoracic spine.",
    "Healed left rib fractures.",
    "The aorta is tortuous.",
    "Large hiatal hernia.",
    "Pulmonary edema has improved.",
    "Median sternotomy wires are intact.",
)
ABSENT = ("Mediastinal mass.", "Free intraperitoneal air.", "Lytic lesion in the left clavicle.", "Splenomegaly.")
steady = settings(deadline=None)  # a shared machine has pauses; cost has its own tests
reports = st.lists(st.sampled_from(SENTENCES), min_size=1, unique=True)
anything = st.one_of(
    st.text(max_size=300),
    st.lists(st.sampled_from((*SENTENCES, *ABSENT, "no", "or", ",", "may represent", "?", "1.5", "cm", "\n", ":"))).map(
        " ".join
    ),
)


@pytest.fixture(scope="module")
def judge() -> RulesJudge:
    return RulesJudge()


def _score(judge: RulesJudge, candidate: str, reference: str) -> Judgement:
    one, other = judge.encode([candidate, reference])
    return judge.compare([one], [other])[0]


@steady
@given(text=anything)
def test_a_report_against_itself_has_no_error(judge: RulesJudge, text: str) -> None:
    verdict = _score(judge, text, text)
    (read,) = judge.encode([text])
    assert errors(verdict) == [] or read.outside
    assert verdict.values["signed"] == (-1.0 if read.empty or read.outside else 1.0)


@steady
@given(candidate=anything, reference=anything, prior=st.none() | anything)
def test_verdicts_are_finite_bounded_and_consistent(
    judge: RulesJudge, candidate: str, reference: str, prior: str | None
) -> None:
    one, other = judge.encode([candidate, reference])
    (verdict,) = judge.compare([one], [other], [None if prior is None else judge.encode([prior])[0]])
    assert set(verdict.values) == set(judge.keys)
    assert all(math.isfinite(v) for v in verdict.values.values())
    assert -1 <= verdict.values["signed"] <= 1
    assert 0 <= verdict.values["green"] <= 1
    counted = {c: sum(e.kind == c for e in verdict.evidence) for c in CATEGORIES}
    assert counted == {c: verdict.significant[c] + verdict.insignificant[c] for c in CATEGORIES}
    cost = math.fsum(item.cost for item in verdict.evidence)
    assert all(item.cost >= 0 for item in verdict.evidence)
    assert all(item.cost == 0 for item in verdict.evidence if item.kind == "matched")
    assert all(item.cost > 0 and not item.significant for item in verdict.evidence if item.kind == "deduction")
    assert cost == pytest.approx(1.0 - _unsquashed(verdict.values["signed"]), rel=1e-9, abs=1e-9)
    for item in verdict.evidence:
        for span, text in ((item.candidate, candidate), (item.reference, reference)):
            assert span is None or 0 <= span[0] < span[1] <= len(text)


def _unsquashed(signed: float) -> float:
    """(credit - penalty) / weight; the floor, of a candidate that says nothing, is not squashed."""
    return signed if signed >= 0 or signed == -1 else signed / (1 + signed)


def test_costs_add_up_for_every_study_and_attack(judge: RulesJudge) -> None:
    """Each study against all other studies' texts and every known way to cheat: nothing is lost without a reason."""
    for study in STUDIES:
        attacks = [attack(study) for attack in ATTACKS.values()]
        texts = [text for other in STUDIES for text in (other.reference, other.paraphrase, other.terse)]
        candidates = judge.encode([*texts, *(text for text in attacks if text is not None)])
        references = judge.encode([study.reference]) * len(candidates)
        for verdict in judge.compare(candidates, references):
            cost = math.fsum(item.cost for item in verdict.evidence)
            assert cost == pytest.approx(1.0 - _unsquashed(verdict.values["signed"]), rel=1e-9, abs=1e-9)


@steady
@given(report=reports, seed=st.integers(0, 999))
def test_the_order_of_sentences_does_not_matter(judge: RulesJudge, report: list[str], seed: int) -> None:
    shuffled = random.Random(seed).sample(report, len(report))
    verdict = _score(judge, " ".join(shuffled), " ".join(report))
    assert errors(verdict) == []
    assert verdict.values["signed"] == 1.0


@steady
@given(report=reports, candidate=reports)
def test_repetition_does_not_pay(judge: RulesJudge, report: list[str], candidate: list[str]) -> None:
    reference, text = " ".join(report), " ".join(candidate)
    assert _score(judge, " ".join([text] * 5), reference).values == _score(judge, text, reference).values


@steady
@given(report=reports, extra=st.sampled_from(ABSENT))
def test_one_unrelated_finding_is_one_false_finding(judge: RulesJudge, report: list[str], extra: str) -> None:
    reference = " ".join(report)
    verdict = _score(judge, f"{reference} {extra}", reference)
    assert [e[0] for e in errors(verdict)] == ["false_finding"]
    assert verdict.values["signed"] < 1


@steady
@given(report=reports, data=st.data())
def test_dropping_a_sentence_never_helps(judge: RulesJudge, report: list[str], data: st.DataObject) -> None:
    dropped = data.draw(st.sampled_from(report))
    reference = " ".join(report)
    kept = _score(judge, " ".join(s for s in report if s != dropped), reference)
    worse = any("no " not in s.lower() for s in [dropped])
    assert kept.values["signed"] < 1 if worse else kept.values["signed"] <= 1
    if worse:
        assert "missing_finding" in {e[0] for e in errors(kept)}


@pytest.mark.parametrize("sentence", [s for s in SENTENCES if "left" in s or "right" in s.lower()])
def test_a_flipped_side_is_a_wrong_location(judge: RulesJudge, sentence: str) -> None:
    swap = {"left": "right", "right": "left", "Right": "Left"}
    flipped = " ".join(swap.get(word, word) for word in sentence.split())
    assert {e[0] for e in errors(_score(judge, flipped, sentence))} == {"wrong_location"}


@pytest.mark.parametrize("sentence", ["Left pleural effusion.", "Pulmonary edema.", "Rib fracture.", "Lung mass."])
def test_a_flipped_negation_is_missing_or_false(judge: RulesJudge, sentence: str) -> None:
    denied = f"No {sentence.lower()}"
    assert [e[0] for e in errors(_score(judge, denied, sentence))] == ["missing_finding"]
    assert [e[0] for e in errors(_score(judge, sentence, denied))] == ["false_finding"]


# ----- cheating -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", ["Small left pleural effusion. Mild cardiomegaly. No pneumothorax.",
                                       "The heart is normal. The lungs are clear. No pleural effusion."])  # fmt: skip
def test_shouting_everything_is_worth_less_than_silence(judge: RulesJudge, reference: str) -> None:
    concepts = judge.lexicon.concepts
    everything = " ".join(c.asserts for c in concepts)
    attacks = [
        everything,
        " ".join(f"Possible {c.asserts[0].lower()}{c.asserts[1:]}" for c in concepts),
        " ".join(f"{c.asserts} {c.denies}" for c in concepts),
        f"{reference} {everything}",
    ]
    for attack in attacks:
        assert _score(judge, attack, reference).values["signed"] < -0.9


# ----- cost -----------------------------------------------------------------------------------------------------------

SHAPES = {
    "a list of findings": "effusion, pneumothorax, nodule, ",
    "alternatives": "effusion or nodule or ",
    "one finding": "effusion ",
    "one letter": "a",
    "no spaces": "effusionnodule",
    "every cue in a row": "no without may represent , or left mild increased evaluate for but not seen cannot be excluded ",
    "anatomies": "heart lung aorta hilum ",
    "descriptors without anatomy": "enlarged tortuous ",
    "normal without anatomy": "normal clear ",
    "confirmations": "suspected effusion is confirmed, ",
    "corrections": "Correction: small effusion. ",
    "signs of fractures": "# L rib. ",
    "sentences about the one before": "Nodule. It is calcified. ",
    "half a phrase": "no evidence of any definite ",
    "blank lines": "\n \n",
    "digits": "1234567890",
    "numbers": "1 . 5 x 2 . 5 cm ",
    "invisible characters": "é\u200b ",
    "hyphens": "-",
    "headings": "indication: effusion. ",
    "capitals": "limits The ",
    "findings on both sides": "left effusion. right effusion. ",
    "normal anatomies": "normal heart lungs ",
    "verbs": "is ",
    "denied abnormalities": "heart no abnormality ",
    "slashes": "effusion/edema/",
    "semicolons": "effusion; increased; ",
    "tips": "ett. the tip in svc. ",
    "what a finding is taken for": "opacity, likely ",
    "lists that change": "unchanged effusion and ",
    "changes of lists": "effusion and edema are unchanged, ",
    "half of a heading": "heart lung ; normal ",
    "slips": "pneumothroax effsion ",
    "veins": "picc in left ij ",
    "measurements": "nodule 9 mm, previously 15 mm ",
    "headings in a line": "FINDINGS: effusion ",
    "sides of what is normal": "left lung clear without ",
    "exchanges": "picc exchanged for ett ",
    "withdrawn": "ett has been withdrawn ",
}


@pytest.mark.parametrize("unit", some_now(SHAPES.values(), 6), ids=SHAPES)
def test_cost_is_linear_in_length(judge: RulesJudge, unit: str) -> None:
    def compare(text: str) -> None:
        one = judge.encode([text])
        judge.compare(one, one)

    assert_linear(compare, unit)


CUES = (
    "no",
    "not",
    "seen",
    "effusion",
    "left",
    ",",
    "or",
    "and",
    "may",
    "be",
    "is",
    "heart",
    "enlarged",
    ":",
    ".",
    "new",
)


@pytest.mark.slow
@settings(max_examples=15)
@given(words=st.lists(st.sampled_from(CUES), min_size=8, max_size=8))
def test_no_repeated_phrase_is_slow(judge: RulesJudge, words: list[str]) -> None:
    def compare(text: str) -> None:
        judge.compare(judge.encode([text]), judge.encode([text]))

    assert_linear(compare, " ".join(words) + " ", length=500)


# ----- the plug-in contract -------------------------------------------------------------------------------------------


def test_it_is_a_pair_metric() -> None:
    from reward_service.contracts import PairMetric

    metric: PairMetric = RulesJudge()
    assert metric.cost == "pool"
    assert metric.uses_prior
    assert metric.keys == ("signed", "green", "inverse_errors", "quality")


def test_artefacts_and_judge_cross_process_borders(judge: RulesJudge) -> None:
    readings = judge.encode([" ".join(SENTENCES), ""])
    assert pickle.loads(pickle.dumps(readings)) == readings
    again = pickle.loads(pickle.dumps(judge))
    assert again.encode([" ".join(SENTENCES), ""]) == readings
    assert again.manifest() == judge.manifest()
    assert pickle.loads(pickle.dumps(judge.compare(readings, readings))) == judge.compare(readings, readings)


def test_batches_do_not_matter(judge: RulesJudge) -> None:
    readings = judge.encode(SENTENCES)
    together = judge.compare(readings, readings[::-1])
    assert together == [judge.compare([a], [b])[0] for a, b in zip(readings, readings[::-1], strict=True)]


def test_settings_and_size(judge: RulesJudge) -> None:
    short = RulesJudge(Settings(max_characters=20))
    assert short.encode(["Small left effusion. Nodule."]) == judge.encode(["Small left effusion."])
    assert short.manifest() != judge.manifest()
    assert short.encoding != judge.encoding  # else one would be given the other's readings from the cache
    with pytest.raises(ValueError, match="max_characters"):
        Settings(max_characters=0)
    small, large = (judge.nbytes(f) for f in judge.encode(["Nodule.", " ".join(SENTENCES)]))
    assert 0 < small < large


@pytest.mark.parametrize("digit", ["\u1369", "\u2460", "\u0664", "\U0001d7d9"])
def test_digits_of_any_script_are_read_or_passed_over(judge: RulesJudge, digit: str) -> None:
    """Some are digits by `str.isdigit` that `float` refuses."""
    judge.encode([f"A {digit} cm nodule, {digit} mm.", digit, f"1.{digit} cm"])
