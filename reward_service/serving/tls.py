"""TLS of the listening socket: certificate and key, checked at start, read again on SIGHUP."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from reward_service.errors import ConfigurationError
from reward_service.settings import Settings


def options(settings: Settings) -> dict[str, Any]:
    """uvicorn's options; none without a certificate. Raises `ConfigurationError` for files that cannot be used."""
    if not settings.ssl_certfile:
        if settings.ssl_keyfile or settings.ssl_keyfile_password.get_secret_value():
            name = "REWARD_SSL_KEYFILE" if settings.ssl_keyfile else "REWARD_SSL_KEYFILE_PASSWORD"
            raise ConfigurationError(f"{name} needs REWARD_SSL_CERTFILE.", param="ssl_certfile")
        return {}
    load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), settings)
    return {
        "ssl_certfile": settings.ssl_certfile,
        "ssl_keyfile": settings.ssl_keyfile or None,
        "ssl_keyfile_password": settings.ssl_keyfile_password.get_secret_value() or None,
    }


def load(context: ssl.SSLContext, settings: Settings) -> None:
    """Give the context the certificate and key that the files now hold. Raises `ConfigurationError`."""
    password = settings.ssl_keyfile_password.get_secret_value()
    asked = False

    def given() -> str:  # without a function, OpenSSL would ask for the password at the terminal
        nonlocal asked
        asked = True
        return password

    try:
        context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile or None, password=given)
    except (OSError, ValueError) as error:  # the latter: a password of more than 1,024 bytes
        key = settings.ssl_keyfile or "the same file"
        raise ConfigurationError(
            f"REWARD_SSL_CERTFILE {settings.ssl_certfile} with its key in {key}: {_reason(error, settings, asked)}.",
            param="ssl_certfile",
        ) from None


def _reason(error: Exception, settings: Settings, asked: bool) -> str:
    """What is wrong, of which OpenSSL mostly says no more than "PEM lib". `asked`: whether it asked for a password."""
    if not isinstance(error, ssl.SSLError):
        return getattr(error, "strerror", None) or str(error)
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key belongs to another certificate"
    if asked:
        known = settings.ssl_keyfile_password.get_secret_value()
        return f"the key is encrypted, and REWARD_SSL_KEYFILE_PASSWORD is {'not its password' if known else 'not set'}"
    if b"-----BEGIN CERTIFICATE-----" not in Path(settings.ssl_certfile).read_bytes():
        return "the first file holds no certificate (PEM)"
    if b" PRIVATE KEY-----" not in Path(settings.ssl_keyfile or settings.ssl_certfile).read_bytes():
        return "no private key (PEM) there; REWARD_SSL_KEYFILE names the file that holds it"
    return "a certificate or key is damaged, or of a kind that OpenSSL does not accept"
