"""Credentials that look real and are the same for the same seed."""

import hashlib
import uuid
from base64 import b32encode

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"


def _bytes(seed: str, name: str, length: int) -> bytes:
    return hashlib.shake_256(f"nostro_sandbox|{seed}|{name}".encode()).digest(length)


def secret(seed: str, name: str, length: int = 40) -> str:
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in _bytes(seed, name, length))


def base32(seed: str, name: str) -> str:
    return b32encode(_bytes(seed, name, 20)).decode()


def unique_id(seed: str, name: str) -> str:
    return str(uuid.UUID(bytes=_bytes(seed, name, 16), version=4))
