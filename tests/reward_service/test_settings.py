"""Settings: what is no setting is said to be none."""

from __future__ import annotations

import pytest

from reward_service.settings import Settings, unknown_variables


def test_a_misspelt_setting_is_named_with_what_may_have_been_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARD_MAX_ITEM", "5")
    monkeypatch.setenv("REWARD_CLIENT_URL", "http://x")
    monkeypatch.setenv("REWARD_MAX_ITEMS", "5")
    assert [found for found in unknown_variables() if "ITEM" in found[0] or "URL" in found[0]] == [
        ("REWARD_MAX_ITEM", "did you mean REWARD_MAX_ITEMS?")
    ]


def test_one_bertscore_model_can_be_replaced_alone() -> None:
    """A folder for the hub's distilroberta-base must not become the encoder of a profile that ships its own."""
    settings = Settings(bertscore_model="distilroberta-base=/models/distilroberta")
    assert settings.for_component("bertscore", {"model": "distilroberta-base"})["model"] == "/models/distilroberta"
    assert settings.for_component("bertscore", {"model": "minilm"})["model"] == "minilm"
    assert "model" not in settings.for_component("bertscore", {})
    assert Settings(bertscore_model="/a=b/model").for_component("bertscore", {})["model"] == "/a=b/model"
    everywhere = Settings(bertscore_model="/models/distilroberta")
    assert everywhere.for_component("bertscore", {"model": "minilm"})["model"] == "/models/distilroberta"
