"""Runs the application of `reward_service.cluster.serve` on the cluster of RAY_ADDRESS until standard input closes.

Arguments: a port, and the application's arguments as JSON. Prints ``ready``, or ``failed`` with Serve's reason.
"""

from __future__ import annotations

import json
import sys

import ray
from ray import serve

from reward_service.cluster.serve import build

ray.init(log_to_driver=False, logging_level="error")
serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
try:
    serve.run(build(json.loads(sys.argv[2])))
    print("ready", flush=True)
    sys.stdin.read()
except Exception as error:
    messages = [one.message for app in serve.status().applications.values() for one in app.deployments.values()]
    print("failed", json.dumps([str(error), *messages]), flush=True)
finally:
    serve.shutdown()
