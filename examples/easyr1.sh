#!/usr/bin/env bash
# GRPO with EasyR1: examples/easyr1.sh MODEL TRAIN http://reward:8000, from EasyR1's folder
# Rows: prompt and answer (the reference) by the keys below. Needs reward-service-client. Unverified: the adapter is
# tested with EasyR1's calling convention, the training command is not run.
set -euo pipefail
model=$1 train=$2
export REWARD_CLIENT_URL=$3
adapter=$(python3 -c 'import reward_client.trainers.easyr1 as m; print(m.__file__)')

python3 -m verl.trainer.main \
  config=examples/config.yaml \
  data.train_files="$train" \
  data.prompt_key=prompt \
  data.answer_key=reference \
  worker.actor.model.model_path="$model" \
  worker.rollout.n=8 \
  worker.reward.reward_function="$adapter:compute_score" \
  trainer.experiment_name=radiology
