#!/usr/bin/env bash
# GRPO with ms-swift: examples/ms_swift.sh MODEL DATA.jsonl http://reward:8000
# Lines: messages, reference (kept as a column), prior (optional). Needs reward-service-client. Unverified: the adapter
# is tested with ms-swift's calling convention, the training command is not run.
set -euo pipefail
model=$1 data=$2
export REWARD_CLIENT_URL=$3
plugin=$(mktemp --suffix=.py)
cat >"$plugin" <<'PLUGIN'
from reward_client.trainers.ms_swift import RadiologyReward
from swift.rewards import orms

orms["radiology"] = RadiologyReward
PLUGIN

swift rlhf \
  --rlhf_type grpo \
  --model "$model" \
  --dataset "$data" \
  --external_plugins "$plugin" \
  --reward_funcs radiology \
  --num_generations 8 \
  --per_device_train_batch_size 8 \
  --max_completion_length 256 \
  --log_completions false
