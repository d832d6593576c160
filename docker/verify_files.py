"""Checks compose.yaml and the Kubernetes manifests against their published schemas; run by `verify.sh`.

The schemas come with the packages check-jsonschema (Compose Specification) and kubernetes-validate. Prints
one line per check; exit status 1 when one failed. A check whose tool is missing is UNVERIFIED, not passed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
KUBERNETES = "1.30"
failed = False


def report(check: str, problem: str | None) -> None:
    global failed
    failed = failed or problem is not None
    print(f"{'FAILED    ' if problem else 'ok        '} {check}{': ' + problem if problem else ''}")


def unverified(check: str, reason: str) -> None:
    print(f"UNVERIFIED {check}: {reason}")


def substituted(text: str, variables: dict[str, str]) -> str:
    """`text` as compose would interpolate it: ${NAME}, ${NAME:-default}, ${NAME:?message}, $$."""

    def value(match: re.Match[str]) -> str:
        name, operator, argument = match["name"], match["operator"], match["argument"]
        if found := variables.get(name):
            return found
        if operator == ":?":
            raise SystemExit(f"compose.yaml needs {name}: {argument}")
        return argument or ""

    pattern = r"(?<!\$)\$\{(?P<name>\w+)(?:(?P<operator>:[-?])(?P<argument>[^}]*))?\}"
    return re.sub(pattern, value, text).replace("$$", "$")


def check_compose(scratch: Path) -> None:
    needed = {"REWARD_API_KEYS": "trainer:" + "0" * 64, "REDIS_PASSWORD": "x", "GRAFANA_PASSWORD": "x"}
    compose: dict[str, Any] = yaml.safe_load(substituted((HERE / "compose.yaml").read_text(), needed))
    services = compose["services"]
    for name, service in services.items():
        image = service["image"].rpartition(":")
        report(f"compose: {name} has a pinned tag", None if image[0] and image[2] != "latest" else service["image"])
        report(f"compose: {name} has a health check", None if "healthcheck" in service else "none")
        unknown = set(service.get("depends_on", ())) - set(services)
        unknown |= {v.split(":")[0] for v in service.get("volumes", ()) if v[0].isalpha()} - set(compose["volumes"])
        report(f"compose: {name} refers to what exists", f"{unknown}" if unknown else None)
        for source in (v.split(":")[0] for v in service.get("volumes", ()) if v[0] == "."):
            report(f"compose: {source} exists", None if (HERE / source).exists() else "no such path")
    interpolated = scratch / "compose.yaml"
    interpolated.write_text(yaml.safe_dump(compose))
    command = [
        Path(sys.executable).parent / "check-jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        interpolated,
    ]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    report(
        "compose: schema of the Compose Specification", checked.stdout + checked.stderr if checked.returncode else None
    )


def check_kubernetes() -> None:
    if shutil.which("kubectl") is None:
        unverified("kubernetes: manifests", "kubectl is not installed")
        return
    import kubernetes_validate

    for overlay in ("base", "cuda"):
        built = subprocess.run(
            ["kubectl", "kustomize", HERE / "kubernetes" / overlay], capture_output=True, text=True, check=False
        )
        report(f"kubernetes: kustomize build {overlay}", built.stderr.strip() or None)
        for manifest in yaml.safe_load_all(built.stdout):
            what = f"{manifest['kind']} {manifest['metadata']['name']}"
            try:
                kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
                report(f"kubernetes {KUBERNETES}: {overlay}: {what}", None)
            except Exception as error:
                report(f"kubernetes {KUBERNETES}: {overlay}: {what}", str(error))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        check_compose(Path(directory))
    check_kubernetes()
    sys.exit(failed)
