"""Parts of a batch that fit: within limits by length, and by halves where memory runs out all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def sub_batches(lengths: Sequence[int], max_items: int, max_padded: int) -> Iterator[list[int]]:
    """Indices by falling length, in runs of at most `max_items` and, padded to the longest, `max_padded` tokens.

    An item longer than `max_padded` gets a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    start = 0
    while start < len(order):
        size = max(1, min(max_items, max_padded // max(1, lengths[order[start]])))
        yield order[start : start + size]
        start += size


def halving(run: Callable[[list[T]], list[R]], items: list[T]) -> list[R]:
    """`run(items)`; out of device memory, the two halves one after the other, down to a single item."""
    import torch

    try:
        return run(items)
    except torch.OutOfMemoryError:
        if len(items) == 1:
            raise
    # Outside the handler: its traceback would keep the tensors that did not fit.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    middle = len(items) // 2
    return halving(run, items[:middle]) + halving(run, items[middle:])
