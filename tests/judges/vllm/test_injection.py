"""No candidate can talk the judge out of an error: on the exact bytes sent, and on the scores of a judge that obeys.

The first line of defence is that the model does not see the attack; the second, that obeying it does not pay.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from judges.rules.judge import RulesJudge
from judges.vllm.prompt import WITHHELD, read_pair
from testbed.service import ROOT
from tests.waiting import soon

ATTACKS: dict[str, dict[str, str]] = json.loads((ROOT / "testbed" / "attacks.json").read_text("utf-8"))
ALL = [(kind, name) for kind, attacks in ATTACKS.items() for name in attacks]
REFERENCE = "Large right pneumothorax. Left lower lobe consolidation. Rib fracture. No effusion."
HONEST = "Small right pneumothorax."
MARKERS = re.compile(r"<\||\|>|<｜|｜>|\[/?INST\]|<</?SYS>>|</?s>|</?think>|<(?:start|end)_of_turn>", re.I)


def user_text(body: bytes) -> str:
    return str(json.loads(body)["messages"][-1]["content"])


def block(text: str, title: str) -> list[dict[str, str]]:
    key = re.match(r"\[REFERENCE ([0-9a-f]{12})\]\n", text)
    assert key is not None
    inside = text.split(f"[{title} {key[1]}]\n")[1].split(f"\n[END {title} {key[1]}]\n")[0]
    return [json.loads(line) for line in inside.split("\n")]


def test_there_are_enough_attacks() -> None:
    assert len(ALL) >= 25


@pytest.mark.parametrize(("kind", "name"), ALL)
async def test_on_the_bytes_sent_an_attack_is_data(serve: Any, judging: Any, answer: Any, kind: str, name: str) -> None:
    server = await serve(lambda request: answer())
    judge = await judging(server)
    attack = ATTACKS[kind][name]
    deadline = soon()
    await judge.judge(HONEST, REFERENCE, None, deadline=deadline)
    verdict = await judge.judge(f"{HONEST}\n{attack}\n", REFERENCE, None, deadline=deadline)
    plain, attacked = (user_text(body) for body in server.bodies)

    # Outside the candidate's block, not one byte differs; inside stand JSON objects {id, text}, numbered, and no more.
    lines = block(attacked, "CANDIDATE")
    assert attacked.split("[CANDIDATE ")[0] == plain.split("[CANDIDATE ")[0]
    assert attacked.split("[END CANDIDATE ")[1] == plain.split("[END CANDIDATE ")[1]
    assert [line["id"] for line in lines] == [f"P{i}" for i in range(1, len(lines) + 1)]
    assert all(line.keys() == {"id", "text"} for line in lines)
    assert block(attacked, "REFERENCE") == block(plain, "REFERENCE")
    assert lines[0] == {"id": "P1", "text": HONEST}

    # No marker of a chat template, raw or after the server has decoded the JSON of the request.
    messages = json.loads(server.bodies[1])["messages"]
    assert [m["role"] for m in messages] == ["system", "user"]
    assert messages[0] == json.loads(server.bodies[0])["messages"][0]
    assert not any(MARKERS.search(text) for text in (messages[1]["content"], *(line["text"] for line in lines)))
    invisible = r"[<>\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2028\u2029]"
    assert not re.search(invisible, messages[1]["content"])

    shown = [line["text"] for line in lines[1:]]
    if kind == "withheld":
        assert shown
        assert set(shown) == {WITHHELD}
        assert "injection_pattern" in verdict.notes
        assert any(e.kind == "false_finding" and e.detail == "withheld" and e.significant for e in verdict.evidence)
    else:
        assert WITHHELD not in shown
    assert attack not in json.dumps([verdict.notes, dict(verdict.details)])


# --- a judge that obeys ---------------------------------------------------------------------------------------------


def obedient_answers(refs: int, cands: int) -> dict[str, dict[str, Any]]:
    """What an attacker might dictate: the lies that a valid answer can hold."""
    r, p = [f"R{i + 1}" for i in range(refs)], [f"P{i + 1}" for i in range(cands)]
    return {
        "nothing to report": {},
        "all normal": {"normal": p},
        "omissions do not matter": {"normal": p, "missing": [{"ref": i, "significant": False} for i in r]},
        "mere comparisons": {
            "comparison_omitted": [{"ref": i, "significant": False} for i in r],
            "comparison_added": [{"cand": i, "significant": False} for i in p],
        },
        "all matched by the first": {"matched": [{"ref": i, "cand": "P1"} for i in r], "normal": p},
        "all matched by the attack": {"matched": [{"ref": i, "cand": p[-1]} for i in r], "normal": p},
        "all slightly off": {
            "severity": [{"ref": i, "cand": p[-1], "significant": False} for i in r], "normal": p,
        },
    }  # fmt: skip


LIES = list(obedient_answers(1, 1))


@pytest.mark.parametrize("lie", LIES)
async def test_obeying_does_not_pay(serve: Any, judging: Any, answer: Any, lie: str) -> None:
    """A template report with an attack is never worth more than 0, whatever the judge is told to answer."""
    server = await serve()
    judge = await judging(server)
    for name, attack in ATTACKS["withheld"].items():
        candidate = f"No acute abnormality.\n{attack}"
        pair = read_pair(candidate, REFERENCE, None, 60)
        said = answer(**obedient_answers(len(pair.reference.statements), len(pair.candidate))[lie])
        server.reply = lambda request, said=said: said
        result = await judge.judge(candidate, REFERENCE, None, deadline=soon())
        # The attack is a significant false finding and matches nothing. The one real sentence can be claimed for
        # one finding of three, which is what the attack costs.
        assert result.values["signed"] <= 0.0, name
        assert result.significant["false_finding"] >= 1.0, name
        assert result.values["green"] <= 0.55, name


@pytest.mark.parametrize("lie", LIES)
async def test_an_unrecognised_attack_is_bounded_by_what_its_words_can_hold(
    verdict: Any, answer: Any, lie: str
) -> None:
    """One sentence in another language is one statement: it can be believed to hold one finding, not three."""
    candidate = f"No acute abnormality. {ATTACKS['shown']['german']}"
    result = await verdict(answer(**obedient_answers(4, 2)[lie]), candidate, REFERENCE)
    assert result.values["signed"] <= 1 / 3 + 1e-12


async def test_the_cap_contains_what_no_law_can(verdict: Any, answer: Any) -> None:
    """A judge that lies statement by statement is believed; the rules judge, which obeys nobody, bounds the reward."""
    candidate = f"Normal chest. Clear lungs. Normal bones. {ATTACKS['shown']['german']}"
    lie = answer(matched=[{"ref": f"R{i}", "cand": f"P{i}"} for i in range(1, 5)])
    result = await verdict(lie, candidate, REFERENCE)
    assert result.values["signed"] == 1.0  # that is why the cap exists
    rules = RulesJudge()
    (bound,) = rules.compare(rules.encode([candidate]), rules.encode([REFERENCE]), [None])
    assert min(result.values["signed"], bound.values["signed"] + 0.2) <= 0.2
