"""Start the real service on a free port, score `reports.jsonl` through HTTP, print a table, stop it again.

Run by `make demo`. It needs nothing but the installed package: no GPU, no other server, no model hub.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent


def start(profile: str) -> tuple[subprocess.Popen[str], str]:
    """The service as a child process, and its address once it is ready."""
    command = [sys.executable, "-m", "reward_service.cli", "serve", "--port", "0", "--profiles", profile]
    env = {**os.environ, "REWARD_LOG_LEVEL": "error"}
    service = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env, cwd=HERE.parent)
    assert service.stderr is not None
    for line in service.stderr:
        if found := re.search(r"http://\S+", line):
            break
        print(line, end="", file=sys.stderr)
    else:
        raise SystemExit(f"the service ended with status {service.wait()}")
    url = found.group()
    for _ in range(600):
        try:
            if httpx.get(f"{url}/ready", timeout=5).status_code == 200:
                return service, url
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    service.kill()
    raise SystemExit("the service did not become ready in 120 s")


def errors_of(result: dict[str, Any]) -> str:
    """What the judge named: ``false_finding pneumothorax``, insignificant ones in brackets."""
    evidence = (result.get("judgement") or {}).get("evidence", [])
    named = []
    for e in evidence:
        if e["kind"] not in ("matched", "deduction"):
            text = f"{e['kind']} {e['finding']}" + (f" {e['detail']}" if e["detail"] else "")
            named.append(text if e["significant"] else f"({text})")
    return "; ".join(named)


def row(id: str, result: dict[str, Any], keys: list[str]) -> str:
    """One line of the table."""
    number = lambda x: "   null" if x is None else f"{x:7.3f}"  # noqa: E731
    values = " ".join(number(result["components"][key]).rjust(max(7, len(key))) for key in keys)
    return f"{id:28} {number(result['reward'])} {values}  {errors_of(result)}  {' '.join(result['flags'])}".rstrip()


def main() -> None:
    """Print the table; exit status 0 when every pair has a reward."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="embedded")
    arguments = parser.parse_args()
    lines = [json.loads(line) for line in (HERE / "reports.jsonl").read_text().splitlines()]
    items = [line for line in lines if "candidate" in line]
    groups = [line for line in lines if "candidates" in line]
    service, url = start(arguments.profile)
    try:
        response = httpx.post(f"{url}/score", json={"items": items, "groups": groups, "detail": "full"}, timeout=120)
        response.raise_for_status()
        answer = response.json()
    finally:
        service.send_signal(signal.SIGTERM)
        status = service.wait(60)
    keys = list(answer["results"][0]["components"])
    heads = " ".join(key.rjust(7) for key in keys)
    print(f"{'id':28} {'reward':>7} {heads}  errors named by the judge (insignificant)  flags")
    for result in answer["results"]:
        print(row(result["id"], result, keys))
    for group in answer["groups"]:
        print(f"-- {group['id']}: mean {group['mean']:.3f}, std {group['std']:.3f}")
        for result in group["results"]:
            print(row(result["id"], result, keys))
    print(f"fingerprint {answer['fingerprint']}\nsignature   {answer['signature']}")
    everything = [*answer["results"], *(r for g in answer["groups"] for r in g["results"])]
    if status or any(r["reward"] is None for r in everything):
        raise SystemExit(f"service exit status {status}, {sum(r['reward'] is None for r in everything)} nulls")


if __name__ == "__main__":
    main()
