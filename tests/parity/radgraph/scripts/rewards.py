"""rewards.py < JSON list of pairs of annotations: [simple, partial, complete] of each pair as a JSON list."""

import json
import sys

from radgraph.rewards import compute_reward

print(json.dumps([compute_reward(candidate, reference, "all") for candidate, reference in json.load(sys.stdin)]))
