"""Mbanq's second factor: codes by time or by message, and the tokens they are changed for."""

import secrets
import time
from typing import Any

from nostro_sandbox import totp
from nostro_sandbox.tokens import Tokens, opaque

METHODS = ("EMAIL", "SMS", "TOTP")
CODE_LIFETIME = 300
TOKEN_LIFETIME = 86400
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


class SecondFactor:
    def __init__(self, totp_secret: str) -> None:
        self.deliveries: list[dict[str, Any]] = []  # what the person would find in the mail box or on the phone
        self._totp_secret = totp_secret
        self._tokens = Tokens()
        self._used_steps: set[int] = set()

    def send(self, method: str, lifetime: float) -> None:
        code, now = "".join(secrets.choice(_LETTERS) for _ in range(5)), time.time()
        sent = {"delivery_method": method, "token": code, "sent_at": now, "expires_at": now + lifetime, "used": False}
        self.deliveries.append(sent)

    def accepts(self, method: str, code: str) -> bool:
        """Whether it is a right code; each counts once."""
        return self._accepts_by_time(code) if method == "TOTP" else self._accepts_sent(method, code)

    def _accepts_by_time(self, code: str) -> bool:
        step = totp.matching_step(self._totp_secret, code)
        if step is None or step in self._used_steps:
            return False
        self._used_steps.add(step)
        return True

    def _accepts_sent(self, method: str, code: str) -> bool:
        # As at Fineract, a new code takes the place of the one before.
        for sent in self.deliveries[-1:]:
            fresh = not sent["used"] and time.time() < sent["expires_at"]
            if fresh and (sent["delivery_method"], sent["token"]) == (method, code.upper()):
                sent["used"] = True
                return True
        return False

    def grant(self, lifetime: float) -> str:
        return self._tokens.issue(opaque(), lifetime).value

    def lets_in(self, value: str) -> bool:
        token = self._tokens.find(value)
        return token is not None and token.alive

    def revoke(self) -> None:
        self._tokens.revoke_all()

    def forget(self) -> None:
        self._tokens.forget()
        self.deliveries.clear()
        self._used_steps.clear()
