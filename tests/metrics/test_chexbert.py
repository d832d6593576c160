"""CheXbert against its published procedure with random weights, and the folder that serving reads."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="extra bertscore")

from safetensors.torch import load_file  # noqa: E402

from metrics.chexbert import (  # noqa: E402
    BLANK,
    FIVE,
    LABELS,
    NEGATIVE,
    POSITIVE,
    UNCERTAIN,
    CheXbert,
    Reading,
    convert,
    given,
    given_of_sum,
)
from metrics.encoder import ModelUnavailable  # noqa: E402
from tests.metrics import random_chexbert as reference  # noqa: E402

LIMIT = 40
EDGES = [
    "", " ", "\n\t ", ".", "\u200b", "\u00a0no\u00a0effusion", "[SEP]", "no [MASK] effusion", "XXXX", "\U0001fac1 clear",
    "No   pleural\n\neffusion.\r\n  Heart size is normal. ", "NO EFFUSION", "no effusion", "effusions", "é", "1.5 cm",
    "no " * 38, "no " * 39, "no " * 700, "effusionsheartlungclear" * 30,
]  # fmt: skip


def reports(count: int, words: int = 60) -> list[str]:
    rng = random.Random(3)
    vocabulary = ["no", "pleural", "effusion", "effusions", "heart", "lungs", "Clear.", "left", "small,", "T12", "\n"]
    return [" ".join(rng.choices(vocabulary, k=rng.randint(1, words))) for _ in range(count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chexbert")


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Path:
    return reference.write_tokenizer(folder / "tokenizer", positions=LIMIT)


@pytest.fixture(scope="module")
def published(folder: Path, tokenizer: Path) -> reference.Reference:
    return reference.write_checkpoint(folder / "chexbert.pth", tokenizer)


@pytest.fixture(scope="module")
def model(folder: Path, tokenizer: Path, published: reference.Reference) -> Path:
    convert(folder / "chexbert.pth", folder / "converted", tokenizer)
    return folder / "converted"


@pytest.fixture(scope="module")
def metric(model: Path) -> CheXbert:
    return CheXbert(str(model))


def agrees(metric: CheXbert, published: reference.Reference, tokenizer: Path, texts: list[str], limit: int) -> None:
    ids = reference.all_ids(tokenizer, texts, limit)
    ours = metric.encode(texts)
    assert [t.ids for t in metric.encoder.tokenize([" ".join(text.split()) for text in texts])] == ids
    theirs = [published.read(row) for row in ids]
    assert [reading.classes for reading in ours] == [classes for _, classes in theirs]
    for other in range(1, 4):  # each text beside three others
        paired = ours[other:] + ours[:other]
        for i, comparison in enumerate(metric.compare(ours, paired)):
            expected = reference.similarity(theirs[i][0], theirs[(i + other) % len(texts)][0])
            assert comparison.values["semb"] == pytest.approx(expected, abs=1e-6)


def test_ids_vectors_and_labels_equal_the_published_procedure(
    metric: CheXbert, published: reference.Reference, tokenizer: Path
) -> None:
    texts = EDGES + reports(80)
    agrees(metric, published, tokenizer, texts, LIMIT)
    classes = {reading.classes for reading in metric.encode(texts)}
    assert len(classes) > 20  # random heads that always said the same would show nothing


@pytest.mark.slow
def test_the_same_at_the_released_size(tmp_path: Path) -> None:
    tokenizer = reference.write_tokenizer(tmp_path / "tokenizer", positions=512, base=True)
    published = reference.write_checkpoint(tmp_path / "chexbert.pth", tokenizer)
    convert(tmp_path / "chexbert.pth", tmp_path / "converted", tokenizer)
    metric = CheXbert(str(tmp_path / "converted"))
    agrees(metric, published, tokenizer, [*EDGES, *reports(20, 120)], 512)
    assert metric.encode(["no effusion"])[0].vector.shape == (768,)


def test_the_order_of_labels_is_the_checkpoint_s() -> None:
    assert [LABELS[i] for i in FIVE] == ["Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion"]
    assert (len(LABELS), LABELS[0], LABELS[13]) == (14, "Enlarged Cardiomediastinum", "No Finding")


# -- values ---------------------------------------------------------------------------------------


def reading(vector: list[float] | None = None, **classes: int) -> Reading:
    """A text with the given classes, blank elsewhere."""
    wide = np.array(vector or [1.0, 0.0], dtype=np.float32)
    named = {label.replace(" ", "_"): BLANK for label in LABELS} | classes
    assert len(named) == len(LABELS)
    return Reading(wide, float(wide @ wide), tuple(named.values()), False)


def values(metric: CheXbert, candidate: Reading, reference: Reading) -> dict[str, float]:
    (comparison,) = metric.compare([candidate], [reference])
    assert tuple(comparison.values) == metric.keys
    return comparison.values


@pytest.mark.parametrize(
    ("candidate", "theirs", "expected"),
    [  # agree5_exact, agree5, agree14, f1_positive
        ({}, {}, (1, 1, 1, 1)),
        ({"Edema": POSITIVE}, {"Edema": POSITIVE}, (1, 1, 1, 1)),
        ({"Edema": UNCERTAIN}, {"Edema": POSITIVE}, (1, 1, 1, 1)),  # uncertain counts as given
        ({"Edema": NEGATIVE}, {}, (1, 1, 1, 1)),  # negative and blank count as not given
        ({"Edema": POSITIVE}, {}, (0, 4 / 5, 13 / 14, 0)),
        ({"Edema": POSITIVE}, {"Cardiomegaly": POSITIVE}, (0, 3 / 5, 12 / 14, 0)),
        ({"Fracture": POSITIVE}, {"No_Finding": POSITIVE}, (1, 1, 12 / 14, 0)),
        (
            {"Edema": POSITIVE, "Fracture": POSITIVE},
            {"Edema": POSITIVE, "Pneumonia": POSITIVE, "Lung_Lesion": UNCERTAIN},
            (1, 1, 11 / 14, 2 / 5),
        ),
    ],
)
def test_label_values(
    metric: CheXbert, candidate: dict[str, int], theirs: dict[str, int], expected: tuple[float, ...]
) -> None:
    got = values(metric, reading(**candidate), reading(**theirs))
    assert tuple(got.values())[1:5] == pytest.approx(expected, abs=1e-12)


def test_the_labels_of_each_side_are_a_sum_of_powers_of_two(metric: CheXbert) -> None:
    got = values(metric, reading(Edema=POSITIVE, No_Finding=POSITIVE), reading(Cardiomegaly=UNCERTAIN, Edema=NEGATIVE))
    assert (got["candidate_labels"], got["reference_labels"]) == (2**4 + 2**13, 2**1)
    assert given_of_sum(got["candidate_labels"]) == given(reading(Edema=POSITIVE, No_Finding=POSITIVE).classes)


def test_what_is_no_number_stays_none(metric: CheXbert) -> None:
    assert math.isnan(values(metric, reading([math.nan, 1.0]), reading([1.0, 0.0]))["semb"])


def test_the_cosine_is_bounded_and_a_vector_without_length_has_none(metric: CheXbert) -> None:
    assert values(metric, reading([3.0, 4.0]), reading([6.0, 8.0]))["semb"] == 1.0
    assert values(metric, reading([3.0, 4.0]), reading([-3.0, -4.0]))["semb"] == -1.0
    assert values(metric, reading([3.0, 4.0]), reading([4.0, 3.0]))["semb"] == pytest.approx(24 / 25)
    assert values(metric, reading([0.0, 0.0]), reading([4.0, 3.0]))["semb"] == 0.0
    assert values(metric, reading([0.0, 0.0]), reading([0.0, 0.0]))["semb"] == 0.0


def test_equal_texts_are_equal_and_an_empty_text_has_a_reading(metric: CheXbert) -> None:
    empty, same, again = metric.encode(["", "no effusion", "no  effusion\n"])
    found = values(metric, same, again)
    assert found.pop("candidate_labels") == found.pop("reference_labels")
    assert found == dict.fromkeys(metric.keys[:5], 1.0)
    assert all(map(math.isfinite, values(metric, empty, same).values()))


def test_a_text_does_not_depend_on_its_neighbours(metric: CheXbert) -> None:
    texts = EDGES + reports(20)
    for text, together in zip(texts, metric.encode(texts), strict=True):
        (alone,) = metric.encode([text])
        assert np.abs(alone.vector - together.vector).max() <= 1e-6
        assert alone.classes == together.classes


def test_truncation_is_noted(metric: CheXbert) -> None:
    fits, cut = metric.encode(["no " * (LIMIT - 2), "no " * (LIMIT - 1)])
    assert metric.compare([fits], [fits])[0].notes == ()
    assert metric.compare([fits], [cut])[0].notes == ("chexbert_truncated",)
    assert values(metric, fits, cut)["semb"] == 1.0  # what stays is the same


def test_artefacts_are_small(metric: CheXbert) -> None:
    (artefact,) = metric.encode(["no effusion"])
    assert artefact.vector.dtype == np.float32
    assert artefact.vector.base is None
    assert metric.nbytes(artefact) >= sys.getsizeof(artefact.vector) + sys.getsizeof(artefact.classes)
    assert metric.encode([]) == []


# -- identity and loading -------------------------------------------------------------------------


def test_the_manifest_holds_the_weights_and_no_path(
    metric: CheXbert, model: Path, tokenizer: Path, tmp_path: Path
) -> None:
    reference.write_checkpoint(tmp_path / "other.pth", tokenizer, seed=1)
    convert(tmp_path / "other.pth", tmp_path / "other", tokenizer)
    shutil.copytree(model, tmp_path / "copy")
    other, copy = CheXbert(str(tmp_path / "other")), CheXbert(str(tmp_path / "copy"), max_batch=3, threads=1)
    assert copy.manifest() == metric.manifest()
    assert copy.encoding == metric.encoding
    assert other.encoding != metric.encoding
    ours, theirs = metric.manifest(), other.manifest()
    assert [key for key in ours if ours[key] != theirs[key]] == ["weights", "heads"]
    assert str(model) not in json.dumps(ours)


def test_constructing_imports_no_torch_and_warming_up_loads(model: Path) -> None:
    code = (
        f"import sys; from metrics.chexbert import CheXbert; m = CheXbert({str(model)!r}); m.manifest(); "
        "assert m.stage == 'idle'; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    fresh = CheXbert(str(model))
    fresh.warm_up()
    assert fresh.stage == "ready"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "heads.safetensors"])
def test_a_folder_that_lacks_something_is_refused_with_the_command(name: str, model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "partial")
    (tmp_path / "partial" / name).unlink()
    command = r"reward-service convert chexbert SRC DST --tokenizer DIR"
    with pytest.raises(ModelUnavailable, match=rf"{name} is missing there; .*{command}"):
        CheXbert(str(tmp_path / "partial"))
    with pytest.raises(ModelUnavailable, match=command):
        CheXbert()


def test_bad_limits_are_refused(model: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        CheXbert(str(model), max_batch=0)


# -- convert --------------------------------------------------------------------------------------


def test_the_converted_folder_holds_the_checkpoint_s_numbers(model: Path, published: reference.Reference) -> None:
    heads, encoder = load_file(model / "heads.safetensors"), load_file(model / "model.safetensors")
    assert len(heads) == 28
    for i, head in enumerate(published.linear_heads):
        assert torch.equal(heads[f"{i}.weight"], head.weight)  # type: ignore[arg-type]
    expected = {name: tensor for name, tensor in published.bert.state_dict().items() if "pooler" not in name}
    assert encoder.keys() == expected.keys()
    assert all(torch.equal(encoder[name], tensor) for name, tensor in expected.items())


def checkpoint(published: reference.Reference, **changes: Any) -> dict[str, Any]:
    state = {f"module.{name}": tensor for name, tensor in published.state_dict().items()}
    state = {**state, **changes}
    return {"model_state_dict": {name: tensor for name, tensor in state.items() if tensor is not None}}


def test_position_ids_of_old_checkpoints_and_a_missing_prefix_are_no_matter(
    published: reference.Reference, tokenizer: Path, tmp_path: Path, model: Path
) -> None:
    old = checkpoint(published, **{"module.bert.embeddings.position_ids": torch.arange(LIMIT)[None]})
    bare = {"model_state_dict": {k.removeprefix("module."): v for k, v in old["model_state_dict"].items()}}
    for name, contents in (("old", old), ("bare", bare)):
        torch.save(contents, tmp_path / f"{name}.pth")
        convert(tmp_path / f"{name}.pth", tmp_path / name, tokenizer)
        assert CheXbert(str(tmp_path / name)).encoding == CheXbert(str(model)).encoding


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"module.linear_heads.3.weight": None}, r"linear_heads\.3\.weight has the shape nothing.*\(4, 32\)"),
        ({"module.linear_heads.13.bias": torch.zeros(4)}, r"linear_heads\.13\.bias has the shape \(4,\).*\(2,\)"),
        ({"module.linear_heads.14.bias": torch.zeros(4)}, r"linear_heads\.14\.bias .* asks for nothing"),
        (
            {"module.bert.encoder.layer.1.output.dense.bias": None},
            r"layer\.1\.output\.dense\.bias has the shape nothing",
        ),
        ({"module.bert.encoder.layer.2.output.dense.bias": torch.zeros(32)}, "layer.2.* asks for nothing"),
        ({"module.linear_heads.13.bias": torch.full((2,), math.nan)}, r"linear_heads\.13\.bias holds values"),
        ({"module.bert.embeddings.word_embeddings.weight": torch.zeros(3, 32)}, r"\(3, 32\), config.json asks for"),
    ],
)
def test_shapes_are_checked_and_nothing_is_written(
    changes: dict[str, Any], words: str, published: reference.Reference, tokenizer: Path, tmp_path: Path
) -> None:
    torch.save(checkpoint(published, **changes), tmp_path / "wrong.pth")
    with pytest.raises(ValueError, match=words):
        convert(tmp_path / "wrong.pth", tmp_path / "out", tokenizer)
    assert not (tmp_path / "out").exists()


class Payload:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("unpickled",))


@pytest.mark.parametrize(
    "contents", [{"state": {}}, {"model_state_dict": {}, "more": Payload()}, [1], {"model_state_dict": 3}]
)
def test_what_is_no_checkpoint_is_refused_and_not_run(
    contents: Any, tokenizer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(contents, tmp_path / "wrong.pth")
    with pytest.raises(ValueError, match=r"wrong.pth is not a checkpoint of CheXbert.*model_state_dict"):
        convert(tmp_path / "wrong.pth", tmp_path / "out", tokenizer)
    assert "unpickled" not in capsys.readouterr().out


def test_missing_pieces_are_named(
    folder: Path, published: reference.Reference, tokenizer: Path, tmp_path: Path
) -> None:
    source = folder / "chexbert.pth"
    with pytest.raises(ValueError, match=r"absent.pth is no file"):
        convert(tmp_path / "absent.pth", tmp_path / "out", tokenizer)
    (tmp_path / "text.pth").write_text("no checkpoint")
    with pytest.raises(ValueError, match=r"text.pth is not a checkpoint"):
        convert(tmp_path / "text.pth", tmp_path / "out", tokenizer)
    bare = tmp_path / "bare"
    bare.mkdir()
    with pytest.raises(ValueError, match=r"--tokenizer .*bare: config.json is missing"):
        convert(source, tmp_path / "out", bare)
    shutil.copy(tokenizer / "config.json", bare)
    with pytest.raises(ValueError, match=r"tokenizer.json or vocab.txt is missing"):
        convert(source, tmp_path / "out", bare)
    other = tmp_path / "roberta"
    shutil.copytree(tokenizer, other)
    (other / "config.json").write_text(json.dumps({"model_type": "roberta"}))
    with pytest.raises(ValueError, match=r"not that of a BERT"):
        convert(source, tmp_path / "out", other)
    small = tmp_path / "small"
    shutil.copytree(tokenizer, small)
    config = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps({**config, "vocab_size": 7}))
    with pytest.raises(ValueError, match=r"do not fit a vocabulary of 7"):
        convert(source, tmp_path / "out", small)


def test_a_folder_with_something_in_it_is_left_alone(
    folder: Path, published: reference.Reference, tokenizer: Path, tmp_path: Path
) -> None:
    (tmp_path / "kept.txt").write_text("kept")
    with pytest.raises(ValueError, match="not an empty folder"):
        convert(folder / "chexbert.pth", tmp_path, tokenizer)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]
