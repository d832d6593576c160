"""A CheXbert with random weights: the released checkpoint's structure at any size, and its procedure one text at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoTokenizer, BertConfig, BertModel, BertTokenizer

from metrics.chexbert import convert

WORDS = ["no", "pleural", "effusion", "heart", "lung", "clear", "left", "right", "small", "large", "##s", "##ar"]


def write_tokenizer(folder: Path, *, positions: int = 40, base: bool = False) -> Path:
    """What `--tokenizer` takes: a WordPiece tokenizer over letters and a few words, and the encoder's config.json."""
    letters = [chr(c) for c in range(33, 127)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters), *WORDS]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    BertTokenizer(vocab=vocabulary, model_max_length=positions).save_pretrained(folder)
    tiny = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    BertConfig(
        vocab_size=30_522 if base else len(vocabulary),
        max_position_embeddings=positions,
        initializer_range=0.05 if base else 0.3,
        **({} if base else tiny),
    ).save_pretrained(folder)
    return folder


def write_encoder(folder: Path, *, layers: int = 5, seed: int = 2) -> Path:
    """A tiny BERT with weights, for BERTScore's `model`."""
    write_tokenizer(folder)
    torch.manual_seed(seed)
    config = BertConfig.from_pretrained(folder)
    config.num_hidden_layers = layers
    BertModel(config).save_pretrained(folder)
    return folder


class Reference(torch.nn.Module):
    """CheXbert as published: a BERT and fourteen linear heads on the last state of [CLS]."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.bert = BertModel(config)
        dim = config.hidden_size
        self.linear_heads = torch.nn.ModuleList(
            [torch.nn.Linear(dim, 4) for _ in range(13)] + [torch.nn.Linear(dim, 2)]
        )
        for head in self.linear_heads:
            torch.nn.init.normal_(head.weight, std=0.5)  # type: ignore[arg-type]

    @torch.no_grad()
    def read(self, ids: list[int]) -> tuple[torch.Tensor, tuple[int, ...]]:
        cls = self.bert(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)))[0][:, 0]
        return cls[0], tuple(int(head(cls).argmax(dim=1)) for head in self.linear_heads)


def reference_ids(folder: Path, text: str, limit: int) -> list[int]:
    """CXR-Report-Metric's cleaning and f1chexbert's `tokenize`, on one text."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = re.sub(r"\s+", " ", text.strip().replace("\n", " ")).strip()
    pieces = tokenizer.tokenize(text)
    if not pieces:
        return [tokenizer.cls_token_id, tokenizer.sep_token_id]
    ids: list[int] = [
        tokenizer.cls_token_id, *tokenizer.convert_tokens_to_ids(pieces), tokenizer.sep_token_id
    ]  # fmt: skip
    return [*ids[: limit - 1], tokenizer.sep_token_id] if len(ids) > limit else ids


def similarity(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a * b).sum() / (a.norm() * b.norm()))


def write_checkpoint(path: Path, tokenizer: Path, *, seed: int = 0) -> Reference:
    """A checkpoint as released: tensors under ``model_state_dict``, each with DataParallel's prefix."""
    torch.manual_seed(seed)
    model = Reference(BertConfig.from_pretrained(tokenizer)).eval()
    torch.save({"epoch": 8, "model_state_dict": torch.nn.DataParallel(model).state_dict()}, path)
    return model


def make(folder: Path, *, seed: int = 0) -> Path:
    """A tiny converted folder below `folder`, as the setting `model` takes it."""
    tokenizer = write_tokenizer(folder / "tokenizer")
    write_checkpoint(folder / "chexbert.pth", tokenizer, seed=seed)
    convert(folder / "chexbert.pth", folder / "converted", tokenizer)
    return folder / "converted"


def all_ids(folder: Path, texts: Sequence[str], limit: int) -> list[list[int]]:
    return [reference_ids(folder, text, limit) for text in texts]
