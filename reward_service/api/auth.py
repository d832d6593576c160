"""API keys: several, named, stored as sha256, compared in constant time.

Keys are long random strings (`reward-service new-key`), so a plain hash is enough: there is nothing to
guess that a slow hash would protect.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Sequence
from pathlib import Path

from reward_service.errors import ConfigurationError, Unauthorized
from reward_service.settings import Settings, is_key


class ApiKeys:
    """The accepted keys, from ``name:sha256-hex`` entries. No entries: every request is let in."""

    def __init__(self, entries: Sequence[str]) -> None:
        self.accept(entries)

    def accept(self, entries: Sequence[str]) -> None:
        """These instead of the ones before."""
        self._digests = [(name, digest) for name, _, digest in (entry.partition(":") for entry in entries)]

    def check(self, authorization: str | None) -> str | None:
        """Name of the key in an `Authorization` header; None when no keys are set. Raises `Unauthorized`."""
        if not self._digests:
            return None
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() == "basic":
            key = _password(key)
        given = hashlib.sha256(key.strip().encode()).hexdigest()
        name = None
        for candidate, digest in self._digests:  # every entry, whatever the outcome: constant time
            if hmac.compare_digest(digest, given):
                name = candidate
        if scheme.lower() not in ("bearer", "basic") or name is None:
            raise Unauthorized(
                "Send a valid API key as 'Authorization: Bearer <key>', or in the URL as http://key:<key>@host."
            )
        return name


def accepted_keys(settings: Settings) -> tuple[str, ...]:
    """Entries for `ApiKeys`: those of the settings and those that the file now holds.

    In the file, blank lines and lines that begin with ``#`` are left out. Raises `ConfigurationError` for a file that
    cannot be read, has a line that is no key, or no key at all: without keys everybody would be let in.
    """
    path = settings.api_keys_file
    if not path:
        return settings.api_keys
    try:
        lines = [line.strip() for line in Path(path).read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigurationError(f"REWARD_API_KEYS_FILE {path}: {reason}.", param="api_keys_file") from None
    entries = {number: line for number, line in enumerate(lines, 1) if line and not line.startswith("#")}
    wrong = [number for number, entry in entries.items() if not is_key(entry)]
    if wrong or not entries:
        fault = f"line {wrong[0]} is no" if wrong else "it holds no"
        raise ConfigurationError(
            f"REWARD_API_KEYS_FILE {path}: {fault} name:sha256-hex; make one with `reward-service new-key NAME`.",
            param="api_keys_file",
        )
    return (*settings.api_keys, *entries.values())


def _password(credentials: str) -> str:
    """That of HTTP's Basic scheme (RFC 7617), which is what a client makes of a URL with a password."""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def new_key(name: str) -> tuple[str, str]:
    """A fresh key, and the ``name:sha256-hex`` entry for REWARD_API_KEYS."""
    key = f"rr-{secrets.token_urlsafe(32)}"
    return key, f"{name}:{hashlib.sha256(key.encode()).hexdigest()}"


def require_safe_address(host: str, api_keys: Sequence[str], insecure: bool) -> None:
    """Refuse to listen beyond this machine without keys. Raises `ConfigurationError`."""
    if api_keys or insecure or host == "localhost":
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ConfigurationError(
            f"Refusing to listen on {host} without API keys: anyone who reaches it could use it. Set REWARD_API_KEYS "
            "or REWARD_API_KEYS_FILE (make a key with `reward-service new-key NAME`), or --insecure if the network "
            "itself is trusted.",
            param="api_keys",
        )
