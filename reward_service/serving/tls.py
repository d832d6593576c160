"""TLS of the listening socket: certificate and key, checked at start, read again on SIGHUP."""

from __future__ import annotations

import ssl
from typing import Any

from reward_service.errors import ConfigurationError
from reward_service.settings import Settings


def options(settings: Settings) -> dict[str, Any]:
    """uvicorn's options; none without a certificate. Raises `ConfigurationError` for files that cannot be used."""
    if not settings.ssl_certfile:
        if settings.ssl_keyfile:
            raise ConfigurationError("REWARD_SSL_KEYFILE needs REWARD_SSL_CERTFILE.", param="ssl_certfile")
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
    try:
        # A function, because without one OpenSSL would ask for the password at the terminal.
        context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile or None, password=lambda: password)
    except OSError as error:
        key = settings.ssl_keyfile or "the same file"
        raise ConfigurationError(
            f"REWARD_SSL_CERTFILE {settings.ssl_certfile} with its key in {key}: {error.strerror or error}.",
            param="ssl_certfile",
        ) from None
