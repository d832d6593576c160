#!/usr/bin/env bash
# GRPO with OpenRLHF 0.11: examples/openrlhf.sh MODEL DATA.jsonl http://reward:8000
# Lines: prompt (chat messages), reference (text, or {"reference": ..., "prior": ...}). Nothing to install here:
# OpenRLHF posts to the service itself. Pin the reward with ?fingerprint=..., choose it with ?profile=...
set -euo pipefail
model=$1 data=$2 url=$3
fingerprint=$(curl -fsS ${REWARD_CLIENT_API_KEY:+-H "Authorization: Bearer $REWARD_CLIENT_API_KEY"} "$url/v1/fingerprint" | python3 -c 'import json, sys; print(json.load(sys.stdin)["fingerprint"])')

python3 -m openrlhf.cli.train_ppo_ray \
  --actor.model_name_or_path "$model" \
  --data.prompt_dataset "$data" \
  --data.input_key prompt \
  --data.label_key reference \
  --data.apply_chat_template \
  --reward.remote_url "$url/get_reward?fingerprint=$fingerprint" \
  --algo.advantage.estimator group_norm \
  --rollout.n_samples_per_prompt 8 \
  --rollout.batch_size 128 \
  --rollout.max_new_tokens 256 \
  --train.batch_size 128 \
  --data.max_len 2048 \
  --actor.num_gpus_per_node "${GPUS:-8}" \
  --vllm.num_engines "${GPUS:-8}" \
  --train.colocate_all \
  --vllm.enable_sleep \
  --ds.enable_sleep \
  --ds.zero_stage 3 \
  --actor.gradient_checkpointing_enable
# OpenRLHF retries five times, then drops the error and fails far away when it needs the number. To go on with a
# substitute, logged as rr_valid 0, add &missing=0 to the URL. With retries that outlast a restart of the service:
#   export REWARD_CLIENT_URL=$url
#   --reward.remote_url "$(python3 -c 'import reward_client.trainers.openrlhf as m; print(m.__file__)')"
