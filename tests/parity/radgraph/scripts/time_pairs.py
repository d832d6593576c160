"""time_pairs.py CACHE MODEL_TYPE DEVICE THREADS: for each line of standard input, a JSON list of (candidate, reference)
pairs, one line {"seconds": wall, "cpu": processor}: all annotations of the pairs, then all levels of the reward.
"""

import json
import sys
import time

from radgraph.rewards import compute_reward
from radgraph_package import load

cache, model_type, device, threads = sys.argv[1:]
radgraph = load(cache, model_type, int(device), int(threads))
radgraph(["No effusion."])
print("ready", flush=True)
for line in sys.stdin:
    pairs = json.loads(line)
    began, cpu = time.perf_counter(), time.process_time()
    # As F1RadGraph does it, which reads every report of every pair.
    found = radgraph([candidate for candidate, _ in pairs] + [reference for _, reference in pairs])
    for i in range(len(pairs)):
        compute_reward(found[str(i)], found[str(i + len(pairs))], "all")
    print(json.dumps({"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}), flush=True)
