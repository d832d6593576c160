"""Two real GRPO steps on a tiny random Qwen2 against a live service; prints what happened as one JSON line.

Run by `tests/trainers/test_trl.py` in TRL's environment: ``python trl_grpo.py URL FOLDER STEPS UNSCORABLE``;
UNSCORABLE of the four references are empty. Each finished step is announced on a line of its own, so that the test can
restart the service in the middle.
"""

from __future__ import annotations

import json
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, TrainerCallback, set_seed
from trl import GRPOConfig, GRPOTrainer

from reward_client.trainers.trl import make_reward_fn

REPORTS = [
    "The heart is normal in size. The lungs are clear.",
    "There is a small left pleural effusion. No pneumothorax.",
    "Right basilar opacity may represent pneumonia.",
    "No acute cardiopulmonary abnormality.",
]
PROMPT = "Findings for study"


def tokenizer() -> PreTrainedTokenizerFast:
    """Whole words of the reports only, so that even a random model's candidates differ in reward."""
    raw = Tokenizer(models.WordLevel(unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.train_from_iterator(REPORTS, trainers.WordLevelTrainer(special_tokens=["<unk>", "<pad>", "<eos>"]))
    return PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", pad_token="<pad>", eos_token="<eos>")


class Announce(TrainerCallback):
    def on_step_end(self, args, state, control, **_):
        print(f"step {state.global_step}", flush=True)


def main(url: str, folder: str, steps: int, unscorable: int) -> None:
    set_seed(0)
    words = tokenizer()
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(words),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=128,
            pad_token_id=words.pad_token_id,
            eos_token_id=words.eos_token_id,
            bos_token_id=None,
        )
    )
    before = {name: value.clone() for name, value in model.named_parameters()}
    references = [""] * unscorable + REPORTS[unscorable:]
    rows = Dataset.from_list([{"prompt": f"{PROMPT} {i}", "reference": text} for i, text in enumerate(references)])
    functions = [make_reward_fn(url), make_reward_fn(url, component="bleu2")]
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=functions,
        args=GRPOConfig(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=4,
            num_generations=4,
            max_completion_length=12,
            learning_rate=1e-2,
            reward_weights=[1.0, 0.0],
            logging_steps=1,
            report_to=[],
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=rows,
        processing_class=words,
        callbacks=[Announce()],
    )
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "reward" in entry]
    moved = [name for name, value in model.named_parameters() if not torch.equal(value, before[name])]
    print(
        json.dumps({"steps": trainer.state.global_step, "moved": len(moved), "parameters": len(before), "logs": logged})
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:5]))
