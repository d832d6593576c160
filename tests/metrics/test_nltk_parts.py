"""Leaving out what nltk does not need here leaves out nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_scipy_is_not_imported_with_nltk_but_afterwards() -> None:
    pytest.importorskip("scipy")
    code = "import sys, metrics.nltk_parts; print('scipy' in sys.modules); import scipy.stats; print(scipy.__name__)"
    assert run(code).split() == ["False", "scipy"]


def test_another_thread_may_import_it_meanwhile() -> None:
    pytest.importorskip("scipy")
    code = """
import threading
from metrics import nltk_parts
found = []
with nltk_parts._without("scipy"):
    thread = threading.Thread(target=lambda: found.append(__import__("scipy").__name__))
    thread.start()
    thread.join()
    try:
        import scipy.stats
    except ImportError:
        found.append("absent")
print(found)
"""
    assert run(code) == "['scipy', 'absent']"
