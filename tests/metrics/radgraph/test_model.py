"""Annotations against the written-out formulas, and their promises: purity, bounded memory, odd texts, each text once."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from metrics.encoder import ModelUnavailable
from metrics.radgraph import Annotation, RadGraph, RadGraphF1
from metrics.radgraph import heads as heads_module
from testbed.radgraph.random_model import Plain
from testbed.radgraph.reports import EMPTY, ODD, reports
from tests.radgraph_models import Folders

pytestmark = pytest.mark.xdist_group("radgraph")  # the models that all use are made once


@pytest.fixture(scope="module")
def model(v1: Folders) -> RadGraph:
    return RadGraph(str(v1.converted))


@pytest.mark.parametrize("model_type", ["radgraph", "radgraph-xl"])
def test_annotations_follow_the_formulas(model_type: str, v1: Folders, xl: Folders) -> None:
    folders = v1 if model_type == "radgraph" else xl
    plain = Plain(torch.load(folders.archive / "weights.th"), folders.encoder, model_type)
    texts = [*folders.texts, " ".join(reports(3, seed=7, longest=120)), *reports(2, seed=3)]
    assert max(len(plain.tokenizer(text)["input_ids"]) for text in texts) > 600  # more than one segment
    ours = [annotation.as_json() for annotation in RadGraph(str(folders.converted)).annotate(texts)]
    assert ours == [plain.annotate(text) for text in texts]
    entities = [entity for document in ours for entity in document["entities"].values()]
    assert len({entity["label"] for entity in entities}) == (4 if model_type == "radgraph" else 11)
    assert len({kind for entity in entities for kind, _ in entity["relations"]}) == 3


def test_an_annotation_does_not_depend_on_its_batch(model: RadGraph, v1: Folders) -> None:
    texts = v1.texts
    together = model.annotate(texts)
    assert model.annotate(texts[::-1])[::-1] == together
    assert [model.annotate([text])[0] for text in texts] == together


def test_groups_of_texts_have_the_annotations_of_single_ones(model: RadGraph, v1: Folders) -> None:
    """As on a GPU, where the heads read many texts at once, and relations are scored in chunks that cut texts."""
    together = RadGraph(str(v1.converted))
    together._kind = "other"
    together.load()._pairs = 5  # type: ignore[misc]
    assert together.annotate(v1.texts) == model.annotate(v1.texts)


def test_scores_are_the_same_bits_in_any_batch(model: RadGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = reports(12, seed=5, longest=50)
    seen: list[torch.Tensor] = []
    real = heads_module.Heads.__call__

    def recording(self: Any, words: torch.Tensor, lengths: Any) -> Any:
        seen.append(words.clone())
        return real(self, words, lengths)

    monkeypatch.setattr(heads_module.Heads, "__call__", recording)
    alone = RadGraph(model.folder.as_posix(), threads=1)
    alone.annotate(texts)
    together, seen[:] = list(seen), []
    for text in texts:
        alone.annotate([text])
    assert all(torch.equal(a, b) for a, b in zip(together, seen, strict=True))


@pytest.mark.parametrize("text", EMPTY)
def test_white_space_has_no_entities(text: str, model: RadGraph) -> None:
    assert model.annotate([text, "No effusion.", text])[::2] == [Annotation("")] * 2


def test_no_texts(model: RadGraph) -> None:
    assert model.annotate([]) == []


def test_words_without_pieces_are_words(model: RadGraph) -> None:
    annotation = model.annotate(["\u200b small \u200b"])[0]
    assert annotation.text == "\u200b small \u200b"
    assert all(0 <= entity.start <= entity.end <= 2 for entity in annotation.entities)


def test_each_distinct_text_is_encoded_once(model: RadGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    real = model.encoder.read
    monkeypatch.setattr(model.encoder, "read", lambda ids, reader: rows.append(len(ids)) or real(ids, reader))
    model.annotate(["No effusion.", "Large heart.", "No effusion.", "", "Large heart."] * 3)
    assert rows == [2]


def test_words_are_tokenised_once(model: RadGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    model.annotate(["no effusion no effusion"])
    tokenizer, encoder = model.encoder.load()
    asked: list[list[str]] = []

    class Counting:
        cls_token_id, sep_token_id, pad_token_id = 2, 3, 0

        def __call__(self, words: list[str], **options: Any) -> Any:
            asked.append(words)
            return tokenizer(words, **options)

    monkeypatch.setattr(model.encoder, "_loaded", (Counting(), encoder))
    model.annotate(["effusion no zygote", "no zygote"])
    assert asked == [["zygote"]]


class _Largest(TorchDispatchMode):
    """The largest tensor that any operation gives, in elements."""

    elements = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return result


@contextmanager
def largest_tensor() -> Iterator[_Largest]:
    with _Largest() as mode:
        yield mode


def test_a_long_text_needs_bounded_memory(v1: Folders) -> None:
    """Pairs of 20,000 characters would be 7,000 spans squared times 252 floats without the bounds."""
    model = RadGraph(str(v1.converted), threads=1)
    text = ("a " * 10_000)[:20_000]
    model.load()
    _everything_is_an_entity(model)
    with largest_tensor() as largest:
        annotation = model.annotate([text])[0]
    assert annotation.truncated
    assert len(annotation.entities) == 1024 * 8 - 28  # all spans
    assert sum(len(entity.relations) for entity in annotation.entities) == 512**2  # of all pairs of kept spans
    assert largest.elements <= max(2048 * 252, 8192 * 300)  # a chunk of pairs, the hidden layers of all spans


def _everything_is_an_entity(model: RadGraph) -> None:
    heads = model.load()
    for scorer in (heads._ner, heads._relation):
        weight, bias = scorer._layers[-1]
        scorer._layers[-1] = (weight * 0, bias * 0 + 100)


@pytest.mark.parametrize(
    "text", ["x" * 20_000, ". " * 10_000, "(" * 20_000, "\u200b" * 20_000, "🫁" * 20_000, "\x00" * 99]
)
@pytest.mark.parametrize("model_type", ["radgraph", "radgraph-xl"])
def test_hostile_texts_are_read_to_the_bound(text: str, model_type: str, v1: Folders, xl: Folders) -> None:
    model = RadGraph(str((v1 if model_type == "radgraph" else xl).converted), max_words=64)
    annotation = model.annotate([text])[0]
    assert len(annotation.text.split()) <= 64
    assert all(entity.end < 64 for entity in annotation.entities)


def test_what_is_not_read_is_noted_and_changes_nothing(v1: Folders) -> None:
    metric = RadGraphF1(str(v1.converted), max_words=4)
    long, short = metric.encode(["no left pleural effusion in the lung", "no left pleural effusion"])
    assert (long.entities, long.truncated, short.truncated) == (short.entities, True, False)
    assert metric.compare([short, long], [short, short])[0].notes == ()
    assert metric.compare([short, long], [short, short])[1].notes == ("radgraph_truncated",)


def test_annotations_travel(model: RadGraph) -> None:
    annotations = model.annotate(list(ODD))
    assert pickle.loads(pickle.dumps(annotations)) == annotations


@pytest.mark.parametrize("folder", ["", "/nowhere", "tests"])
def test_a_missing_model_names_the_command(folder: str) -> None:
    with pytest.raises(ModelUnavailable, match="reward-service convert radgraph SRC DST --tokenizer DIR"):
        RadGraphF1(folder)


def test_a_folder_of_another_format_names_the_command(v1: Folders, tmp_path: Path) -> None:
    for path in v1.converted.iterdir():
        (tmp_path / path.name).symlink_to(path)
    settings = (v1.converted / "radgraph.json").read_text().replace('"format": 1', '"format": 0')
    (tmp_path / "radgraph.json").unlink()
    (tmp_path / "radgraph.json").write_text(settings)
    with pytest.raises(ModelUnavailable, match="another version"):
        RadGraph(str(tmp_path))


def test_the_metric(v1: Folders, xl: Folders) -> None:
    metric, folded = RadGraphF1(str(v1.converted)), RadGraphF1(str(v1.converted), "folded")
    assert metric.keys == ("partial", "simple", "complete", "combined")
    assert (metric.determinism, metric.cost, metric.stage) == ("exact", "model", "idle")
    assert metric.encoding == folded.encoding != RadGraphF1(str(xl.converted)).encoding
    assert metric.manifest() != folded.manifest()
    assert metric.encoding != RadGraphF1(str(v1.converted), max_words=9).encoding
    metric.warm_up()
    assert metric.stage == "ready"
    text = next(text for text in v1.texts if any(entity.relations for entity in metric.encode([text])[0].entities))
    artefact = metric.encode([text])[0]
    assert metric.compare([artefact], [artefact])[0].values == dict.fromkeys(metric.keys, 1.0)
    assert metric.nbytes(artefact) > len(text)


def test_constructing_and_fingerprinting_import_no_torch(v1: Folders) -> None:
    code = (
        f"import sys; from metrics.radgraph import RadGraphF1; m = RadGraphF1({str(v1.converted)!r}); m.manifest(); "
        "assert m.stage == 'idle'; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


def test_unknown_settings_are_refused(v1: Folders) -> None:
    with pytest.raises(ValueError, match="case must be one of"):
        RadGraphF1(str(v1.converted), "lower")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1"):
        RadGraphF1(str(v1.converted), max_words=0)
