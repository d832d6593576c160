"""One list of chat tokens: whoever takes them out of a text takes out those that the list says."""

from __future__ import annotations

import pytest

from judges import chat_tokens
from judges.vllm import statements
from reward_client.trainers import _shared
from reward_service.text.normaliser import normalise
from reward_service.trainers import chat_markup

AT_THE_ENDS = [
    *(f"<{slash}{name}>" for name in (*chat_tokens.SEQUENCE, *chat_tokens.TURNS) for slash in ("", "/")),
    *(f"[{name}]" for name in chat_tokens.ENDS),
    "<|im_end|>",
]
REPORT = "Lungs clear."


@pytest.mark.parametrize("token", AT_THE_ENDS)
def test_what_a_tokenizer_leaves_at_the_end_goes_everywhere(token: str) -> None:
    assert chat_markup.clean(REPORT + token) == REPORT
    assert normalise(REPORT + token).text == REPORT
    if not token.startswith("["):  # encoders' tokens open no turn of a chat
        assert statements.clean(REPORT + token) == REPORT


@pytest.mark.parametrize("name", [*chat_tokens.WRAPPERS, *(n for n in chat_tokens.VOCABULARY if "\\" not in n)])
def test_only_the_normaliser_takes_out_the_rest_of_the_vocabulary(name: str) -> None:
    token = "<0x0A>" if name.startswith("0x") else f"<{name}>"
    assert normalise(REPORT + token).text == REPORT
    assert chat_markup.clean(REPORT + token) == REPORT + token


@pytest.mark.parametrize("name", [*chat_tokens.ROLES, *chat_tokens.CONTENT])
def test_the_judge_is_shown_no_tag_that_may_open_a_turn(name: str) -> None:
    assert statements.clean(f"{REPORT} </ {name} >") == REPORT
    assert statements.has_markers(f"<{name.upper()}>")


@pytest.mark.parametrize("template", chat_tokens.TEMPLATES)
def test_a_turn_of_every_template_ends_the_prompt(template: chat_tokens.Template) -> None:
    prompt = f"{template.user} Report? {template.assistant}"
    assert chat_markup.split_query(prompt + REPORT, None, "q") == (prompt, REPORT)


def test_the_client_takes_out_nothing_that_the_routes_leave() -> None:
    """Its own distribution cannot import the list."""
    assert set(_shared.ENDS) <= set(AT_THE_ENDS)
    assert all(_shared.report(REPORT + token) == REPORT for token in _shared.ENDS)
