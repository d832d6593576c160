"""Released-archive look-alikes with random weights, and DyGIE++'s formulas written out without any shortcut.

`write_encoder` and `write_archive` make what an operator has: a folder with tokenizer and encoder configuration, and an
archive's content, which the package `radgraph` loads as well. The heads are scaled so that predictions are as sparse as
real ones, with each threshold in a gap between the scores: one on a score would make it flip with the last bit.
"""

from __future__ import annotations

import json
import string
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, BertConfig, BertModel

from metrics.radgraph.words import shown, split
from testbed.radgraph.reports import WORDS

V1_LABELS = ["ANAT-DP", "OBS-DP", "OBS-DA", "OBS-U"]
XL_LABELS = [
    f"{kind}::{certainty}"
    for kind, certainty in (
        ("Anatomy", "definitely present"), ("Observation", "definitely present"), ("Observation", "definitely absent"),
        ("Observation", "uncertain"), ("Observation::measurement", "definitely present"), ("Anatomy", "uncertain"),
        ("Anatomy", "definitely absent"), ("Anatomy::measurement", "definitely present"),
        ("Observation::measurement", "definitely absent"), ("Observation::measurement", "uncertain"),
        ("Anatomy::measurement", "uncertain"),
    )
]  # fmt: skip
RELATIONS = ["modify", "located_at", "suggestive_of"]
SIZES = {"tiny": (32, 2, 4, 64), "base": (768, 12, 12, 3072)}
ENCODER = "_embedder.token_embedder_bert._matched_embedder.transformer_model."
Tensors = dict[str, torch.Tensor]


def write_encoder(folder: Path, size: str = "tiny", words: Iterable[str] = WORDS) -> Path:
    """A BERT configuration and a WordPiece tokenizer over letters and `words`; no weights."""
    folder.mkdir(parents=True)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = string.ascii_lowercase + string.digits
    known = [word.lower() for word in words if word.isalpha() and len(word) > 3]
    pieces = [*special, *letters, *string.punctuation, *(f"##{c}" for c in letters), *known]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512, **names})
    )
    hidden, layers, heads, inner = SIZES[size]
    config = BertConfig(
        vocab_size=max(len(vocabulary), 30_522 if size == "base" else 0),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        architectures=["BertModel"],
    )
    (folder / "config.json").write_text(json.dumps(config.to_diff_dict() | {"model_type": "bert"}))
    return folder


def configuration(encoder: Path | str, max_length: int | None = 512) -> dict[str, Any]:
    """An archive's config.json, with the defaults of DyGIE++'s template."""
    bert = {"type": "pretrained_transformer_mismatched", "model_name": str(encoder), "max_length": max_length}
    return {
        "dataset_reader": {"type": "dygie", "max_span_width": 8, "token_indexers": {"bert": bert}},
        "model": {
            "type": "dygie",
            "embedder": {"token_embedders": {"bert": bert}},
            "initializer": {},
            "module_initializer": {},
            "loss_weights": {"ner": 0.2, "relation": 1, "coref": 0, "events": 0},
            "feature_size": 20,
            "max_span_width": 8,
            "target_task": "relation",
            "feedforward_params": {"num_layers": 2, "hidden_dims": 150, "dropout": 0.4},
            "modules": {
                "ner": {},
                "coref": {"spans_per_word": 0.3, "max_antecedents": 100, "coref_prop": 0},
                "relation": {"spans_per_word": 0.5},
                "events": {
                    "trigger_spans_per_word": 0.3,
                    "argument_spans_per_word": 0.8,
                    "loss_weights": {"trigger": 0.2, "arguments": 1.0},
                },
            },
        },
        "vocabulary": {},
    }


def write_archive(
    folder: Path,
    encoder: Path,
    model_type: str = "radgraph",
    seed: int = 0,
    *,
    texts: Sequence[str],
    entities_a_word: float = 0.3,
    relations_a_word: float = 0.15,
    max_length: int | None = 512,
) -> Path:
    """config.json, weights.th and vocabulary in `folder`; the rates hold about for `texts`."""
    labels = V1_LABELS if model_type == "radgraph" else XL_LABELS
    (folder / "vocabulary").mkdir(parents=True)
    for name, lines in (
        ("non_padded_namespaces", ["*tags", "*labels"]),
        (f"{model_type}__ner_labels", ["", *labels]),
        (f"{model_type}__relation_labels", RELATIONS),
    ):
        (folder / "vocabulary" / f"{name}.txt").write_text("\n".join(lines) + "\n")
    (folder / "config.json").write_text(json.dumps(configuration(encoder, max_length)))
    states = _random(BertConfig.from_pretrained(encoder), model_type, len(labels), seed)
    _calibrate(Plain(states, encoder, model_type, max_length), texts, entities_a_word, relations_a_word)
    torch.save(states, folder / "weights.th")
    return folder


def _random(config: BertConfig, model_type: str, labels: int, seed: int) -> Tensors:
    torch.manual_seed(seed)
    with torch.random.fork_rng():
        model = BertModel(config)
    span = 2 * config.hidden_size + 20
    ner, pruner = (
        f"_ner._ner_scorers.{model_type}__ner_labels",
        f"_relation._mention_pruners.{model_type}__relation_labels",
    )
    relation = f"_relation._relation_{{}}.{model_type}__relation_labels"
    linear = {
        f"{ner}.0._module._linear_layers.0": (150, span),
        f"{ner}.0._module._linear_layers.1": (150, 150),
        f"{ner}.1._module": (labels, 150),
        f"{pruner}._scorer.0._module._linear_layers.0": (150, span),
        f"{pruner}._scorer.0._module._linear_layers.1": (150, 150),
        f"{pruner}._scorer.1._module": (1, 150),
        f"{relation.format('feedforwards')}._linear_layers.0": (150, 3 * span),
        f"{relation.format('feedforwards')}._linear_layers.1": (150, 150),
        relation.format("scorers"): (len(RELATIONS), 150),
        # What the released code holds but does not run.
        "_coref._antecedent_feedforward._module._linear_layers.0": (150, 3 * span + 20),
        "_coref._antecedent_feedforward._module._linear_layers.1": (150, 150),
        "_coref._mention_pruner._scorer.0._module._linear_layers.0": (150, span),
        "_coref._mention_pruner._scorer.0._module._linear_layers.1": (150, 150),
        "_coref._mention_pruner._scorer.1._module": (1, 150),
        "_coref._antecedent_scorer._module": (1, 150),
        "_coref._f_network._linear_layers.0": (span, 2 * span),
    }
    states = {f"{ENCODER}{key}": value for key, value in model.state_dict().items() if "position_ids" not in key}
    for key, value in states.items():
        states[key] = torch.randn_like(value) * 0.05 + ("LayerNorm.weight" in key)
    for key, shape in linear.items():
        states[f"{key}.weight"] = torch.randn(shape) * 0.05
        states[f"{key}.bias"] = torch.randn(shape[0]) * 0.02
    for key, rows in (("_endpoint_span_extractor._span_width", 8), ("_coref._distance", 10), ("_events._distance", 10)):
        states[f"{key}_embedding.weight"] = torch.randn(rows, 20) * 0.5
    return states


class Plain:
    """DyGIE++ for one text at a time, every span and every pair in full."""

    def __init__(self, states: Tensors, encoder: Path, model_type: str, max_length: int | None = 512) -> None:
        self.states, self.model_type, self.max_length = states, model_type, max_length
        self.tokenizer = AutoTokenizer.from_pretrained(encoder)
        self.model: Any = BertModel(BertConfig.from_pretrained(encoder)).eval()  # type: ignore[no-untyped-call]
        bert = {key.removeprefix(ENCODER): value for key, value in states.items() if key.startswith(ENCODER)}
        self.model.load_state_dict(bert, strict=False)

    def key(self, head: str) -> str:
        return next(key for key in self.states if head in key).rpartition(".")[0]

    def word_vectors(self, words: Sequence[str]) -> torch.Tensor:
        ids = [self.tokenizer(shown(word), add_special_tokens=False)["input_ids"] for word in words]
        flat = [piece for of_word in ids for piece in of_word]
        room = (self.max_length or 512) - 2
        states = [torch.zeros(0, self.model.config.hidden_size)]
        for low in range(0, len(flat), room):
            segment = [self.tokenizer.cls_token_id, *flat[low : low + room], self.tokenizer.sep_token_id]
            states.append(self.model(torch.tensor([segment])).last_hidden_state[0, 1:-1])
        pieces = torch.cat(states)
        rows, low = [], 0
        for of_word in ids:
            own = pieces[low : low + len(of_word)]
            rows.append(own.mean(0) if of_word else torch.zeros(pieces.shape[1]))
            low += len(of_word)
        return torch.stack(rows)

    def head(self, vectors: torch.Tensor, layers: str, out: str) -> torch.Tensor:
        for key in (f"{layers}._linear_layers.0", f"{layers}._linear_layers.1"):
            vectors = torch.relu(vectors @ self.states[f"{key}.weight"].T + self.states[f"{key}.bias"])
        return vectors @ self.states[f"{out}.weight"].T + self.states[f"{out}.bias"]

    def spans(self, words: Sequence[str]) -> tuple[list[tuple[int, int]], torch.Tensor]:
        vectors = self.word_vectors(words)
        bounds = [(i, j) for i in range(len(words)) for j in range(i, min(i + 8, len(words)))]
        widths = self.states["_endpoint_span_extractor._span_width_embedding.weight"]
        start, end = torch.tensor(bounds).T
        return bounds, torch.cat([vectors[start], vectors[end], widths[end - start]], dim=1)

    def entity_scores(self, spans: torch.Tensor) -> torch.Tensor:
        ner = f"_ner._ner_scorers.{self.model_type}__ner_labels"
        return self.head(spans, f"{ner}.0._module", f"{ner}.1._module")

    def mentions(self, spans: torch.Tensor) -> torch.Tensor:
        pruner = f"_relation._mention_pruners.{self.model_type}__relation_labels._scorer"
        return self.head(spans, f"{pruner}.0._module", f"{pruner}.1._module").squeeze(-1)

    def kept(self, mentions: torch.Tensor, words: int) -> torch.Tensor:
        return mentions.topk(-(-words // 2)).indices.sort().values

    def pair_scores(self, spans: torch.Tensor) -> torch.Tensor:
        """[spans, spans, types], without the mention scores."""
        n = len(spans)
        a, b = spans[:, None].expand(n, n, -1), spans[None].expand(n, n, -1)
        namespace = f"{self.model_type}__relation_labels"
        pairs = torch.cat([a, b, a * b], dim=-1)
        return self.head(
            pairs, f"_relation._relation_feedforwards.{namespace}", f"_relation._relation_scorers.{namespace}"
        )

    @torch.inference_mode()
    def annotate(self, text: str) -> dict[str, Any]:
        words = split(text, self.model_type)
        labels = V1_LABELS if self.model_type == "radgraph" else XL_LABELS
        bounds, spans = self.spans(words)
        null = torch.zeros(len(spans), 1)
        label = torch.cat([null, self.entity_scores(spans)], dim=1).argmax(1).tolist()
        mentions = self.mentions(spans)
        kept = self.kept(mentions, len(words))
        scores = self.pair_scores(spans[kept]) + (mentions[kept][:, None] + mentions[kept][None]).unsqueeze(-1)
        kind = torch.cat([torch.zeros(len(kept), len(kept), 1), scores], dim=2).argmax(2)
        number = {s: str(n) for n, s in enumerate((s for s, found in enumerate(label) if found), 1)}
        relations: dict[int, list[list[str]]] = {}
        for i, j in kind.nonzero().tolist():
            a, b = int(kept[i]), int(kept[j])
            if a in number and b in number:
                relations.setdefault(a, []).append([RELATIONS[int(kind[i, j]) - 1], number[b]])
        entities = {
            number[s]: {
                "tokens": " ".join(words[bounds[s][0] : bounds[s][1] + 1]),
                "label": labels[label[s] - 1],
                "start_ix": bounds[s][0],
                "end_ix": bounds[s][1],
                "relations": relations.get(s, []),
            }
            for s in number
        }
        return {"text": " ".join(words), "entities": entities, "data_source": None, "data_split": "inference"}


@torch.inference_mode()
def _calibrate(plain: Plain, texts: Sequence[str], entities_a_word: float, relations_a_word: float) -> None:
    """Standardise each head's scores over `texts`, then shift its bias so that as many are above 0 as wanted."""
    split_texts = [words for text in texts if (words := split(text, plain.model_type))]
    count = sum(map(len, split_texts))
    spans = [plain.spans(words)[1] for words in split_texts]
    ner = f"_ner._ner_scorers.{plain.model_type}__ner_labels.1._module"
    _standardise(plain.states, ner, torch.cat([plain.entity_scores(s) for s in spans]))
    best = torch.cat([plain.entity_scores(s) for s in spans]).amax(1)
    plain.states[f"{ner}.bias"] -= _threshold(best, entities_a_word * count)
    pruner = f"_relation._mention_pruners.{plain.model_type}__relation_labels._scorer.1._module"
    _standardise(plain.states, pruner, torch.cat([plain.mentions(s) for s in spans]).unsqueeze(-1))
    related, mention = [], []
    for words, s in zip(split_texts, spans, strict=True):
        mentions = plain.mentions(s)
        kept = plain.kept(mentions, len(words))
        kept = kept[plain.entity_scores(s[kept]).amax(1) > 0]
        related.append(plain.pair_scores(s[kept]).reshape(-1, len(RELATIONS)))
        mention.append((mentions[kept][:, None] + mentions[kept][None]).reshape(-1, 1))
    relation = f"_relation._relation_scorers.{plain.model_type}__relation_labels"
    scores = torch.cat(related)
    mean, std = scores.mean(0), scores.std(0)
    _standardise(plain.states, relation, scores)
    best = ((scores - mean) / std + torch.cat(mention)).amax(1)
    plain.states[f"{relation}.bias"] -= _threshold(best, relations_a_word * count)


def _standardise(states: Tensors, key: str, scores: torch.Tensor) -> None:
    mean, std = scores.mean(0), scores.std(0)
    states[f"{key}.bias"] = (states[f"{key}.bias"] - mean) / std
    states[f"{key}.weight"] = states[f"{key}.weight"] / std.unsqueeze(-1)


def _threshold(scores: torch.Tensor, above: float) -> torch.Tensor:
    """The middle of the widest gap between scores where about `above` of them are higher."""
    ranked = scores.sort(descending=True).values
    low = min(max(1, round(0.9 * above)), len(ranked) - 1)
    high = min(max(low + 1, round(1.1 * above)), len(ranked) - 1)
    gaps = ranked[low - 1 : high] - ranked[low : high + 1]
    rank = low + int(gaps.argmax())
    return (ranked[rank - 1] + ranked[rank]) / 2
