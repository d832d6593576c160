"""RadCliQ's and UniRG-CXR's profiles: why one is unavailable, and what it serves once the folders are there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("torch", reason="extra bertscore")

from metrics.chexbert import CheXbert, convert
from metrics.radcliq import RADCLIQ_V1, RadCliQInputs, radcliq_v0, radcliq_v1, unirg_step1
from reward_service.contracts import ComponentScore
from reward_service.errors import ConfigurationError
from reward_service.profiles.loading import load_profile
from reward_service.scoring.assembly import check
from reward_service.scoring.composite import compose
from reward_service.scoring.engine import Engine
from reward_service.scoring.profile_scorer import ScoredItem
from reward_service.scoring.request import Item, ScoringRequest
from reward_service.settings import Settings
from reward_service.text.guards import GuardResult
from tests.metrics import random_chexbert
from tests.reward_service import random_models
from tests.reward_service.random_models import Models

PAGE = (Path(__file__).parents[3] / "docs" / "profiles.md").read_text(encoding="utf-8")
PUBLISHED = ("radcliq-v0", "radcliq-v1", "unirg-step1", "unirg-step2")
TEXTS = [
    ("small left effusion", "no effusion"),
    ("heart is large", "heart is large"),
    ("", "no effusion"),
    ("no " * 60, "no effusion"),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return random_models.make(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def chexbert(models: Models) -> Path:
    return Path(models.chexbert_model)


@pytest.fixture
def semb(tmp_path: Path) -> Callable[[], str]:
    """A profile of SembScore alone."""

    def make() -> str:
        path = tmp_path / "semb.yaml"
        document: dict[str, Any] = {"name": "semb", "description": "", "bounds": [-1, 1], "normaliser": "none"}
        path.write_text(yaml.safe_dump({**document, "guards": "off", "components": {"semb_score": {"weight": 1}}}))
        return str(path)

    return make


async def score(engine: Engine, *, seconds: float = 30) -> list[ScoredItem]:
    items = [Item(str(i), candidate, reference, None) for i, (candidate, reference) in enumerate(TEXTS)]
    return await engine.score(ScoringRequest(tuple(items), timeout_s=seconds))


# -- unavailable ----------------------------------------------------------------------------------


def test_without_its_folder_semb_score_names_the_command_and_the_setting(semb: Callable[[], str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check(Settings(profiles=(semb(),)))
    assert caught.value.code == "model_unavailable"
    assert "reward-service convert chexbert SRC DST --tokenizer DIR" in caught.value.message
    assert "Set REWARD_CHEXBERT_MODEL." in caught.value.message


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_profile_without_folders_says_how_to_make_one(name: str) -> None:
    judge = Settings(judge_model="m", judge_revision="r")
    with pytest.raises(ConfigurationError, match=r"reward-service convert (chexbert|radgraph) SRC DST --tokenizer DIR"):
        check(judge.model_copy(update={"profiles": (name,)}))


# -- served ---------------------------------------------------------------------------------------


async def test_semb_score_is_served_from_its_folder(semb: Callable[[], str], chexbert: Path) -> None:
    async with Engine(Settings(profiles=(semb(),), chexbert_model=str(chexbert), device="cpu")) as engine:
        scored = await score(engine)
    metric = CheXbert(str(chexbert))
    alone = metric.compare(metric.encode([c for c, _ in TEXTS]), metric.encode([r for _, r in TEXTS]))
    for each, comparison in zip(scored, alone, strict=True):
        assert each.composite.reward == pytest.approx(comparison.values["semb"], abs=1e-6)
    assert scored[1].composite.reward == 1.0
    assert "chexbert_truncated" in scored[3].composite.flags


def test_the_fingerprint_is_of_the_weights_not_of_the_path(
    semb: Callable[[], str], chexbert: Path, tmp_path: Path
) -> None:
    shutil.copytree(chexbert, tmp_path / "copy")
    tokenizer = chexbert.parent / "tokenizer"
    random_chexbert.write_checkpoint(tmp_path / "other.pth", tokenizer, seed=9)
    other = convert(tmp_path / "other.pth", tmp_path / "other", tokenizer)
    prints = [
        Engine(Settings(profiles=(semb(),), chexbert_model=str(folder), device="cpu")).profiles["semb"].fingerprint
        for folder in (chexbert, tmp_path / "copy", other)
    ]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize("name", PUBLISHED)
async def test_a_published_profile_is_served_once_the_folders_are_set(name: str, models: Models) -> None:
    settings = Settings(
        profiles=(name,), **models._asdict(),
        device="cpu", judge_urls="http://127.0.0.1:9/v1", judge_model="m", judge_revision="r",
    )  # fmt: skip
    async with Engine(settings) as engine:
        scored = [each.composite for each in await score(engine, seconds=20)]
    formulas: dict[str, Callable[[RadCliQInputs], float]] = {
        "radcliq-v0": lambda x: -radcliq_v0(x),
        "radcliq-v1": lambda x: -radcliq_v1(x),
        "unirg-step1": unirg_step1,
    }
    for composite, (candidate, _) in zip(scored, TEXTS, strict=True):
        values = [composite.components[key] for key in ("radgraph_f1", "bertscore", "semb_score", "bleu2")]
        assert None not in values
        if name == "unirg-step2":  # nothing listens where the judge should be; an empty candidate needs no judge
            assert tuple(composite.missing) == (("chexprompt",) if candidate else ())
            assert (composite.reward is None) == bool(candidate)
            continue
        low, high = load_profile(name).bounds
        expected = formulas[name](RadCliQInputs(*values))  # type: ignore[arg-type]
        assert composite.reward == pytest.approx(min(high, max(low, expected)), abs=1e-9)


# -- what the paper leaves open -------------------------------------------------------------------


def test_the_z_scored_variant_in_the_docs_is_the_published_weights_on_radcliq_s_z_scores(tmp_path: Path) -> None:
    found = re.search(r"<!-- profile: z-scores -->\n```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert found
    (tmp_path / "z.yaml").write_text(found.group(1), encoding="utf-8")
    profile = load_profile(str(tmp_path / "z.yaml"))
    x = RadCliQInputs(radgraph=0.3, bertscore=0.5, semb=0.6, bleu2=0.2)
    z = RadCliQInputs(*((v - m) / s for v, m, s in zip(x, RADCLIQ_V1.mean, RADCLIQ_V1.scale, strict=True)))
    scores = {
        "bleu2": ComponentScore({"bleu2": x.bleu2}),
        "bertscore": ComponentScore({"f1": x.bertscore}),
        "semb_score": ComponentScore({"semb": x.semb}),
        "radgraph_f1": ComponentScore({"partial": 9.0, "combined": x.radgraph}),
    }
    made = compose(profile, dict(scores), GuardResult((), 1.0, False))
    assert made.reward == pytest.approx(unirg_step1(z), abs=1e-9)
    assert made.reward == pytest.approx(-radcliq_v1(x), abs=2e-3)  # the paper rounds RadCliQ's coefficients
