"""How torch computes while a metric does: one thread for each operation on a CPU, float32 products in float32.

These are settings of the process and of the thread, which are not ours: a trainer may score in its own process. So
they hold only while something is computed, and whoever else uses torch finds its own settings again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Float32:
    """No TF32 and no bfloat16 behind float32's back while any thread is inside; then again what was set before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before: list[str] = []

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._before = [backend.matmul.fp32_precision for backend in _backends()]
                for backend in _backends():
                    backend.matmul.fp32_precision = "ieee"

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                for backend, before in zip(_backends(), self._before, strict=True):
                    backend.matmul.fp32_precision = before


def _backends() -> tuple[Any, ...]:
    import torch

    return torch.backends.cuda, torch.backends.mkldnn


_float32 = _Float32()


@contextmanager
def exact_arithmetic(device: str) -> Iterator[None]:
    """The same bits whatever the process has set, and on any number of cores."""
    import torch

    threads = torch.get_num_threads()
    with _float32:
        if device == "cpu":
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if device == "cpu":
                torch.set_num_threads(threads)
