"""Small components under the registry's names, and profiles made of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from reward_service.components import registry
from tests.reward_service import fake_components

WriteProfile = Callable[..., str]


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    module = fake_components.__name__
    for name, cls in {
        "length": "Length",
        "with_prior": "LengthWithPrior",
        "broken": "Broken",
        "noting": "Noting",
        "unloadable": "Unloadable",
        "never_there": "NeverThere",
    }.items():
        monkeypatch.setitem(registry.COMPONENTS, name, registry.Row(f"{module}:{cls}"))
    fake_components.Length.compared.clear()


@pytest.fixture
def write(tmp_path: Path) -> WriteProfile:
    def make(stem: str = "p", /, **fields: Any) -> str:
        path = tmp_path / f"{stem}.yaml"
        document = {"name": stem, "description": "", "bounds": [-1, 3], "guards": "off"}
        content = {"components": {"length": {"weight": 1}}} if "stages" not in fields else {}
        document = {"name": stem, "description": ""} if "stages" in fields else document
        path.write_text(yaml.safe_dump({**document, **content, **fields}))
        return str(path)

    return make
