"""What cannot be used as certificate and key is refused with what is wrong."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reward_service.errors import ConfigurationError
from reward_service.serving import tls
from reward_service.settings import Settings
from tests.needs import needs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate with its encrypted key, another plain key, and a file of neither."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "neither").write_text("neither")
    for name, *protection in (("own", "-passout", "pass:right"), ("other", "-nodes")):
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-days", "1", "-subj", "/CN=x", *protection]
        files = ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")]
        subprocess.run([*command, *files], check=True, capture_output=True)
    return folder


@needs("openssl")
@pytest.mark.parametrize(
    ("certificate", "key", "password", "words"),
    [
        ("", "", "secret", "REWARD_SSL_KEYFILE_PASSWORD needs REWARD_SSL_CERTFILE"),
        ("", "own.key", "right", "REWARD_SSL_KEYFILE needs REWARD_SSL_CERTFILE"),
        ("own.pem", "own.key", "wrong", "REWARD_SSL_KEYFILE_PASSWORD is not its password"),
        ("own.pem", "own.key", "p" * 2000, "password cannot be longer than"),
        ("own.pem", "own.key", "", "REWARD_SSL_KEYFILE_PASSWORD is not set"),
        ("own.pem", "", "", "REWARD_SSL_KEYFILE names the file"),
        ("own.pem", "neither", "", "no private key"),
        ("own.pem", "other.key", "", "belongs to another certificate"),
        ("other.key", "", "", "holds no certificate"),
        ("own.pem", "absent", "", "No such file"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, certificate: str, key: str, password: str, words: str) -> None:
    paths = {
        "ssl_certfile": str(folder / certificate) if certificate else "",
        "ssl_keyfile": str(folder / key) if key else "",
    }
    with pytest.raises(ConfigurationError, match=words) as caught:
        tls.options(Settings(**paths, ssl_keyfile_password=password))
    assert password == "" or password not in caught.value.message.replace("REWARD_SSL_KEYFILE_PASSWORD", "")


@needs("openssl")
def test_an_encrypted_key_with_its_password_is_used(folder: Path) -> None:
    files = {"ssl_certfile": str(folder / "own.pem"), "ssl_keyfile": str(folder / "own.key")}
    assert tls.options(Settings(**files, ssl_keyfile_password="right")) == {**files, "ssl_keyfile_password": "right"}
