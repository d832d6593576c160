#!/usr/bin/env bash
# The BERTScore tables on this machine's accelerator, with random weights of distilroberta-base's shape:
#   benchmarks/gpu.sh [DEVICE=cuda] [REFERENCES=256]
# The library against bert_score's three call shapes, the floor and the ceiling of matrix products; then the whole
# service over HTTP. DEVICE=cpu runs the same tables anywhere, REFERENCES=8 in a few minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
device=${1:-cuda} references=${2:-256} python=${PYTHON:-.venv/bin/python}
model=$(mktemp -d)
trap 'rm -rf "$model"' EXIT
"$python" -m benchmarks.random_encoder "$model" 2>/dev/null
"$python" -m benchmarks.bertscore_engine --model "$model" --layer 6 --device "$device" --references "$references"
"$python" -m benchmarks.bertscore --model "$model" --device "$device" --references "$references"
