"""Settings: what is no setting is said to be none."""

from __future__ import annotations

import pytest

from reward_service.settings import unknown_variables


def test_a_misspelt_setting_is_named_with_what_may_have_been_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARD_MAX_ITEM", "5")
    monkeypatch.setenv("REWARD_CLIENT_URL", "http://x")
    monkeypatch.setenv("REWARD_MAX_ITEMS", "5")
    assert [found for found in unknown_variables() if "ITEM" in found[0] or "URL" in found[0]] == [
        ("REWARD_MAX_ITEM", "did you mean REWARD_MAX_ITEMS?")
    ]
