"""From an archive to a folder and back to the same annotations; and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from metrics.encoder import ModelUnavailable
from metrics.radgraph import RadGraph, RadGraphF1, convert
from tests.radgraph_models import Folders

pytestmark = pytest.mark.xdist_group("radgraph")  # the models that all use are made once

Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def archive(v1: Folders, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(v1.archive, tmp_path / "archive"))


def edit_config(archive: Path, edit: Edit) -> None:
    config = json.loads((archive / "config.json").read_text())
    edit(config)
    (archive / "config.json").write_text(json.dumps(config))


def edit_weights(archive: Path, edit: Edit) -> None:
    weights = torch.load(archive / "weights.th")
    edit(weights)
    torch.save(weights, archive / "weights.th")


def test_what_is_written(v1: Folders) -> None:
    written = {path.name for path in v1.converted.iterdir()}
    assert written == {
        "config.json", "heads.safetensors", "model.safetensors", "radgraph.json", "tokenizer.json",
        "tokenizer_config.json", "vocab.txt",
    }  # fmt: skip
    settings = json.loads((v1.converted / "radgraph.json").read_text())
    weights = hashlib.sha256((v1.archive / "weights.th").read_bytes()).hexdigest()
    assert settings["source"]["weights.th"] == weights
    assert settings["entity_labels"] == ["ANAT-DP", "OBS-DP", "OBS-DA", "OBS-U"]
    assert settings["relation_labels"] == ["modify", "located_at", "suggestive_of"]


def test_the_manifest_names_contents_not_paths(v1: Folders, tmp_path: Path) -> None:
    manifest = RadGraph(str(v1.converted)).manifest
    heads = hashlib.sha256((v1.converted / "heads.safetensors").read_bytes()).hexdigest()
    encoder = hashlib.sha256((v1.converted / "model.safetensors").read_bytes()).hexdigest()
    assert (manifest["heads"], manifest["weights"]) == (heads, {"model.safetensors": encoder})
    moved = shutil.copytree(v1.converted, tmp_path / "elsewhere")
    assert RadGraph(str(moved)).manifest == manifest
    assert str(v1.converted) not in json.dumps(manifest)


@pytest.mark.parametrize("inner", ["", "radgraph/"])
def test_a_tar_file_gives_the_same_folder(inner: str, v1: Folders, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "radgraph.tar.gz", "w:gz") as tar:
        for path in sorted(v1.archive.rglob("*")):
            if path.is_file():
                tar.add(path, f"{inner}{path.relative_to(v1.archive)}")
    converted = convert(tmp_path / "radgraph.tar.gz", tmp_path / "converted", v1.encoder)
    for path in v1.converted.iterdir():
        assert (converted / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_folder_around_the_archive_is_found(v1: Folders, tmp_path: Path) -> None:
    shutil.copytree(v1.archive, tmp_path / "cache" / "radgraph")
    convert(tmp_path / "cache", tmp_path / "converted", v1.encoder)


def test_a_checkpoint_without_a_dataset_name_is_the_first_model(archive: Path, v1: Folders, tmp_path: Path) -> None:
    for path in (archive / "vocabulary").glob("radgraph__*"):
        path.rename(path.with_name(path.name.replace("radgraph__", "None__")))

    def rename(weights: dict[str, Any]) -> None:
        for key in [key for key in weights if "radgraph__" in key]:
            weights[key.replace("radgraph__", "None__")] = weights.pop(key)

    edit_weights(archive, rename)
    converted = convert(archive, tmp_path / "converted", v1.encoder)
    texts = v1.texts[:9]
    assert RadGraph(str(converted)).annotate(texts) == RadGraph(str(v1.converted)).annotate(texts)


def test_labels_are_read_in_the_order_of_the_file(archive: Path, v1: Folders, tmp_path: Path) -> None:
    (archive / "vocabulary" / "radgraph__ner_labels.txt").write_text("\nOBS-U\nOBS-DA\nOBS-DP\nANAT-DP")
    swapped = RadGraph(str(convert(archive, tmp_path / "converted", v1.encoder))).annotate(v1.texts)
    other = {"ANAT-DP": "OBS-U", "OBS-DP": "OBS-DA", "OBS-DA": "OBS-DP", "OBS-U": "ANAT-DP"}
    for ours, theirs in zip(swapped, RadGraph(str(v1.converted)).annotate(v1.texts), strict=True):
        assert [entity.label for entity in ours.entities] == [other[entity.label] for entity in theirs.entities]


def test_the_modern_model_is_accepted_by_its_name(v1: Folders, xl: Folders, tmp_path: Path) -> None:
    archive = Path(shutil.copytree(xl.archive, tmp_path / "archive"))
    for path in (archive / "vocabulary").glob("radgraph-xl__*"):
        path.rename(path.with_name(f"modern-{path.name}"))

    def rename(weights: dict[str, Any]) -> None:
        for key in [key for key in weights if ".radgraph-xl__" in key]:
            weights[key.replace(".radgraph-xl__", ".modern-radgraph-xl__")] = weights.pop(key)

    edit_weights(archive, rename)
    converted = convert(archive, tmp_path / "converted", xl.encoder)
    assert json.loads((converted / "radgraph.json").read_text())["model_type"] == "modern-radgraph-xl"


def test_older_position_ids_are_ignored(archive: Path, v1: Folders, tmp_path: Path) -> None:
    key = "_embedder.token_embedder_bert._matched_embedder.transformer_model.embeddings.position_ids"
    edit_weights(archive, lambda weights: weights.update({key: torch.arange(512)[None]}))
    converted = convert(archive, tmp_path / "converted", v1.encoder)
    assert (converted / "model.safetensors").read_bytes() == (v1.converted / "model.safetensors").read_bytes()


def _set(path: str, value: object) -> Edit:
    def edit(config: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        for name in parents:
            config = config[name]
        config[last] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_set("model/loss_weights/coref", 1), "coreference or event heads"),
        (_set("model/loss_weights/events", 0.5), "coreference or event heads"),
        (_set("model/modules/coref/coref_prop", 2), "coreference or event heads"),
        (_set("model/loss_weights/relation", 0), "without entity or relation head"),
        (_set("model/feature_size", 30), r"is \[150, 84\], not \[150, 94\]"),
        (_set("model/max_span_width", 12), r"width is \[8, 20\], not \[12, 20\]"),
        (_set("dataset_reader/max_span_width", 9), "larger than the model's"),
        (_set("model/feedforward_params/hidden_dims", 100), r"is \[150, 84\], not \[100, 84\]"),
        (_set("model/feedforward_params/num_layers", 3), "missing"),
        (_set("model/embedder/token_embedders/bert/max_length", 256), "512 for the indexer and 256"),
        (_set("model/modules", {}), "config.json: KeyError"),
        (_set("dataset_reader/max_span_width", 0), "out of its range"),
        (_set("model/modules/relation/spans_per_word", float("nan")), "out of its range"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    edit: Edit, words: str, archive: Path, v1: Folders, tmp_path: Path
) -> None:
    edit_config(archive, edit)
    with pytest.raises(ValueError, match=words):
        convert(archive, tmp_path / "converted", v1.encoder)
    assert {path.name for path in tmp_path.iterdir()} == {"archive"}


RELATION = "_relation._relation_scorers.radgraph__relation_labels"
LAYER = "_embedder.token_embedder_bert._matched_embedder.transformer_model.encoder.layer"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda w: w.pop(f"{RELATION}.bias"), "relation.out.bias is missing"),
        (lambda w: w.update({f"{RELATION}.weight": torch.zeros(4, 150)}), r"is \[4, 150\], not \[3, 150\]"),
        (lambda w: w.update({"_more.weight": torch.zeros(1)}), "_more.weight is not known"),
        (lambda w: w.pop(f"{LAYER}.1.output.dense.bias"), "encoder.layer.1.output.dense.bias is missing"),
        (lambda w: w.update({f"{LAYER}.2.output.dense.bias": torch.zeros(32)}), "is too much"),
        (lambda w: w[f"{RELATION}.bias"].fill_(float("nan")), "no finite numbers"),
        (lambda w: w.update({f"{RELATION}.bias": torch.zeros(3, dtype=torch.complex64)}), "no finite numbers"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    edit: Edit, words: str, archive: Path, v1: Folders, tmp_path: Path
) -> None:
    edit_weights(archive, edit)
    with pytest.raises(ValueError, match=words):
        convert(archive, tmp_path / "converted", v1.encoder)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda a: (a / "vocabulary" / "radgraph__ner_labels.txt").unlink(), "0 files"),
        (lambda a: (a / "vocabulary" / "other__ner_labels.txt").write_text("\nA\n"), "2 files"),
        (lambda a: (a / "vocabulary" / "radgraph__relation_labels.txt").unlink(), "relation_labels.txt is missing"),
        (lambda a: (a / "vocabulary" / "radgraph__ner_labels.txt").write_text("ANAT-DP\nOBS-DP\n"), "null label"),
        (lambda a: (a / "weights.th").unlink(), "lacks"),
        (lambda a: (a / "vocabulary" / "radgraph__ner_labels.txt").rename(a / "vocabulary" / "echograph__ner_labels.txt"),
         "'echograph'"),
    ],
)  # fmt: skip
def test_an_incomplete_archive_is_refused(
    spoil: Callable[[Path], object], words: str, archive: Path, v1: Folders, tmp_path: Path
) -> None:
    spoil(archive)
    with pytest.raises(ValueError, match=words):
        convert(archive, tmp_path / "converted", v1.encoder)


def test_code_in_the_weights_is_not_run(archive: Path, v1: Folders, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"a": Evil()}, archive / "weights.th")
    with pytest.raises(ValueError, match="no file of plain tensors"):
        convert(archive, tmp_path / "converted", v1.encoder)
    assert not (tmp_path / "ran").exists()


def test_wrong_folders_are_named(v1: Folders, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not an empty folder"):
        convert(v1.archive, v1.converted, v1.encoder)
    with pytest.raises(ValueError, match="neither a folder nor a tar file"):
        convert(tmp_path / "nothing", tmp_path / "converted", v1.encoder)
    with pytest.raises(ValueError, match=r"has no config\.json"):
        convert(v1.archive, tmp_path / "converted", tmp_path)


def test_a_folder_without_a_vocabulary_is_refused(v1: Folders, tmp_path: Path) -> None:
    """transformers would make an empty tokenizer of it, to which every word is the same."""
    encoder = tmp_path / "encoder"
    encoder.mkdir()
    shutil.copy(v1.encoder / "config.json", encoder)
    with pytest.raises(ValueError, match=r"tokenizer\.json or vocab\.txt is missing there"):
        convert(v1.archive, tmp_path / "converted", encoder)
    served = Path(shutil.copytree(v1.converted, tmp_path / "served"))
    for name in ("tokenizer.json", "vocab.txt"):
        (served / name).unlink(missing_ok=True)
    with pytest.raises(ModelUnavailable, match="no tokenizer there"):
        RadGraphF1(str(served)).warm_up()


def test_everybody_may_read_what_is_written(v1: Folders) -> None:
    assert {file.stat().st_mode & 0o777 for file in v1.converted.iterdir()} == {0o644}


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("tokenizer_config.json", {"model_max_length": 128}, "model_max_length is 128"),
        ("config.json", {"vocab_size": 9}, r"not \[9, 32\]"),
        ("tokenizer_config.json", {"cls_token": None}, "no CLS"),
    ],
)
def test_a_tokenizer_that_does_not_fit_is_refused(
    file: str, change: dict[str, object], words: str, v1: Folders, tmp_path: Path
) -> None:
    encoder = Path(shutil.copytree(v1.encoder, tmp_path / "encoder"))
    (encoder / file).write_text(json.dumps(json.loads((encoder / file).read_text()) | change))
    with pytest.raises(ValueError, match=words):
        convert(v1.archive, tmp_path / "converted", encoder)


def test_without_a_length_the_encoders_positions_are_the_length(v1: Folders, tmp_path: Path) -> None:
    archive = Path(shutil.copytree(v1.archive, tmp_path / "archive"))
    for part in ("dataset_reader/token_indexers", "model/embedder/token_embedders"):
        edit_config(archive, _set(f"{part}/bert/max_length", None))
    converted = convert(archive, tmp_path / "converted", v1.encoder)
    texts = [" ".join(v1.texts)[:6000]]
    assert RadGraph(str(converted)).annotate(texts) == RadGraph(str(v1.converted)).annotate(texts)


def test_another_encoder_is_refused(v1: Folders, tmp_path: Path) -> None:
    encoder = Path(shutil.copytree(v1.encoder, tmp_path / "encoder"))
    config = json.loads((encoder / "config.json").read_text())
    (encoder / "config.json").write_text(json.dumps(config | {"hidden_size": 64}))
    with pytest.raises(ValueError, match=r"not \[.*64"):
        convert(v1.archive, tmp_path / "converted", encoder)
