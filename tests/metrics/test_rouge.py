"""ROUGE against the published cases of google's implementation, and against that implementation on any text."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from metrics.rouge import Rouge, Variant

TARGET_1 = (
    "ZfbCUIUuePaiLVUlCaUXxkpu XPeWing tUHfPMuZ',-Xd Y BrUgVJing M-HV.-DgdDaY.rFDJCRing Ht-LM EKBDXkME,yz'"
    "RBr q'wtion wIojNbN wL,b .a-'XdQggyFl jB-RPP'iyOIcUxer tKM L"
)
PREDICTION_1 = "rFDJCRtion Ht-LM EKtDXkME,yz'RBr q'wer wrojNbN wL,b .a-'XdQggyFl jB-RPP'iyOIcUxi"
TARGET_2 = (
    "KsJdPByEtAor fE-Qg Dpdbring cw-WeFyu vC MoBL Xdn g wkvcEiGvKtion BDFhrpMtion psing sbKao Q m qiing L"
    "Mmer HqqLFXe,XPY,J XsurkMer ,ed nB'wH'bWVHjWFEing tQ.saefZwJtKrTlixYpMMsJing UCAPwNHeYVjDing c T BUy"
    "SKtion gMPfJpwGw p'NvxAoping eu pBwMBKV'I DNxqelhu,PHPxDEq,mtion SN"
)
PREDICTION_2 = (
    "n cw-WeFyu vC MoBL Xdn g wkvcEiGvKtion BDFhrpMer pstion sbKao Q m qier LMmed HqqLFXe,XPY,J XsurkMeo "
    ",ed nB'wH'bWVHjWFEer tQ.saefZwJtKrTlixYpMMNJtion UCAPwNHeYVjD"
)

# google-research/google-research rouge/rouge_scorer_test.py and testdata (Apache-2.0), to 1e-5.
GOLDEN: list[tuple[Variant, bool, str, str, float]] = [
    ("rouge1", False, "testing one two", "testing", 0.5),
    ("rouge2", False, "testing one two", "testing one", 0.6666666666666666),
    ("rougeL", False, "testing one two", "testing one", 0.8),
    ("rougeL", False, "testing one two", "testing two", 0.8),
    ("rouge1", False, "testing one two", "", 0),
    ("rouge2", False, "testing one two", "", 0),
    ("rougeL", False, "testing one two", "", 0),
    ("rouge1", False, TARGET_1, PREDICTION_1, 0.51163),
    ("rouge1", False, TARGET_2, PREDICTION_2, 0.5),
    ("rouge1", True, TARGET_1, PREDICTION_1, 0.51163),
    ("rouge1", True, TARGET_2, PREDICTION_2, 0.52941),
    ("rouge2", False, TARGET_1, PREDICTION_1, 0.39024),
    ("rouge2", False, TARGET_2, PREDICTION_2, 0.36364),
    ("rouge2", True, TARGET_1, PREDICTION_1, 0.39024),
    ("rouge2", True, TARGET_2, PREDICTION_2, 0.36364),
    ("rougeL", False, TARGET_1, PREDICTION_1, 0.51163),
    ("rougeL", False, TARGET_2, PREDICTION_2, 0.5),
]
VARIANTS: tuple[Variant, ...] = ("rouge1", "rouge2", "rougeL")
THEIRS = {stemmer: RougeScorer(list(VARIANTS), use_stemmer=stemmer) for stemmer in (False, True)}

words = st.sampled_from(
    ["no", "No.", "effusion", "effusions", "effusion,", "x-ray", "T12", "is", "enlarged", "\n", "ß", "İ", "😀"]
)
texts = st.one_of(st.lists(words, max_size=40).map(" ".join), st.text(max_size=80))


def score(variant: Variant, stemmer: bool, candidate: str, reference: str) -> float:
    metric = Rouge(variant, stemmer)
    encoded = metric.encode([candidate, reference])
    return metric.compare(encoded[:1], encoded[1:])[0].values[variant]


@pytest.mark.parametrize(("variant", "stemmer", "target", "prediction", "expected"), GOLDEN)
def test_published_values(variant: Variant, stemmer: bool, target: str, prediction: str, expected: float) -> None:
    assert score(variant, stemmer, prediction, target) == pytest.approx(expected, abs=1e-5)


@settings(max_examples=300, deadline=None)
@example("", "", False)
@example(".", "no effusion", False)
@example("a a a", "a", False)
@example("no no no effusion no effusion", "no effusion no effusion no", True)
@given(texts, texts, st.booleans())
def test_equals_rouge_score_exactly(candidate: str, reference: str, stemmer: bool) -> None:
    theirs = THEIRS[stemmer].score(reference, candidate)
    for variant in VARIANTS:
        assert score(variant, stemmer, candidate, reference) == theirs[variant].fmeasure


def test_variants_share_artefacts_and_order_does_not_matter() -> None:
    texts_ = ["no pleural effusion no pneumothorax", "small left pleural effusion", "no pneumothorax", ""]
    metrics = [Rouge(variant) for variant in VARIANTS]
    assert len({metric.encoding for metric in metrics}) == 1
    assert Rouge("rouge1", stemmer=True).encoding != metrics[0].encoding
    shared = metrics[0].encode(texts_)
    for metric in (*metrics, *reversed(metrics)):  # artefacts remember the last pair: it must be the right one
        for i, candidate in enumerate(shared):
            for j, reference in enumerate(shared):
                expected = score(metric.variant, False, texts_[i], texts_[j])
                assert metric.compare([candidate], [reference])[0].values[metric.variant] == expected


def test_artefacts_survive_pickling_after_use() -> None:
    metric = Rouge("rouge2")
    candidate, reference = metric.encode(["no pleural effusion", "no pleural effusion seen"])
    before = metric.compare([candidate], [reference])
    again = pickle.loads(pickle.dumps([candidate, reference]))
    assert metric.compare(again[:1], again[1:]) == before
    assert metric.nbytes(candidate) > 0


def test_settings_are_checked_and_in_the_manifest() -> None:
    with pytest.raises(ValueError, match="rouge1, rouge2, rougeL"):
        Rouge("rouge3")  # type: ignore[arg-type]
    assert Rouge("rouge1").manifest() != Rouge("rouge2").manifest() != Rouge("rouge2", stemmer=True).manifest()
