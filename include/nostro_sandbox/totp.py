"""Time-based one-time passwords (RFC 6238, six digits, thirty seconds, SHA-1)."""

import base64
import hashlib
import hmac
import struct
import time

STEP = 30


def code(secret: str, step: int) -> str:
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    value = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{value % 1_000_000:06d}"


def matching_step(secret: str, given: str) -> int | None:
    """The step, of the present one and its two neighbours, that the code belongs to."""
    now = int(time.time() // STEP)
    for step in (now, now - 1, now + 1):
        if hmac.compare_digest(code(secret, step), given):
            return step
    return None
