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
from nostro.auth.codes import Codes
from nostro.auth.endpoint import Answer, TokenEndpoint
from nostro.auth.lifetimes import Lifetimes
from nostro.auth.source import TokenSource
from nostro.auth.tokens import Token
from nostro.connection import BankConnection
from nostro.errors import CodeRefused, NostroError, SecondFactorDue, TokenEndpointUnavailable, UnexpectedAnswer

HEADER = "Fineract-Platform-TFA-Token"
_STEP = 30
_LIFETIMES = Lifetimes(documented=timedelta(days=1))
_CODE_LIFE = timedelta(minutes=5)
# How often a parked task looks for the code, and how long tasks wait for a person.
_LOOK_AGAIN = timedelta(seconds=30)
_PATIENCE = timedelta(days=1)
_CODES = ("code", "errorCode", "graphqlCode", "userMessageGlobalisationCode")
_MESSAGES = ("message", "developerMessage", "defaultUserMessage")
_RESTRICTED = re.compile(r"Access to type .* is restricted")


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """Verifies the user: by TOTP (RFC 6238), or by a code that the bank sends to a person, who hands it in.

    `account` names the user in `codes`. `due` is the error for a code that is awaited.
    """

    endpoint: TokenEndpoint
    login: TokenSource
    codes: Codes
    account: str
    due: type[SecondFactorDue]
    totp_secret: bytes | None = field(repr=False)
    delivery_method: str = ""
    sleep: Callable[[float], None] = time.sleep

    def verify(self) -> Token:
        return self._by_totp() if self.totp_secret else self._by_person()

    def _by_totp(self) -> Token:
        try:
            return self._validate(self._next_code(timedelta()), "TOTP")
        except CodeRefused as refused:
            # A person may have used this step's code, or one of the two clocks may be off: once more, by the bank's.
            bank_time = refused.fields["bank_time"]
            offset = datetime.fromisoformat(bank_time) - self.endpoint.now() if bank_time else timedelta()
            believable = offset if abs(offset) < timedelta(days=1) else timedelta()
            return self._validate(self._next_code(believable), "TOTP")

    def _next_code(self, offset: timedelta) -> str:
        """The first code, by a clock `offset` from ours, that nobody has sent yet; waits for it 30 s at most."""
        assert self.totp_secret is not None
        code = TOTP(self.totp_secret, 6, SHA1(), _STEP, enforce_key_length=False)  # noqa: S303 (RFC 6238's default)
        for last in (False, True):
            now = (self.endpoint.now() + offset).timestamp()
            if self.codes.claim_step(self.account, int(now) // _STEP):
                return code.generate(int(now)).decode()
            if not last:
                self.sleep(_STEP - now % _STEP)
        raise TokenEndpointUnavailable(
            retry_at=self.endpoint.now() + timedelta(seconds=_STEP),
            conn_id=self.endpoint.line.conn_id,
            bank="Mbanq",
            host=self.endpoint.line.origin,
            reason="every code of this minute has been used",
            acted=False,
            advice="try again later",
        )

    def _by_person(self) -> Token:
        self.login.get()  # before the code is taken: a login that fails must not cost it
        taken = self.codes.take(self.account)
        if taken is None:
            raise self._awaited()
        try:
            token = self._validate(taken[0], self._way)
        except CodeRefused:
            raise self._due("refused the one that was handed in") from None
        except TokenEndpointUnavailable as error:
            if not error.fields["acted"]:
                self.codes.hand_in(self.account, *taken)
            raise
        self.codes.settle(self.account)
        return token

    def _awaited(self) -> SecondFactorDue:
        """The first task to wait has the bank send a code; whoever comes later only waits."""
        awaited = self.codes.awaited(self.account)
        if awaited is None:
            self.send_code()
            awaited = self.codes.awaited(self.account)
        since = awaited.since if awaited else self.endpoint.now()
        if self.endpoint.now() < since + _PATIENCE:
            return self._due(f"a code by {self._way} is awaited since {since:%Y-%m-%d %H:%M} UTC")
        tired = self._named(f"nobody has handed in the code since {since:%Y-%m-%d %H:%M} UTC", SecondFactorDue)
        tired.remedy = "ask"
        return tired

    def send_code(self) -> datetime:
        """Have the bank send a code to the person; gives until when it is good."""
        self.login.get()  # a login that fails must leave nobody waiting for a code
        # Noted before the bank is asked: to die in between leaves tasks that wait, and a person who can ask again.
        first = self.codes.awaited(self.account) is None
        self.codes.await_code(self.account, None)
        try:
            answer = self._ask("/v1/twofactor", {"deliveryMethod": self._way, "extendedToken": False})
        except NostroError as error:
            if first and not _may_have_been_sent(error):  # nobody waits for what is not on its way
                self.codes.settle(self.account)
            raise
        until = answer.asked_at + _span(answer.body)
        self.codes.await_code(self.account, until)
        return until

    @property
    def _way(self) -> str:
        return self.delivery_method or "EMAIL"

    def _validate(self, code: str, method: str) -> Token:
        answer = self._ask("/v1/twofactor/validate", {"token": code, "deliveryMethod": method})
        value = self.endpoint.token_text(answer.body.get("token"), "verification token")
        return self.endpoint.timed(value, _seconds(answer.body), answer, _LIFETIMES)

    def _ask(self, path: str, body: dict[str, Any]) -> Answer:
        access = self.login.get()
        try:
            return self.endpoint.ask("POST", path, headers=_bearer(access), json=body)
        except CodeRefused as refused:
            status = refused.fields["status"]
            if status != httpx.codes.UNAUTHORIZED or self.login.just_renewed(access.value):
                raise
            # It is the access token that the bank refused, not the code: the code is still unused.
            return self.endpoint.ask("POST", path, headers=_bearer(self.login.get(refused=access.value)), json=body)

    def _due(self, reason: str) -> SecondFactorDue:
        return self._named(reason, self.due, self.endpoint.now() + _LOOK_AGAIN)

    def _named(self, reason: str, kind: type[SecondFactorDue], at: datetime | None = None) -> SecondFactorDue:
        conn_id = self.endpoint.line.conn_id
        advice = (
            f"hand the code in by `airflow nostro code {conn_id}`, enter a 'totp_secret', "
            "or ask the bank for a user with the permission BYPASS_TWOFACTOR"
        )
        return kind(retry_at=at, conn_id=conn_id, bank="Mbanq", reason=reason, advice=advice)


def _may_have_been_sent(error: NostroError) -> bool:
    return isinstance(error, UnexpectedAnswer) or bool(error.fields.get("acted"))


def _bearer(access: Token) -> dict[str, str]:
    return {"Authorization": f"Bearer {access.value}"}


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
        return response.is_client_error and _RESTRICTED.search(response.content.decode("utf-8", "replace")) is not None


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


def _span(body: dict[str, Any]) -> timedelta:
    """How long a code is good: from `requestTime` to `expirationTime`, which carry no zone either."""
    try:
        begins, ends = (_instant(body[name]) for name in ("requestTime", "expirationTime"))
    except (KeyError, TypeError, ValueError):
        return _CODE_LIFE
    return min(max(ends - begins, timedelta(minutes=1)), timedelta(hours=1))


def _instant(value: dict[str, Any]) -> datetime:
    year, month, day = value["date"]
    time = value["time"]
    return datetime(year, month, day, time["hour"], time["minute"], time.get("second") or 0)  # noqa: DTZ001 (see _span)
