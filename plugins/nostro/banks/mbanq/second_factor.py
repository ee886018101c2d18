"""Mbanq's second factor: a one-time code becomes a verification token that goes beside the access token.

Paths and header are Apache Fineract's, on which Mbanq is built: `/v1/twofactor`, `Fineract-Platform-TFA-Token`.
"""

import base64
import binascii
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from nostro import wire
from nostro.auth.cache import TokenSource
from nostro.auth.endpoint import TokenEndpoint
from nostro.auth.lifetimes import Lifetimes
from nostro.auth.tokens import Token
from nostro.connection import BankConnection
from nostro.errors import CredentialsRefused, SecondFactorDue

HEADER = "Fineract-Platform-TFA-Token"
_STEP = 30
_LIFETIMES = Lifetimes(documented=timedelta(days=1))
_CODES = ("code", "errorCode", "graphqlCode", "userMessageGlobalisationCode")
_MESSAGES = ("message", "developerMessage", "defaultUserMessage")
_RESTRICTED = re.compile(r"Access to type .* is restricted")


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """Verifies the user by a TOTP code (RFC 6238). Codes by e-mail or SMS need a person: none is asked for here."""

    endpoint: TokenEndpoint
    login: TokenSource
    totp_secret: bytes | None = field(repr=False)
    delivery_method: str = ""
    sleep: Callable[[float], None] = time.sleep

    def __call__(self, previous: Token | None) -> Token:
        if self.totp_secret is None:
            raise self._due()
        self._await_next_code(previous)
        access = self.login.get()
        try:
            return self._validate(access)
        except CredentialsRefused as refused:
            if refused.fields["status"] != httpx.codes.UNAUTHORIZED:
                raise
            # It is the access token that the bank refused, not the code: the code is still unused.
            return self._validate(self.login.get(refused=access.value))

    def _validate(self, access: Token) -> Token:
        assert self.totp_secret is not None
        code = TOTP(self.totp_secret, 6, SHA1(), _STEP, enforce_key_length=False)  # noqa: S303 (RFC 6238's default)
        now = self.endpoint.now()
        answer = self.endpoint.ask(
            "POST",
            "/v1/twofactor/validate",
            headers={"Authorization": f"Bearer {access.value}"},
            json={"token": code.generate(int(now.timestamp())).decode(), "deliveryMethod": "TOTP"},
        )
        value = self.endpoint.token_text(answer.body.get("token"), "verification token")
        return self.endpoint.timed(value, _seconds(answer.body), answer, _LIFETIMES)

    def _await_next_code(self, previous: Token | None) -> None:
        """A code counts once (RFC 6238 5.2): if this step's was spent on `previous`, await the next, 30 s at most."""
        now = self.endpoint.now().timestamp()
        if previous and int(previous.issued_at.timestamp()) // _STEP == int(now) // _STEP:
            self.sleep(_STEP - now % _STEP)

    def _due(self) -> SecondFactorDue:
        way = self.delivery_method or "e-mail or SMS"
        return SecondFactorDue(
            conn_id=self.endpoint.line.conn_id,
            bank="Mbanq",
            reason=f"this connection can only have the code by {way}, which needs a person",
            advice="enter a 'totp_secret', or ask the bank for a user with the permission BYPASS_TWOFACTOR",
        )


def secret_of_totp(connection: BankConnection) -> bytes | None:
    """The key in `totp_secret`, None if the field is empty. Raises ConfigurationError if it is not base32."""
    text = connection.optional("totp_secret")
    if text is None:
        return None
    letters = re.sub(r"[\s=-]", "", text).upper()
    if not letters:
        return None
    try:
        return base64.b32decode(letters + "=" * (-len(letters) % 8))
    except (ValueError, binascii.Error):
        advice = "enter the secret that the bank showed when TOTP was set up, letters and digits 2 to 7"
        raise connection.error("totp_secret", "it is not base32", advice) from None


def verification_ended(response: httpx.Response) -> bool:
    """Whether the bank says that the second factor is missing or its verification has ended.

    The documents put `RESTRICTED` into `code`, the bank's SDK into `extensions.code`; Fineract itself answers 401 and
    names the second factor as the challenge's realm.
    """
    if "two factor" in response.headers.get("www-authenticate", "").lower():
        return True
    if b"estricted" not in response.content and b"RESTRICTED" not in response.content:
        return False
    try:
        return _says_restricted(wire.parse_json(response))
    except ValueError:
        return response.is_client_error and _RESTRICTED.search(response.text) is not None


def _says_restricted(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_says_restricted, value))
    if not isinstance(value, dict):
        return False
    for name, item in value.items():
        if name in _CODES and item == "RESTRICTED":
            return True
        if name in _MESSAGES and isinstance(item, str) and _RESTRICTED.search(item):
            return True
        if name in ("errors", "error", "extensions", "details") and _says_restricted(item):
            return True
    return False


def _seconds(body: dict[str, Any]) -> Any:
    """The verification's life: from `validFrom` to `validTo`, which carry no zone, so that only their span counts."""
    try:
        ends, begins = (datetime.fromisoformat(body[name]) for name in ("validTo", "validFrom"))
        return int((ends - begins).total_seconds())
    except (KeyError, TypeError, ValueError):
        return None
