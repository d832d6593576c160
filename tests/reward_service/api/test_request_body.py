"""What takes time in proportion to a body's size does not take it from the event loop."""

from __future__ import annotations

import threading

import pytest

from reward_service.api.request_body import off_loop
from reward_service.wire.decoding import LARGE_BYTES


@pytest.mark.parametrize(("size", "here"), [(LARGE_BYTES, True), (LARGE_BYTES + 1, False)])
async def test_a_large_body_is_parsed_on_another_thread(size: int, here: bool) -> None:
    def parse(raw: bytes, *, more: int) -> tuple[int, int]:
        return len(raw) + more, threading.get_ident()

    count, thread = await off_loop(bytes(size), parse, more=1)
    assert (count, thread == threading.get_ident()) == (size + 1, here)
