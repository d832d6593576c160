"""From a released RadGraph archive to a folder that can be served: read once, checked, written as safetensors."""

from __future__ import annotations

import json
import pickle
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metrics.encoder import TOKENIZER_FILES, sha256
from metrics.model_folder import new_folder
from metrics.radgraph.model import FORMAT, HEADS, SETTINGS, RadGraph
from metrics.radgraph.words import V1, XL

if TYPE_CHECKING:
    import torch

_ENCODER = "_embedder.token_embedder_bert._matched_embedder.transformer_model."
_ARCHIVE = ("config.json", "weights.th")
_NER, _RELATION = "__ner_labels", "__relation_labels"


def convert(src: str | Path, dst: str | Path, tokenizer: str | Path) -> Path:
    """Write the folder `dst` that `RadGraph` and `RadGraphF1` load, and return it.

    `src`: a released archive (``radgraph.tar.gz``, ``radgraph-xl.tar.gz``, ``modern-radgraph-xl.tar.gz``) or its
    unpacked folder: config.json, weights.th, vocabulary. `tokenizer`: a folder with the tokenizer and the config.json
    of the encoder that the archive's config.json names, which the archive lacks. The weights are a pickle, read with
    ``weights_only=True``. `modern-radgraph-xl` is accepted, and unverified.

    Raises `ValueError` when something is missing, when names or shapes of the weights do not fit the configuration,
    and when the model needs what is not computed here. `dst` must not exist, or be empty.
    """
    source, target, encoder = Path(src).expanduser(), Path(dst).expanduser(), Path(tokenizer).expanduser()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} exists and is not an empty folder")
    if not encoder.is_dir():
        raise ValueError(f"--tokenizer {encoder} is no folder")
    if not (encoder / "config.json").is_file():
        raise ValueError(f"{encoder} has no config.json: the encoder's configuration belongs beside its tokenizer")
    if not any((encoder / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
        raise ValueError(f"--tokenizer {encoder}: tokenizer.json or vocab.txt is missing there")
    with _unpacked(source) as folder:
        settings = _settings(folder)
        states = _states(folder / "weights.th")
        settings["source"] = {name: sha256(folder / name) for name in _ARCHIVE}
    heads = _heads(states, settings.pop("prefix"))
    embedder = {key.removeprefix(_ENCODER): value for key, value in states.items() if key.startswith(_ENCODER)}
    embedder = {key: value for key, value in embedder.items() if not key.endswith("position_ids")}
    _check_encoder(embedder, encoder, settings["max_length"])
    _check_heads(heads, settings, int(json.loads((encoder / "config.json").read_text())["hidden_size"]))
    for key in ("feature_size", "widths", "hidden", "layers"):
        settings.pop(key)
    _write(target, encoder, embedder, heads, settings)
    return target


@contextmanager
def _unpacked(source: Path) -> Iterator[Path]:
    """The archive's folder; of a tar file only what is needed, by name, so that no path in it is followed."""
    if source.is_dir():
        found = [source, *(path.parent for path in source.glob("*/config.json"))]
        folder = next((path for path in found if all((path / name).is_file() for name in _ARCHIVE)), None)
        if folder is None:
            raise ValueError(f"{source} lacks {' or '.join(_ARCHIVE)}")
        yield folder
        return
    if not source.is_file() or not tarfile.is_tarfile(source):
        raise ValueError(f"{source} is neither a folder nor a tar file")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "vocabulary").mkdir()
        with tarfile.open(source) as archive:
            for member in archive:
                path = Path(member.name)
                inside = "vocabulary" if path.parent.name == "vocabulary" else "."
                if member.isfile() and (inside == "vocabulary" or path.name in _ARCHIVE):
                    content = archive.extractfile(member)
                    assert content is not None
                    with content, (folder / inside / path.name).open("wb") as file:
                        shutil.copyfileobj(content, file)
        if not all((folder / name).is_file() for name in _ARCHIVE):
            raise ValueError(f"{source} lacks {' or '.join(_ARCHIVE)}")
        yield folder


def _settings(folder: Path) -> dict[str, Any]:
    """What the heads and the reading of texts need from config.json and the vocabulary."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    try:
        model, reader = config["model"], config["dataset_reader"]
        weights = model["loss_weights"]
        lengths = [
            reader["token_indexers"]["bert"]["max_length"],
            model["embedder"]["token_embedders"]["bert"]["max_length"],
        ]
        settings = {
            "format": FORMAT,
            "max_span_width": int(reader["max_span_width"]),
            "spans_per_word": float(model["modules"]["relation"]["spans_per_word"]),
            "max_length": lengths[0],
            "feature_size": int(model["feature_size"]),
            "hidden": model["feedforward_params"]["hidden_dims"],
            "layers": int(model["feedforward_params"]["num_layers"]),
        }
        propagation = model["modules"].get("coref", {}).get("coref_prop", 0)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"config.json: {type(error).__name__}: {error}") from None
    # Their heads change spans or add output when they are trained; with weight 0 the released code does not run them.
    if weights.get("coref", 0) or weights.get("events", 0) or propagation:
        raise ValueError("config.json: a model with coreference or event heads in use is not supported")
    if not (weights.get("ner", 0) > 0 and weights.get("relation", 0) > 0):
        raise ValueError("config.json: a model without entity or relation head is not supported")
    if lengths[0] != lengths[1]:
        raise ValueError(f"config.json: max_length is {lengths[0]} for the indexer and {lengths[1]} for the embedder")
    if settings["max_span_width"] < 1 or not 0 < settings["spans_per_word"] < 100 or (lengths[0] or 512) < 8:
        raise ValueError("config.json: max_span_width, spans_per_word or max_length is out of its range")
    if settings["max_span_width"] > int(model["max_span_width"]):
        raise ValueError("config.json: the reader's max_span_width is larger than the model's")
    settings["widths"] = int(model["max_span_width"])
    return settings | _vocabulary(folder / "vocabulary")


def _vocabulary(folder: Path) -> dict[str, Any]:
    """Labels in the order of the files, which is the only place where it is written."""
    files = sorted(folder.glob(f"*{_NER}.txt"))
    if len(files) != 1:
        raise ValueError(f"vocabulary: {len(files)} files *{_NER}.txt instead of one")
    prefix = files[0].name.removesuffix(f"{_NER}.txt")
    if prefix not in V1 + XL:
        raise ValueError(f"vocabulary: no model of this kind is supported: {prefix!r}")
    relations = folder / f"{prefix}{_RELATION}.txt"
    if not relations.is_file():
        raise ValueError(f"vocabulary: {relations.name} is missing")
    null, *labels = _lines(files[0])
    if null or not labels or not all(labels):
        raise ValueError(f"vocabulary: {files[0].name} must have the empty null label first, and only there")
    model_type = V1[0] if prefix in V1 else prefix
    return {
        "prefix": prefix,
        "model_type": model_type,
        "entity_labels": labels,
        "relation_labels": _lines(relations),
    }


def _lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _states(path: Path) -> dict[str, torch.Tensor]:
    import torch

    try:
        states: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"weights.th is no file of plain tensors: {type(error).__name__}") from error
    if not isinstance(states, dict) or not all(isinstance(value, torch.Tensor) for value in states.values()):
        raise ValueError("weights.th is not a plain dictionary of tensors")
    return states


def _heads(states: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The heads under the names that `Heads` reads."""
    modules = {
        f"_ner._ner_scorers.{prefix}{_NER}.0._module._linear_layers.": "ner.",
        f"_ner._ner_scorers.{prefix}{_NER}.1._module.": "ner.out.",
        f"_relation._mention_pruners.{prefix}{_RELATION}._scorer.0._module._linear_layers.": "pruner.",
        f"_relation._mention_pruners.{prefix}{_RELATION}._scorer.1._module.": "pruner.out.",
        f"_relation._relation_feedforwards.{prefix}{_RELATION}._linear_layers.": "relation.",
        f"_relation._relation_scorers.{prefix}{_RELATION}.": "relation.out.",
        "_endpoint_span_extractor._span_width_embedding.weight": "width",
    }
    heads = {}
    for key, value in states.items():
        name = next((new + key.removeprefix(old) for old, new in modules.items() if key.startswith(old)), None)
        if name is not None:
            heads[name] = (value.float() if value.is_floating_point() else value).contiguous()
        elif not key.startswith((_ENCODER, "_coref.", "_events.")):
            raise ValueError(f"weights.th: {key} is not known")
    return heads


def _check_heads(heads: Mapping[str, torch.Tensor], settings: Mapping[str, Any], hidden_size: int) -> None:
    """Names and shapes of the heads against the configuration, and that every weight is a number."""
    span = 2 * hidden_size + settings["feature_size"]
    layers, hidden = settings["layers"], settings["hidden"]
    sizes = list(hidden) if isinstance(hidden, list) else [hidden] * layers
    expected: dict[str, tuple[int, ...]] = {"width": (settings["widths"], settings["feature_size"])}
    outputs = {"ner": len(settings["entity_labels"]), "pruner": 1, "relation": len(settings["relation_labels"])}
    for name, out in outputs.items():
        rows = [*sizes, out]
        columns = [3 * span if name == "relation" else span, *sizes]
        for layer, shape in enumerate(zip(rows, columns, strict=True)):
            key = f"{name}.{'out' if layer == layers else layer}"
            expected[f"{key}.weight"], expected[f"{key}.bias"] = shape, shape[:1]
    _compare("weights.th against config.json and vocabulary", heads, expected)


def _check_encoder(states: Mapping[str, torch.Tensor], folder: Path, max_length: int | None) -> None:
    """Names and shapes against the encoder's configuration, and that its tokenizer fits both."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(folder, **local)
    with torch.device("meta"):
        wanted = AutoModel.from_config(config).state_dict()  # type: ignore[no-untyped-call]
    expected = {key: tuple(value.shape) for key, value in wanted.items() if not key.endswith("position_ids")}
    _compare(f"the encoder in weights.th against {folder / 'config.json'}", states, expected, optional="pooler.")
    tokenizer = AutoTokenizer.from_pretrained(folder, **local)
    if tokenizer.cls_token_id is None or tokenizer.sep_token_id is None:
        raise ValueError(f"{folder}: the tokenizer has no CLS or no SEP token")
    if len(tokenizer) > config.vocab_size:
        raise ValueError(f"{folder}: the tokenizer has {len(tokenizer)} pieces, the encoder {config.vocab_size}")
    for name, most in (
        ("tokenizer_config.json: model_max_length", tokenizer.model_max_length),
        ("config.json: max_position_embeddings", config.max_position_embeddings),
    ):
        if most < (max_length or 0):
            raise ValueError(f"{folder}/{name} is {most}, but the archive's max_length is {max_length}")


def _compare(
    what: str,
    states: Mapping[str, torch.Tensor],
    expected: Mapping[str, tuple[int, ...]],
    optional: str = "",
) -> None:
    import torch

    for key, value in states.items():
        shape = tuple(value.shape)
        if key in expected and shape != expected[key]:
            raise ValueError(f"{what}: {key} is {list(shape)}, not {list(expected[key])}")
        if value.layout != torch.strided or not value.is_floating_point() or not value.isfinite().all():
            raise ValueError(f"weights.th: {key} holds values that are no finite numbers")
    odd = sorted(key for key in states.keys() ^ expected.keys() if not optional or not key.startswith(optional))
    if odd:
        raise ValueError(f"{what}: {odd[0]} is {'missing' if odd[0] in expected else 'too much'} ({len(odd)} in all)")


def _write(
    target: Path,
    encoder: Path,
    embedder: Mapping[str, torch.Tensor],
    heads: dict[str, torch.Tensor],
    settings: Mapping[str, Any],
) -> None:
    """All files, and then a reading with them, before the folder gets its name."""
    from safetensors.torch import save_file

    with new_folder(target) as folder:
        for name in ("config.json", *TOKENIZER_FILES):
            if (encoder / name).is_file():
                shutil.copyfile(encoder / name, folder / name)
        states = {key: value.float().contiguous() for key, value in embedder.items() if not key.startswith("pooler.")}
        save_file(states, folder / "model.safetensors", {"format": "pt"})
        save_file(heads, folder / HEADS)
        (folder / SETTINGS).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
        RadGraph(str(folder)).annotate(["No effusion ."])
