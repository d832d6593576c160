"""verl's own `load_reward_manager` around this project's `compute_score`, every sample in flight at once.

Run in verl's environment: ``python verl_manager.py MANAGERS FUNCTIONS URL < samples.json`` (names joined by commas),
samples being objects with `completion` and `label`. Prints what `run_single` returned, as JSON: a list for each
combination, in order.
"""

from __future__ import annotations

import asyncio
import json
import sys

import numpy as np
import torch
from omegaconf import OmegaConf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from verl import DataProto
from verl.trainer.ppo.reward import load_reward_manager

import reward_client.trainers.verl as adapter


def tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=500, special_tokens=["<eos>"], initial_alphabet=alphabet)
    )
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<eos>", pad_token="<eos>")


def proto(words: PreTrainedTokenizerFast, sample: dict) -> DataProto:
    prompt = torch.tensor([[1, 2, 3]])
    ids = words(sample["completion"] + "<eos>", add_special_tokens=False)["input_ids"]
    response = torch.tensor([[*ids, 0, 0]])  # two pads
    mask = torch.tensor([[1] * (3 + len(ids)) + [0, 0]])
    return DataProto.from_dict(
        tensors={"prompts": prompt, "responses": response, "attention_mask": mask},
        non_tensors={
            "data_source": np.array(["cxr"], dtype=object),
            "reward_model": np.array([{"ground_truth": sample["label"], "style": "rule"}], dtype=object),
            "extra_info": np.array([{"index": np.int64(7)}], dtype=object),
        },
    )


async def main(manager: str, function: str, url: str, samples: list[dict]) -> list[dict]:
    config = OmegaConf.create(
        {
            "reward": {
                "custom_reward_function": {
                    "path": adapter.__file__,
                    "name": function,
                    "reward_kwargs": {"url": url},
                },
                "reward_manager": {"source": "register", "name": manager},
                "reward_kwargs": {},
                "max_concurrent": 64,
                "num_workers": 1,
            },
            "trainer": {"experiment_name": "test"},
        }
    )
    words = tokenizer([sample["completion"] for sample in samples])
    loaded = load_reward_manager(config, words)
    return await asyncio.gather(*(loaded.run_single(proto(words, sample)) for sample in samples))


if __name__ == "__main__":
    managers, functions, url = sys.argv[1:4]
    asked = json.load(sys.stdin)
    combinations = [(m, f) for m in managers.split(",") for f in functions.split(",")]
    print(json.dumps([asyncio.run(main(manager, function, url, asked)) for manager, function in combinations]))
