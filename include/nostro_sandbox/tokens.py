"""Tokens a bank has given out, and what has become of them."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa


@dataclass
class Token:
    value: str
    expires_at: float
    family: str = ""
    bound: str = ""
    used: bool = False
    revoked: bool = field(default=False)

    @property
    def expired(self) -> bool:
        return time.time() >= self.expires_at

    @property
    def alive(self) -> bool:
        return not self.revoked and not self.expired


class Tokens:
    """All tokens of one sort. Dead ones are kept, so that "expired" and "unknown" differ."""

    def __init__(self) -> None:
        self._by_value: dict[str, Token] = {}

    def issue(self, value: str, lifetime: float, family: str = "", bound: str = "") -> Token:
        token = Token(value, time.time() + lifetime, family, bound)
        self._by_value[value] = token
        return token

    def find(self, value: str) -> Token | None:
        return self._by_value.get(value)

    def last_alive(self, bound: str = "") -> Token | None:
        alive = (token for token in reversed(self._by_value.values()) if token.alive and token.bound == bound)
        return next(alive, None)

    def revoke_all(self) -> None:
        for token in self._by_value.values():
            token.revoked = True

    def revoke_family(self, family: str) -> None:
        for token in self._by_value.values():
            if token.family == family:
                token.revoked = True

    def forget(self) -> None:
        self._by_value.clear()


def opaque() -> str:
    return secrets.token_hex(16)


def signed(claims: Mapping[str, Any], key: rsa.RSAPrivateKey | str, algorithm: str) -> str:
    return jwt.encode(dict(claims), key, algorithm=algorithm)


def claims(value: str) -> dict[str, Any]:
    """What a JWT of ours says."""
    found: dict[str, Any] = jwt.decode(value, options={"verify_signature": False})
    return found
