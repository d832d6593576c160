"""Writes a RoBERTa of distilroberta-base's shape with random weights, for speed where no model hub can be reached.

`python -m benchmarks.random_encoder FOLDER`: 6 layers of width 768, 12 heads, 50,265 pieces, 512 positions (the
model card of distilbert/distilroberta-base), and a byte-level tokenizer trained on synthetic reports. Time depends
on shapes alone; the scores mean nothing.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import RobertaConfig, RobertaModel, RobertaTokenizer

from benchmarks.data import grpo_pairs, synthetic_report

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def write(folder: Path) -> None:
    """Tokenizer, configuration and weights, as `--model FOLDER` and `REWARD_BERTSCORE_MODEL` take them."""
    rng = random.Random(0)
    texts = [text for pair in grpo_pairs(8)[0] for text in pair] + [synthetic_report(rng) for _ in range(200)]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=8000, special_tokens=SPECIAL, initial_alphabet=alphabet)
    )
    bpe.model.save(str(folder))
    tokenizer = RobertaTokenizer(
        vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"), model_max_length=512
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=50_265, num_hidden_layers=6, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5
    )
    RobertaModel(config, add_pooling_layer=False).save_pretrained(folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
