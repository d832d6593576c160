"""An accepted older fingerprint is shown in every answer, so that nobody takes one for the other."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import httpx

from reward_service.api.app import create_app
from reward_service.profiles import fingerprint
from reward_service.scoring.engine import Engine
from reward_service.settings import Settings

PAIR = {"candidate": "No effusion.", "reference": "No pleural effusion."}


async def test_every_answer_names_what_is_served_and_what_is_accepted(tmp_path: Path) -> None:
    plain = Settings(profiles=("text",), log_level="error", pool_workers=0)
    served = Engine(plain).served(None)
    older: dict[str, Any] = copy.deepcopy(dict(served.document))
    older["code"]["reward"]["reward_service.text.guards"] = "0" * 16
    pin = fingerprint.of_profile(older)
    (tmp_path / "run.json").write_text(json.dumps(older))
    settings = plain.model_copy(update={"accepted_fingerprints": (f"text={tmp_path / 'run.json'}",)})
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://t", timeout=60) as client:
            answers = {
                name: (await client.post("/score", json={"items": [PAIR], **body})).json()
                for name, body in {
                    "old": {"fingerprint": pin},
                    "new": {"fingerprint": served.fingerprint},
                    "none": {},
                }.items()
            }
            refused = await client.post("/score", json={"items": [PAIR], "fingerprint": "sha256:" + "0" * 64})
            trained = await client.post(
                "/get_reward",
                params={"fingerprint": pin},
                json={"query": ["Q: No effusion."], "prompts": ["Q: "], "labels": [PAIR["reference"]]},
            )
            document = (await client.get("/v1/fingerprint")).json()
            info = (await client.get("/info")).json()
    assert {name: answer["fingerprint"] for name, answer in answers.items()} == {
        "old": pin,
        "new": served.fingerprint,
        "none": served.fingerprint,
    }
    for answer in answers.values():
        assert answer["accepted"] == {"served": served.fingerprint, "fingerprints": [pin]}
        assert answer["results"][0]["reward"] == answers["none"]["results"][0]["reward"]
    assert refused.status_code == 409
    assert trained.json()["rewards"] == [answers["none"]["results"][0]["reward"]]
    assert trained.headers["X-Reward-Fingerprint"] == pin
    assert trained.headers["X-Reward-Served-Fingerprint"] == served.fingerprint
    assert trained.headers["X-Reward-Accepted-Fingerprints"] == pin
    assert (document["fingerprint"], document["accepted"]) == (served.fingerprint, [pin])
    assert info["profiles"]["text"]["accepted"] == [{"fingerprint": pin, "differs": ["code"], "reads_its_cache": True}]
