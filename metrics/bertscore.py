"""BERTScore (Zhang et al., ICLR 2020): every text is encoded once, pairs are matched in batched matrix form.

Equal to `bert_score` 0.3.13 called one pair at a time with idf off; its layer table and rescaling
baselines are read from the installed package. Nothing depends on the other texts of a call.
"""

from __future__ import annotations

import ast
import csv
import importlib.util
import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, get_args

from metrics.base import Metric, MetricScore
from metrics.encoder import Encoder, ModelUnavailable, Precision, length_mask
from metrics.sub_batches import halving, sub_batches
from metrics.torch_settings import exact_arithmetic

if TYPE_CHECKING:
    import torch

_MINILM_LAYERS = 6
# Largest difference to float32 seen on report pairs, rounded up (docs/metrics.md); before rescaling.
_TOLERANCE = {"bfloat16": 3e-3, "float16": 5e-4}


class TokenVectors(NamedTuple):
    """A text as BERTScore sees it; lives on the encoder's device."""

    vectors: torch.Tensor
    """[tokens, dim], each of length 1, in the working precision."""
    weights: torch.Tensor
    """[tokens], float32, sum 1: equal for all tokens but the special ones, which weigh 0. All 0 for an empty text."""
    truncated: bool


class BertScore(Metric[TokenVectors]):
    """Precision, recall and F1 of greedy token matching by cosine; at most 1, negative values possible when rescaled.

    `model`: ``minilm``, a hub id or a local directory. `layer`: None takes bert_score's table, looked up by
    `table` or else by the model's name. `rescale`: (x - b) / (1 - b) with bert_score's English baseline b of
    that layer. `collapse_spaces`: runs of spaces become one (byte-level tokenizers see them).
    An empty text (no token but special ones) on either side gives 0 raw, as bert_score did before transformers 5.
    """

    version = 1
    cost = "model"
    _keys: ClassVar[tuple[str, ...]] = ("f1", "precision", "recall")

    def __init__(  # noqa: PLR0913  # one argument a setting, which is how the registry knows them
        self,
        model: str = "minilm",
        layer: int | None = None,
        rescale: bool = False,
        *,
        table: str | None = None,
        collapse_spaces: bool = False,
        precision: Precision = "float32",
        device: str = "cpu",
        max_batch: int = 128,
        max_padded_tokens: int | None = None,
        threads: int | None = None,
    ) -> None:
        if precision not in get_args(Precision):
            raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}, not {precision!r}")
        self._name = table or model
        layer = _default_layer(self._name) if layer is None else layer
        self.collapse_spaces = collapse_spaces
        self.encoder = Encoder(
            model,
            layer,
            precision=precision,
            device=device,
            max_batch=max_batch,
            max_padded_tokens=max_padded_tokens,
            threads=threads,
        )
        self.baseline = _baseline(self._name, layer) if rescale else None
        self._one_by_one = device == "cpu"

    @property
    def keys(self) -> tuple[str, ...]:
        return self._keys

    @property
    def determinism(self) -> str:
        tolerance = _TOLERANCE.get(self.encoder.precision, self.encoder.tolerance)
        if not tolerance:
            return "exact"
        if self.baseline:
            tolerance /= 1 - max(self.baseline.values())
        return f"tolerance({tolerance:.1g})"

    @cached_property
    def _manifest(self) -> dict[str, object]:
        return {
            **self.encoder.manifest(),
            "baseline": self.baseline,
            "collapse_spaces": self.collapse_spaces,
            "idf": False,
        }

    def manifest(self) -> Mapping[str, object]:
        return dict(self._manifest)

    @property
    def stage(self) -> str:
        """``idle``, ``loading`` or ``ready``."""
        return self.encoder.stage

    def warm_up(self) -> None:
        """Load, and run the largest shapes of both halves. Raises `ModelUnavailable`."""
        self.encoder.warm_up()
        artefacts = self.encode(["a " * self.encoder.limit]) * self.encoder.max_batch
        self.compare(artefacts, artefacts)

    def encode(self, texts: Sequence[str]) -> list[TokenVectors]:
        tokenizer, _ = self.encoder.load()
        import torch

        tokens = self.encoder.tokenize([self._prepare(text) for text in texts])
        special = {tokenizer.cls_token_id, tokenizer.sep_token_id}
        artefacts = []
        for t, vectors in zip(tokens, self.encoder.vectors([t.ids for t in tokens]), strict=True):
            ordinary = [token not in special for token in t.ids]
            weights = torch.tensor(ordinary, dtype=torch.float32).div_(max(1, sum(ordinary)))
            artefacts.append(TokenVectors(vectors, weights, t.truncated))
        return artefacts

    def compare(self, candidates: Sequence[TokenVectors], references: Sequence[TokenVectors]) -> list[MetricScore]:
        pairs = list(zip(candidates, references, strict=True))
        out = []
        for (c, r), values in zip(pairs, self._values(pairs), strict=True):
            notes = ("bertscore_truncated",) if c.truncated or r.truncated else ()
            out.append(MetricScore(dict(zip(self._keys, values, strict=True)), notes))
        return out

    def _values(self, pairs: list[tuple[TokenVectors, TokenVectors]]) -> list[list[float]]:
        """F1, precision and recall per pair.

        On a CPU each pair is matched by itself, unpadded, so that its bits do not depend on the others. Elsewhere that
        would be too slow.
        """
        if self._one_by_one:
            return [values for pair in pairs for values in self._match([pair])]
        lengths = [max(len(c.weights), len(r.weights)) for c, r in pairs]
        out: dict[int, list[float]] = {}
        for batch in sub_batches(lengths, self.encoder.max_batch, self.encoder.max_padded_tokens):
            out.update(zip(batch, halving(self._match, [pairs[i] for i in batch]), strict=True))
        return [out[i] for i in range(len(pairs))]

    def nbytes(self, artefact: TokenVectors) -> int:
        return artefact.vectors.nbytes + artefact.weights.nbytes + 500

    def _prepare(self, text: str) -> str:
        if self.collapse_spaces:
            text = re.sub(" +", " ", text)
        return text.strip()

    def _match(self, pairs: list[tuple[TokenVectors, TokenVectors]]) -> list[list[float]]:
        """F1, precision and recall per pair."""
        import torch

        with torch.inference_mode(), exact_arithmetic(self.encoder.device):
            c, c_weights, c_mask = _pad([candidate for candidate, _ in pairs])
            r, r_weights, r_mask = _pad([reference for _, reference in pairs])
            similarity = torch.bmm(c, r.transpose(1, 2)).float()  # [pairs, candidate tokens, reference tokens]
            # bert_score puts 0 here, which a token whose best match is negative would take for a match
            # whenever a longer text stands in the same batch. Below every cosine, padding is never the best match.
            similarity.masked_fill_(~(c_mask[:, :, None] & r_mask[:, None, :]), -2.0)
            precision = (similarity.amax(2) * c_weights).sum(1)
            recall = (similarity.amax(1) * r_weights).sum(1)
            f1 = 2 * precision * recall / (precision + recall)
            values = torch.stack([f1, precision, recall], dim=1)
            empty = (c_weights.sum(1) == 0) | (r_weights.sum(1) == 0)
            values[empty | ~values.isfinite().all(1)] = 0.0
            if self.baseline:
                values = rescale(values, [self.baseline[key] for key in self._keys])
            rows: list[list[float]] = values.tolist()
            return rows


def rescale(values: torch.Tensor, baseline: Sequence[float]) -> torch.Tensor:
    """(x - b) / (1 - b) for each column of `values` [pairs, n] with its b; in float32, as bert_score does it."""
    import torch

    b = torch.tensor(baseline, device=values.device)
    return (values - b) / (1 - b)


def _pad(artefacts: Sequence[TokenVectors]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Vectors [texts, longest, dim], weights and mask [texts, longest], on the vectors' device."""
    from torch.nn.utils.rnn import pad_sequence

    # Not 0, a plausible cosine: were the mask ever lost, values would be wrong enough to notice.
    vectors = pad_sequence([artefact.vectors for artefact in artefacts], batch_first=True, padding_value=2.0)
    weights = pad_sequence([artefact.weights for artefact in artefacts], batch_first=True)
    mask = length_mask([len(artefact.weights) for artefact in artefacts], vectors.shape[1])
    return vectors, weights.to(vectors.device), mask.to(vectors.device)


@lru_cache(maxsize=1)
def _bert_score_directory() -> Path:
    spec = importlib.util.find_spec("bert_score")
    if spec is None or not spec.origin:
        raise ModelUnavailable("layer=None and rescale=True need bert-score: pip install 'reward-service[bertscore]'")
    return Path(spec.origin).parent


def _default_layer(model: str) -> int:
    """bert_score's choice of layer for `model`; read from its source, as importing it pulls in plotting libraries."""
    if model == "minilm":
        return _MINILM_LAYERS
    tree = ast.parse((_bert_score_directory() / "utils.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == "model2layers"
        ):
            layers: dict[str, int] = ast.literal_eval(node.value)
            for name in (model, model.rpartition("/")[2]):
                if name in layers:
                    return layers[name]
    raise ValueError(f"bert_score has no layer for model {model!r}: set layer, or table to a name that it knows")


def _baseline(model: str, layer: int) -> dict[str, float]:
    """bert_score's English baselines of precision, recall and F1 at `layer` of `model`."""
    directory = _bert_score_directory() / "rescale_baseline" / "en"
    for name in (model, model.rpartition("/")[2]):
        path = directory / f"{name}.tsv"
        if path.is_file():
            with path.open(encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    if int(row["LAYER"]) == layer:
                        return {"f1": float(row["F"]), "precision": float(row["P"]), "recall": float(row["R"])}
    raise ValueError(f"bert_score has no baseline for layer {layer} of model {model!r}: set rescale=False, or table")
