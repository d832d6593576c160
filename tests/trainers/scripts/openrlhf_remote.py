"""OpenRLHF's own remote-reward client (`SingleTurnAgentExecutor` from its wheel) with a scripted engine.

Run in OpenRLHF's environment: ``python openrlhf_remote.py URL_OR_FILE < samples.json``, where samples are objects with
`prompt`, `completion` and `label`. All go out at once. Prints one JSON list: reward, scores and extra_logs of each,
and the tensors OpenRLHF makes of them.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

# openrlhf/__init__ and openrlhf/utils/__init__ import deepspeed; the reward client itself does not need it.
_root = Path(importlib.util.find_spec("openrlhf").origin).parent
for _name, _folder in (("openrlhf", _root), ("openrlhf.utils", _root / "utils")):
    _stub = ModuleType(_name)
    _stub.__path__ = [str(_folder)]
    sys.modules[_name] = _stub

from openrlhf.utils.agent import SingleTurnAgentExecutor  # noqa: E402


def tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=500, special_tokens=special, initial_alphabet=alphabet)
    )
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", additional_special_tokens=special[:1])


class Engine:
    """Stands where vLLM stands: answers a prompt with the completion prepared for it."""

    def __init__(self, words: PreTrainedTokenizerFast, completion: str) -> None:
        self._ids = words(text=completion, add_special_tokens=False)["input_ids"]
        self._text = completion

    async def generate(self, *_, **__):
        output = SimpleNamespace(token_ids=self._ids, text=self._text, finish_reason="stop", logprobs=None)
        return SimpleNamespace(outputs=[output])


async def main(url: str, samples: list[dict]) -> list[dict]:
    words = tokenizer([sample["prompt"] + sample["completion"] for sample in samples])
    executor = SingleTurnAgentExecutor(url)
    parameters = SimpleNamespace(max_tokens=512, logprobs=None)
    outputs = await asyncio.gather(
        *(
            executor.execute(s["prompt"], s["label"], parameters, 4096, words, Engine(words, s["completion"]))
            for s in samples
        )
    )
    rows = []
    for output in outputs:
        row = {key: output[key] for key in ("reward", "scores", "extra_logs")}
        if output["reward"] is not None:  # what samples_generator does with them
            torch.tensor([output["reward"]]), torch.tensor([output["scores"]])
            row["tensors"] = {key: list(torch.tensor([value]).shape) for key, value in output["extra_logs"].items()}
        rows.append(row)
    return rows


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], json.load(sys.stdin)))))
