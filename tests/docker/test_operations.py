"""Container files, alerts, dashboard and the operators' page speak of settings and metrics that exist."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from reward_service.observability.telemetry import Telemetry
from reward_service.runs.alarms import CODES
from reward_service.settings import Settings
from tests.needs import needs

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
OPERATORS = (ROOT / "docs/operators.md").read_text()
ALERTS = yaml.safe_load((DOCKER / "prometheus/alerts.yml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((DOCKER / "grafana/dashboards/reward.json").read_text())
TARGETS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
NOT_SETTINGS = {"REWARD_IMAGE_TAG"}


def metrics() -> dict[str, list[str]]:
    """Name as exposed (counters end in _total) and labels of every metric of the service."""
    out = {}
    for collector in Telemetry().registry._collector_to_names:
        (family,) = collector.describe()  # type: ignore[attr-defined]
        name = f"{family.name}_total" if family.type == "counter" else family.name
        out[name] = list(collector._labelnames)  # type: ignore[attr-defined]
    return out


def named(expression: str) -> set[str]:
    """Metric names in an expression, without a histogram's suffixes."""
    found = re.findall(r"\breward_[a-z_]+", re.sub(r'"[^"]*"', "", expression))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in found}


def test_every_metric_is_on_the_operators_page_with_its_labels() -> None:
    rows = re.findall(r"^\| `(reward_\w+)` \|([^|]*)\|", OPERATORS, re.MULTILINE)
    documented = {name: [label for label in labels.strip().split(", ") if label] for name, labels in rows}
    documented = {name: labels for name, labels in documented.items() if name not in CODES}  # alarms have a table, too
    assert documented == metrics()


@pytest.mark.parametrize("expression", [*(rule["expr"] for rule in RULES), *TARGETS])
def test_alerts_and_panels_use_metrics_that_exist(expression: str) -> None:
    known = metrics()
    assert named(expression) <= set(known)
    labels = {label for name in named(expression) for label in known[name]} | {"le", "job", "instance"}
    used = re.findall(r"(?:by|ignoring) \(([^)]*)\)", expression) + re.findall(r"[{,] *(\w+) *(?:=~|!=|=)", expression)
    assert {label.strip() for group in used for label in group.split(",")} <= labels


def test_every_metric_is_on_the_dashboard() -> None:
    assert set(metrics()) == set.union(*map(named, TARGETS))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_leads_to_a_section(rule: dict[str, Any]) -> None:
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)", OPERATORS, re.M)
    }
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/operators.md"
    assert anchor in anchors
    assert rule["labels"]["severity"] in {"page", "ticket"}


FILES = ["Dockerfile", "docs/operators.md", "SECURITY.md", "docker/example.env", "docker/compose.yaml"]
FILES += [str(path.relative_to(ROOT)) for path in sorted((DOCKER / "kubernetes").glob("*/*.yaml"))]


@pytest.mark.parametrize("name", FILES)
def test_settings_that_are_named_exist(name: str) -> None:
    known = {f"REWARD_{field.upper()}" for field in Settings.model_fields} | NOT_SETTINGS
    assert set(re.findall(r"\bREWARD_[A-Z_]+\b", (ROOT / name).read_text())) <= known


def test_grace_times_fit_into_those_of_the_orchestrators() -> None:
    deployment = yaml.safe_load((DOCKER / "kubernetes/base/deployment.yaml").read_text())
    pod = deployment["spec"]["template"]["spec"]
    default = Settings.model_fields["shutdown_grace_s"].default
    assert pod["terminationGracePeriodSeconds"] > default
    assert pod["enableServiceLinks"] is False  # REWARD_PORT=tcp://... would not be a port
    compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    assert int(compose["services"]["reward"]["stop_grace_period"].rstrip("s")) > default


def test_the_build_context_has_what_the_wheel_needs() -> None:
    kept = re.findall(r"^!(.*)", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "docker/install.sh"} <= set(kept)
    assert {"reward_service", "metrics", "judges"} <= set(kept)
    assert all((ROOT / path).exists() for path in kept)


@needs("promtool")
def test_alert_rules_fire_when_they_should() -> None:
    tested = subprocess.run(
        ["promtool", "test", "rules", DOCKER / "prometheus/alerts_test.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
