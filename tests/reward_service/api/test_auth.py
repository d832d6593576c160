"""API keys, and the refusal to listen beyond this machine without one."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_service.api.auth import ApiKeys, accepted_keys, new_key, require_safe_address
from reward_service.errors import ConfigurationError, Unauthorized
from reward_service.settings import Settings


def test_any_of_several_keys_is_accepted_under_its_name_and_no_other() -> None:
    (alice, first), (bob, second) = new_key("alice"), new_key("bob")
    keys = ApiKeys([first, second])
    assert (keys.check(f"Bearer {alice}"), keys.check(f"bearer {bob}")) == ("alice", "bob")
    assert first == "alice:" + hashlib.sha256(alice.encode()).hexdigest()  # the entry does not hold the key
    for wrong in (None, "", "Bearer", "Bearer ", alice, f"Basic {alice}", f"Bearer {alice}x", f"Bearer {first}"):
        with pytest.raises(Unauthorized):
            keys.check(wrong)


@given(st.text(max_size=60))
def test_no_header_opens_the_door_or_breaks_it(header: str) -> None:
    with pytest.raises(Unauthorized):
        ApiKeys([new_key("alice")[1]]).check(header)


def test_without_keys_everybody_is_let_in() -> None:
    assert ApiKeys([]).check(None) is None


@pytest.mark.parametrize(
    ("host", "keys", "insecure", "refused"),
    [
        ("127.0.0.1", (), False, False),
        ("127.8.8.8", (), False, False),
        ("::1", (), False, False),
        ("localhost", (), False, False),
        ("0.0.0.0", (), False, True),
        ("::", (), False, True),
        ("10.0.0.7", (), False, True),
        ("some.host", (), False, True),
        ("0.0.0.0", ("a:" + "0" * 64,), False, False),
        ("0.0.0.0", (), True, False),
    ],
)
def test_which_addresses_need_keys(host: str, keys: tuple[str, ...], insecure: bool, refused: bool) -> None:
    if refused:
        with pytest.raises(ConfigurationError, match="REWARD_API_KEYS"):
            require_safe_address(host, keys, insecure)
    else:
        require_safe_address(host, keys, insecure)


def test_a_url_can_carry_the_key() -> None:
    """What a client that takes nothing but a URL makes of http://key:<key>@host (RFC 7617)."""
    key, entry = new_key("trainer")
    keys = ApiKeys([entry])
    assert keys.check("Basic " + base64.b64encode(f"key:{key}".encode()).decode()) == "trainer"
    for wrong in (key, base64.b64encode(key.encode()).decode(), base64.b64encode(b"key:other").decode(), "\u00e4", ""):
        with pytest.raises(Unauthorized):
            keys.check(f"Basic {wrong}")


def test_a_file_of_keys_adds_to_those_of_the_settings(tmp_path: Path) -> None:
    (_, first), (_, second), (_, third) = new_key("a"), new_key("b"), new_key("c")
    file = tmp_path / "keys"
    file.write_text(f"\ufeff# keys\r\n\r\n  {second}  \n{third}")
    assert accepted_keys(Settings(api_keys=(first,), api_keys_file=str(file))) == (first, second, third)
    assert accepted_keys(Settings(api_keys=(first,))) == (first,)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", "holds no"),
        (b"# nothing yet\n\n", "holds no"),
        (b"alice:secret\n", "line 1"),
        (b"\nalice:" + b"0" * 64 + b"\nrr-abc", "line 3"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_a_file_without_sound_keys_is_refused_and_not_quoted(tmp_path: Path, content: bytes | None, words: str) -> None:
    """An empty one above all: without keys everybody is let in."""
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=words) as caught:
        accepted_keys(Settings(api_keys_file=str(file)))
    assert "REWARD_API_KEYS_FILE" in caught.value.message
    assert "secret" not in caught.value.message
    assert "rr-abc" not in caught.value.message
