"""GRPO with TRL: `python examples/trl_grpo.py MODEL DATA.jsonl http://reward:8000 [profile]`.

DATA has a `prompt` and a `reference` (and, where there is one, a `prior`) on each line. Needs trl and
reward-service-client. Run as it is in the tests with a tiny random model (`tests/trainers`).
"""

import json
import sys
from pathlib import Path

from datasets import load_dataset
from trl import GRPOConfig, GRPOTrainer

from reward_client import RewardClient
from reward_client.trainers.trl import make_reward_fn

model, data, url = sys.argv[1:4]
profile = sys.argv[4] if len(sys.argv) > 4 else None
output = Path("grpo-radiology")

# What made every reward of this run, stored beside it; `fingerprint` refuses any other from now on.
with RewardClient(url, profile=profile) as client:
    client.start()
    output.mkdir(exist_ok=True)
    (output / "reward.json").write_text(json.dumps(client.fingerprint_document, indent=1))
    pinned = {"url": url, "profile": profile, "fingerprint": client.fingerprint}

trainer = GRPOTrainer(
    model=model,
    # The second function shares the first one's request: it only adds a column to the logs (weight 0).
    reward_funcs=[make_reward_fn(**pinned), make_reward_fn(**pinned, component="clinical")],
    args=GRPOConfig(
        output_dir=str(output),
        reward_weights=[1.0, 0.0],
        num_generations=8,
        per_device_train_batch_size=8,
        max_completion_length=256,
        log_completions=False,  # True prints prompts and reports
    ),
    train_dataset=load_dataset("json", data_files=data, split="train"),
)
trainer.train()
