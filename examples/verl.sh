#!/usr/bin/env bash
# GRPO with verl: examples/verl.sh MODEL TRAIN.parquet VAL.parquet http://reward:8000
# Rows: data_source, prompt (chat), reward_model.ground_truth = the reference report, extra_info.prior (optional).
# Needs reward-service-client in the environment of verl's workers.
set -euo pipefail
model=$1 train=$2 val=$3 url=$4
adapter=$(python3 -c 'import reward_client.trainers.verl as m; print(m.__file__)')
fingerprint=$(curl -fsS ${REWARD_CLIENT_API_KEY:+-H "Authorization: Bearer $REWARD_CLIENT_API_KEY"} "$url/v1/fingerprint" | python3 -c 'import json, sys; print(json.load(sys.stdin)["fingerprint"])')

python3 -m verl.trainer.main_ppo \
  algorithm.adv_estimator=grpo \
  data.train_files="$train" \
  data.val_files="$val" \
  data.train_batch_size=256 \
  data.max_prompt_length=1024 \
  data.max_response_length=256 \
  actor_rollout_ref.model.path="$model" \
  actor_rollout_ref.actor.ppo_mini_batch_size=64 \
  actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=8 \
  actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=8 \
  actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=8 \
  actor_rollout_ref.rollout.name=vllm \
  actor_rollout_ref.rollout.n=8 \
  reward.reward_manager.name=naive \
  reward.custom_reward_function.path="$adapter" \
  reward.custom_reward_function.name=compute_score \
  +reward.custom_reward_function.reward_kwargs.url="$url" \
  +reward.custom_reward_function.reward_kwargs.fingerprint="$fingerprint" \
  trainer.n_gpus_per_node="${GPUS:-8}" \
  trainer.nnodes=1 \
  trainer.project_name=radiology \
  trainer.experiment_name=grpo
# A missing reward stops the run. To go on with a number instead, logged as rr_valid 0:
#   +reward.custom_reward_function.reward_kwargs.missing=0.0
