"""CheXbert (Smit et al., EMNLP 2020): SembScore and the agreement of fourteen labels, from one encoder pass a text.

The text is cleaned, cut and encoded as rajpurkarlab/CXR-Report-Metric and f1chexbert 0.0.2 do it. Serving reads
nothing but the folder that `convert` writes; only `convert` reads a pickle, and torch unpickles tensors alone there.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import numpy as np

from metrics.base import Metric, MetricScore
from metrics.encoder import TOKENIZER_FILES, Encoder, ModelUnavailable, sha256
from metrics.model_folder import new_folder

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

LABELS: Final = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
    "No Finding",
)
FIVE: Final = (1, 4, 5, 7, 9)
"""Cardiomegaly, Edema, Consolidation, Atelectasis, Pleural Effusion: the "5" of F1-CheXbert."""

BLANK, POSITIVE, NEGATIVE, UNCERTAIN = range(4)
"""Classes of a label; No Finding has only the first two."""

_CLASSES: Final = (4,) * 13 + (2,)
_ENCODER, _HEADS = "model.safetensors", "heads.safetensors"
_HOW = (
    "make the folder with `reward-service convert chexbert SRC DST --tokenizer DIR` (SRC: chexbert.pth of "
    "StanfordAIMI/RRG_scorers or of CheXbert's authors; DIR: tokenizer and config.json of bert-base-uncased)"
)


class Reading(NamedTuple):
    """What CheXbert makes of one text."""

    vector: NDArray[np.float32]
    """Last hidden state of [CLS], neither scaled nor pooled; 768 numbers in the released model."""
    square: float
    """The vector's product with itself."""
    classes: tuple[int, ...]
    """`BLANK`, `POSITIVE`, `NEGATIVE` or `UNCERTAIN` for each of `LABELS`."""
    truncated: bool


class CheXbert(Metric[Reading]):
    """`semb`: cosine of the two [CLS] vectors, in [-1, 1]; 0 where one has no length. The others are in [0, 1].

    A label counts as given when it is positive or uncertain, as in F1-CheXbert. `agree5_exact`: 1 when all `FIVE`
    agree, else 0 (f1chexbert's value of a pair). `agree5`, `agree14`: share of labels that agree. `f1_positive`: F1 of
    the two sets of given labels among all fourteen, No Finding included; 1 when both sets are empty, for the labels
    are equal, and 0 when one is. `candidate_labels` and `reference_labels` are no scores: the sum of 2^i over the
    labels i that count as given on that side, from which F1-CheXbert of a whole test set is counted.

    `model`: a folder that `convert` has written. Raises `ModelUnavailable` when it is none.
    """

    version = 2
    cost = "model"
    _keys: ClassVar[tuple[str, ...]] = (
        "semb",
        "agree5_exact",
        "agree5",
        "agree14",
        "f1_positive",
        "candidate_labels",
        "reference_labels",
    )

    def __init__(
        self,
        model: str = "",
        *,
        device: str = "cpu",
        max_batch: int = 128,
        max_padded_tokens: int | None = None,
        threads: int | None = None,
    ) -> None:
        self._folder = Path(model).expanduser()
        missing = [name for name in ("config.json", _ENCODER, _HEADS) if not (self._folder / name).is_file()]
        if not model or missing:
            what = f"setting model={model!r}: {missing[0]} is missing there" if model else "setting model is not set"
            raise ModelUnavailable(f"{what}; {_HOW}")
        self.encoder = Encoder(
            model, device=device, max_batch=max_batch, max_padded_tokens=max_padded_tokens, threads=threads
        )

    @property
    def keys(self) -> tuple[str, ...]:
        return self._keys

    @property
    def determinism(self) -> str:
        return self.encoder.determinism

    @property
    def encoding(self) -> str:
        return (
            f"CheXbert@{self.version}:{hashlib.sha256(json.dumps(self._manifest, sort_keys=True).encode()).hexdigest()}"
        )

    @cached_property
    def _manifest(self) -> dict[str, object]:
        return {**self.encoder.manifest(), "heads": sha256(self._folder / _HEADS)}

    def manifest(self) -> Mapping[str, object]:
        return dict(self._manifest)

    @property
    def stage(self) -> str:
        """``idle``, ``loading`` or ``ready``."""
        return self.encoder.stage

    def warm_up(self) -> None:
        """Load, and run the largest shapes. Raises `ModelUnavailable`."""
        self.encoder.warm_up()
        self.compare(self.encode(["a"]), self.encode(["a"]))

    def encode(self, texts: Sequence[str]) -> list[Reading]:
        import torch

        tokens = self.encoder.tokenize([clean(text) for text in texts])
        if not tokens:
            return []
        vectors = torch.stack(self.encoder.read([t.ids for t in tokens], _first_states)).cpu().numpy()
        return [self._read(vector.copy(), t.truncated) for vector, t in zip(vectors, tokens, strict=True)]

    def compare(self, candidates: Sequence[Reading], references: Sequence[Reading]) -> list[MetricScore]:
        return [_compare(candidate, reference) for candidate, reference in zip(candidates, references, strict=True)]

    def nbytes(self, artefact: Reading) -> int:
        return artefact.vector.nbytes + 600

    def _read(self, vector: NDArray[np.float32], truncated: bool) -> Reading:
        # One text at a time and in double precision, so that a text's labels do not hang on its batch.
        wide = vector.astype(np.float64)
        weight, bias = self._heads
        logits = np.split(weight @ wide + bias, np.cumsum(_CLASSES)[:-1])
        return Reading(vector, float(wide @ wide), tuple(int(scores.argmax()) for scores in logits), truncated)

    @cached_property
    def _heads(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights [all classes, dim] and biases of the fourteen linear heads, one below the other."""
        from safetensors.numpy import load_file

        try:
            found = load_file(self._folder / _HEADS)
            weight, bias = (
                np.concatenate([found[f"{i}.{part}"] for i in range(len(LABELS))]) for part in ("weight", "bias")
            )
        except Exception as error:  # another model's heads, a damaged file
            raise ModelUnavailable(
                f"setting model={str(self._folder)!r}: {_HEADS} does not hold CheXbert's heads; {_HOW}"
            ) from error
        return weight.astype(np.float64), bias.astype(np.float64)


def _first_states(states: torch.Tensor, lengths: list[int]) -> list[torch.Tensor]:
    """The last hidden state of each text's first token, [dim]."""
    return list(states[:, 0].clone().unbind())


def clean(text: str) -> str:
    """White space at both ends removed, every other run of it one space: all that the reference does to a text."""
    return " ".join(text.split())


def given(classes: Sequence[int]) -> tuple[bool, ...]:
    """Which labels count as given: positive or uncertain ones (f1chexbert's mode ``rrg``)."""
    return tuple(each in (POSITIVE, UNCERTAIN) for each in classes)


def given_of_sum(labels: float) -> tuple[bool, ...]:
    """Which labels count as given, from `candidate_labels` or `reference_labels`."""
    return tuple(bool(int(labels) >> i & 1) for i in range(len(LABELS)))


def _compare(candidate: Reading, reference: Reading) -> MetricScore:
    length = (candidate.square * reference.square) ** 0.5
    product = float(candidate.vector.astype(np.float64) @ reference.vector.astype(np.float64))
    ours, theirs = given(candidate.classes), given(reference.classes)
    agree = [a == b for a, b in zip(ours, theirs, strict=True)]
    five = [agree[i] for i in FIVE]
    either, both = sum(ours) + sum(theirs), sum(a and b for a, b in zip(ours, theirs, strict=True))
    cosine = product / length if length else 0.0
    values = {
        # max and min would make a number of what is none.
        "semb": cosine if math.isnan(cosine) else min(1.0, max(-1.0, cosine)),
        "agree5_exact": float(all(five)),
        "agree5": sum(five) / len(five),
        "agree14": sum(agree) / len(agree),
        "f1_positive": 2 * both / either if either else 1.0,
        "candidate_labels": float(sum(2**i for i, each in enumerate(ours) if each)),
        "reference_labels": float(sum(2**i for i, each in enumerate(theirs) if each)),
    }
    truncated = candidate.truncated or reference.truncated
    return MetricScore(values, ("chexbert_truncated",) if truncated else ())


# -- the folder that serving reads ----------------------------------------------------------------


def convert(src: str | Path, dst: str | Path, tokenizer: str | Path) -> Path:
    """Write the folder `dst` that `CheXbert` reads, from a released checkpoint, and return it.

    `src`: chexbert.pth, a torch file with ``model_state_dict``. `tokenizer`: a folder with the files of
    bert-base-uncased's tokenizer and its config.json. `dst`: a folder that is not there yet, or empty. The pooler is
    left out, for nothing uses it. Raises `ValueError` that names what is wrong; then nothing has been written.
    """
    import torch
    from safetensors.torch import save_file

    source, target, files = Path(src).expanduser(), Path(dst).expanduser(), Path(tokenizer).expanduser()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} exists and is not an empty folder")
    config = _config(files)
    state = _state(source)
    # Older releases of transformers stored the numbers of the positions; they are no weights.
    state = {name: t for name, t in state.items() if "pooler" not in name and "position_ids" not in name}
    _check_shapes(source, state, config)
    with new_folder(target) as folder:
        for file, prefix in ((_ENCODER, "bert."), (_HEADS, "linear_heads.")):
            named = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
            plain = {name: tensor.to(torch.float32, copy=True).contiguous() for name, tensor in named.items()}
            save_file(plain, folder / file, metadata={"format": "pt"})
        for name in (*TOKENIZER_FILES, "config.json"):
            if (files / name).is_file():
                shutil.copyfile(files / name, folder / name)
        CheXbert(str(folder)).warm_up()
    return target


def _config(tokenizer: Path) -> Any:
    """The encoder's configuration in `tokenizer`, after a look at the tokenizer beside it."""
    from transformers import AutoTokenizer, BertConfig

    if not tokenizer.is_dir():
        raise ValueError(f"--tokenizer {tokenizer} is no folder")
    if not (tokenizer / "config.json").is_file():
        raise ValueError(f"--tokenizer {tokenizer}: config.json is missing there")
    if not any((tokenizer / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
        raise ValueError(f"--tokenizer {tokenizer}: tokenizer.json or vocab.txt is missing there")
    written = json.loads((tokenizer / "config.json").read_text(encoding="utf-8"))
    if not isinstance(written, dict) or written.get("model_type") != "bert":
        raise ValueError(f"--tokenizer {tokenizer}: config.json is not that of a BERT")
    config = BertConfig.from_dict(written)
    words = AutoTokenizer.from_pretrained(tokenizer, local_files_only=True, trust_remote_code=False)
    if len(words) > config.vocab_size or words.cls_token_id is None or words.sep_token_id is None:
        raise ValueError(
            f"--tokenizer {tokenizer}: {len(words)} pieces do not fit a vocabulary of {config.vocab_size} "
            "in config.json, or [CLS] or [SEP] is not among them"
        )
    return config


def _state(src: Path) -> dict[str, torch.Tensor]:
    """The checkpoint's tensors by name, without the prefix that DataParallel puts before each."""
    import torch

    try:
        checkpoint = torch.load(src, map_location="cpu", weights_only=True)
        state = checkpoint["model_state_dict"]
        return {str(name).removeprefix("module."): tensor for name, tensor in state.items()}
    except FileNotFoundError:
        raise ValueError(f"{src} is no file") from None
    except Exception as error:  # no torch file, objects other than tensors, another structure
        raise ValueError(
            f"{src} is not a checkpoint of CheXbert, which holds tensors under 'model_state_dict' "
            f"({type(error).__name__})"
        ) from error


def _check_shapes(source: Path, state: Mapping[str, torch.Tensor], config: Any) -> None:
    """Raise `ValueError` unless the tensors are those of a BERT of that configuration and fourteen heads."""
    import torch
    from transformers import BertModel

    with torch.device("meta"):  # allocates nothing
        encoder = BertModel(config, add_pooling_layer=False)
    expected = {f"bert.{name}": tuple(parameter.shape) for name, parameter in encoder.named_parameters()}
    for i, classes in enumerate(_CLASSES):
        expected[f"linear_heads.{i}.weight"] = (classes, config.hidden_size)
        expected[f"linear_heads.{i}.bias"] = (classes,)
    for name, tensor in state.items():
        if tensor.layout != torch.strided or not tensor.is_floating_point() or not tensor.isfinite().all():
            raise ValueError(f"{source}: {name} holds values that are no finite numbers")
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    wrong = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    if wrong:
        name = wrong[0]
        raise ValueError(
            f"{source}: {name} has the shape {found.get(name, 'nothing')}, config.json asks for "
            f"{expected.get(name, 'nothing')} ({len(wrong)} such in all)"
        )
