#!/usr/bin/env bash
# GRPO with slime: examples/slime.sh MODEL TORCH_DIST DATA.jsonl http://reward:8000
# Lines: prompt (chat messages), label (the reference, or a JSON object with reference and prior).
# Only the arguments that concern the reward are explained; the rest is slime's quick start. Unverified: the reward's
# endpoint is tested with slime's payload and retries, slime itself needs GPUs.
set -euo pipefail
model=$1 torch_dist=$2 data=$3 url=$4

python3 train.py \
  --actor-num-nodes 1 \
  --actor-num-gpus-per-node 8 \
  --colocate \
  --hf-checkpoint "$model" \
  --ref-load "$torch_dist" \
  --prompt-data "$data" \
  --input-key prompt \
  --label-key label \
  --apply-chat-template \
  --rm-type remote_rm \
  --rm-url "$url/compat/slime/object" \
  --reward-key reward \
  --advantage-estimator grpo \
  --num-rollout 200 \
  --rollout-batch-size 32 \
  --n-samples-per-prompt 8 \
  --rollout-max-response-len 256 \
  --global-batch-size 256
# /compat/slime without --reward-key gives a bare number. The client's retries and pin instead of slime's:
#   export REWARD_CLIENT_URL=$url
#   --custom-rm-path reward_client.trainers.slime.custom_rm --reward-key score
