"""Composite rewards for radiology-report generation, served over HTTP, on the command line and in Python."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["Scorer", "__version__"]


def __getattr__(name: str) -> Any:
    """`Scorer` on first use: whoever imports a part of the package does not load all of it."""
    if name == "Scorer":
        return importlib.import_module("reward_service.evaluation.scorer").Scorer
    raise AttributeError(f"module 'reward_service' has no attribute {name!r}")
