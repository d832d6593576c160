"""Profiles: what is refused, with words that help."""

from __future__ import annotations

from pathlib import Path

import pytest

from reward_service.errors import ConfigurationError, UnknownProfile
from reward_service.profiles.loading import load_profile, shipped

GOOD = "name: p\ndescription: d\nbounds: [0, 1]\ncomponents:\n  bleu2: {weight: 1}\n"


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    return str(path)


def test_every_shipped_profile_is_valid_and_named_like_its_file() -> None:
    assert {"text", "embedded", "standard", "unirg-step1", "unirg-step2", "radcliq-v0", "radcliq-v1"} <= set(shipped())
    for name in shipped():
        assert load_profile(name).name == name


def test_the_clinical_weight_leads_in_the_profiles_to_train_on() -> None:
    embedded = load_profile("embedded").components
    assert embedded["clinical"].weight >= 0.5
    assert embedded["bertscore"].weight <= 0.2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("bounds: [0, 1]", "bounds: [1, 0]"), "low < high"),
        (("{weight: 1}", "{weight: .nan}"), "finite"),
        (("{weight: 1}", "{weight: 1, wieght: 2}"), "wieght"),
        (("{weight: 1}", "{weight: 1, transform: {clip: {k: 2}}}"), "takes no k"),
        (("{weight: 1}", "{weight: 1, transform: sigmoid}"), "identity"),
        (("{weight: 1}", "{weight: 1, when_missing: zero}"), "when_missing is null, fail or substitute"),
        (("{weight: 1}", "{weight: 1, when_missing: 'substitute:bleu3'}"), "refers to 'bleu3'"),
        (("{weight: 1}", "{weight: 0}"), "weight other than 0"),
        (("name: p", "name: P p"), "name"),
        (("description: d", "normaliser: nfkd"), "normaliser"),
        (("description: d", "guards: {repetition: {multiply: 1}}"), "guards.repetition: .* an action is off, flag"),
        (("description: d", "guards: {repetition: {multiplier: 2}}"), "less than or equal to 1"),
        (("{weight: 1}", "{weight: 1}\n  bleu2: {weight: 2}"), "'bleu2' stands twice"),
        (("{weight: 1}", "{weight: 1, weight: 2}"), "'weight' stands twice"),
        (("{weight: 1}", "{weight: 1, transform: inverse_errors, value: bleu2}"), "takes an error count"),
        (("bleu2: {weight", "reward: {component: bleu2, weight"), "reward"),
    ],
)
def test_a_wrong_profile_names_the_field(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load_profile(write(tmp_path, GOOD.replace(*change)))


def test_unknown_names_get_a_suggestion() -> None:
    with pytest.raises(UnknownProfile, match="Did you mean 'embedded'"):
        load_profile("embeded")


def test_unreadable_files_and_yaml_are_configuration_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_profile(str(tmp_path / "absent.yaml"))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_profile(write(tmp_path, "{unclosed"))


def test_a_bare_yaml_null_is_the_policy_null(tmp_path: Path) -> None:
    profile = load_profile(write(tmp_path, GOOD.replace("{weight: 1}", "{weight: 1, when_missing: null}")))
    assert profile.components["bleu2"].when_missing == "null"


def test_judge_transforms_choose_the_value_they_are_about(tmp_path: Path) -> None:
    text = GOOD + "  a: {component: rules, weight: 1, transform: green}\n"
    text += "  b: {component: rules, weight: 1, transform: inverse_errors}\n"
    components = load_profile(write(tmp_path, text)).components
    assert (components["a"].value, components["b"].value) == ("green", "significant_errors")
