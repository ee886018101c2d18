"""A bank's token endpoint: ask it, and tell a token from each way of not getting one."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx

from nostro import wire
from nostro.auth.lifetimes import Lifetimes, token
from nostro.auth.tokens import Token
from nostro.errors import (
    AccountLocked,
    AddressRefused,
    CodeRefused,
    CredentialsRefused,
    LoginsThrottled,
    NostroError,
    PasswordExpired,
    TokenEndpointUnavailable,
    UnexpectedAnswer,
)

# The only words from a refusal that may appear in a message (RFC 6749 5.2, and the banks' own documents).
_CODES = frozenset(
    [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
        "invalid_credentials",
        "UNAUTHORIZED",
        "REFRESH_TOKEN_EXPIRED",
    ]
)
_PASSING_CODES = frozenset({"temporarily_unavailable", "server_error"})
_REFUSALS = frozenset({400, 401, 403, 422, 423})  # another 4xx, such as 404, says that this is no token endpoint
# How long nobody asks from an address that was refused: allow-lists change by hand, and firewalls change their mind.
_ADDRESS_PAUSE = timedelta(minutes=10)
_LONGEST_TOKEN = 32_768

# What banks write when it is not the password that is wrong. Read, and never shown.
_WORDS = re.compile(r"message|detail|title|description|text$", re.IGNORECASE)
_LOCKED = re.compile(r"\b(user|account|client|access|login)\b.{0,40}\bb?locked\b|locked[ -]?out", re.IGNORECASE)
_EXPIRED = re.compile(r"\b(password|user credentials) (has|have|is|are)? ?expired", re.IGNORECASE)
_THROTTLED = re.compile(r"rate[ _-]?(limit )?exceeded|too many (token |login )?requests", re.IGNORECASE)
_ADDRESS = re.compile(
    r"white-?list|allow-?list|\bip([ -]address(es)?)?\b.{0,60}\bnot\b|\bnot\b.{0,60}\bip\b", re.IGNORECASE
)
_PASSING = re.compile(
    r"maintenance|try again|temporarily|unavailable|internal[ _]?(server[ _]?)?error|timed?[ -]?out|overload",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(r"password|credential|secret|log-?in", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """A token endpoint's answer: its JSON object and the bank's clock (Date header); our clock when it was asked."""

    body: dict[str, Any]
    date: str | None
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Where a connection gets its tokens.

    `fields_to_check` names what to correct when the bank refuses, `host_field` the field that the address is from.
    `after_login`: it is asked with an access token, so that what it refuses is a code, not the credentials.
    """

    line: wire.Line
    bank: str
    fields_to_check: str
    now: Callable[[], datetime]
    host_field: str = "host"
    after_login: bool = False

    def ask(self, method: str, path: str, **request: Any) -> Answer:
        """Send one token request, never a second one.

        Raises AuthError, CertificateError or UnexpectedAnswer.
        """
        asked_at = self.now()
        response = self._response(method, path, request)
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise self._throttled(response)
        if response.is_server_error or response.status_code == httpx.codes.REQUEST_TIMEOUT:
            # Also a 503 may come from a gateway that lost the bank's answer.
            raise self._unavailable(f"status {response.status_code}", response, acted=True)
        try:
            body = wire.parse_json(response)
        except ValueError:
            body = None
        code = _refusal(body)
        known = response.is_client_error and code in _CODES
        if response.status_code in _REFUSALS or known or (response.is_success and code):
            raise self._refused(response, body, code)
        if not response.is_success or not isinstance(body, dict):
            raise self.unexpected(f"status {response.status_code} and no token answer")
        return Answer(body, response.headers.get("date"), asked_at)

    def _response(self, method: str, path: str, request: dict[str, Any]) -> httpx.Response:
        failed: httpx.HTTPError | None = None
        with wire.client(self.line) as client:
            try:
                return wire.exchange(client, method, path, min(self.line.timeout, wire.TOKEN_SECONDS), **request)
            except httpx.HTTPError as error:
                failed = error
        # Raised here, not above: httpx's error holds the request, and with it the credentials.
        refused = wire.certificate_error(failed, self.line.conn_id, self.host_field)
        raise refused or self._unavailable(wire.failure(failed), acted=not wire.never_sent(failed))

    def token_text(self, value: Any, what: str = "access token") -> str:
        """`value` as a token that fits a header. Raises UnexpectedAnswer for anything else."""
        if not isinstance(value, str) or not value or len(value) > _LONGEST_TOKEN:
            raise self.unexpected(f"no {what}")
        if not value.isascii() or not value.isprintable() or " " in value:
            raise self.unexpected(f"an {what} that fits no header")
        return value

    def timed(self, value: str, stated: Any, answer: Answer, life: Lifetimes, **more: Any) -> Token:
        """A token whose life the bank gave as `stated`. Raises UnexpectedAnswer if that is no number.

        Its life begins when it was asked for, not when the answer was read: how long that took is not known.
        """
        try:
            return token(value, stated, lifetimes=life, now=answer.asked_at, server_date=answer.date, **more)
        except (ValueError, ArithmeticError):
            raise self.unexpected("a token whose lifetime is no number") from None

    def check_bearer(self, token_type: Any) -> None:
        """Refuse a token of another type than Bearer (RFC 6749 7.1: a client must not use what it does not know)."""
        if token_type is not None and (not isinstance(token_type, str) or token_type.lower() != "bearer"):
            raise self.unexpected("a token of another type than Bearer")

    def unexpected(self, reason: str) -> UnexpectedAnswer:
        return UnexpectedAnswer(
            conn_id=self.line.conn_id,
            bank=self.bank,
            operation="a token request",
            status=None,
            request_id="-",
            reason=reason,
            advice=f"check that '{self.host_field}' is this bank's API, and ask the bank if it is",
        )

    @property
    def _named(self) -> dict[str, Any]:
        """What each refusal names: connection, bank, and where it was asked, so that a wrong environment is seen."""
        host = f"{self.line.origin} ({wire.environment(self.line.origin)})"
        return {"conn_id": self.line.conn_id, "bank": self.bank, "host": host}

    def _throttled(self, response: httpx.Response) -> LoginsThrottled:
        at = wire.retry_at(response, self.now())
        advice = "nobody asks before the bank's own time is over" if at else "call less often"
        return LoginsThrottled(retry_at=at, **self._named, reason="too many token requests", acted=False, advice=advice)

    def _unavailable(
        self, reason: str, response: httpx.Response | None = None, *, acted: bool
    ) -> TokenEndpointUnavailable:
        # In TLS 1.3 a bank may refuse a client certificate by cutting the connection, without a word.
        certificate = ", that the bank knows this client certificate" if self.line.tls else ""
        advice = f"check '{self.host_field}' and the network{certificate}, or try again later"
        at = wire.retry_at(response, self.now()) if response else None
        return TokenEndpointUnavailable(retry_at=at, **self._named, reason=reason, acted=acted, advice=advice)

    def _refused(self, response: httpx.Response, body: Any, code: str | None) -> NostroError:
        """What a refusal is about: the credentials, if nothing else is said, as trying those again does most harm."""
        # A page without JSON is a gateway's or a firewall's; of its words only those about addresses mean anything.
        said = " ".join(_words(body)) if body is not None else ""
        page = "" if body is not None else response.content[:4096].decode("utf-8", "replace")
        status, known = response.status_code, code in _CODES
        shown = code if known else f"status {status}"
        if _THROTTLED.search(said):
            return self._throttled(response)
        if status == httpx.codes.LOCKED or _LOCKED.search(said):
            advice = "stop all runs, check the credentials and the environment of 'host', and ask the bank to unlock it"
            return AccountLocked(**self._named, advice=advice)
        if _EXPIRED.search(said):
            return PasswordExpired(**self._named)
        vague = not known and status != httpx.codes.UNAUTHORIZED and not _CREDENTIALS.search(said)
        if code in _PASSING_CODES or (vague and _PASSING.search(f"{code} {said}")):
            if response.is_success:
                return self.unexpected("an error in the place of a token")
            return self._unavailable(f"status {status}, for the time being", response, acted=True)
        forbidden = status == httpx.codes.FORBIDDEN and not self.after_login
        if not known and (forbidden or _ADDRESS.search(said + page)):
            advice = "have this machine's public address put on the bank's list, and check the environment"
            if self.line.tls:
                advice += " and that the client certificate is this user's"
            return AddressRefused(retry_at=self.now() + _ADDRESS_PAUSE, **self._named, code=shown, advice=advice)
        if body is None and status not in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return self.unexpected(f"status {status} and no JSON")
        kind = CodeRefused if self.after_login else CredentialsRefused
        bank_time = wire.http_date(response.headers.get("date"))
        return kind(
            **self._named,
            code=shown,
            fields_to_check=self.fields_to_check,
            status=response.status_code,
            bank_time=bank_time.isoformat() if bank_time else None,
        )


def _refusal(body: Any) -> str | None:
    """The code of an error object in any of the banks' shapes, None if there is none."""
    if isinstance(body, list) and body:
        body = {"error": wire.dig(body[0], ["errorCode"])}
    if not isinstance(body, dict):
        return None
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    code = body.get("error") or wire.dig(first, ["code"]) or (body.get("Type") if "Message" in body else None)
    return code if isinstance(code, str) else ("unknown" if code else None)


def _words(value: Any, depth: int = 4) -> Iterator[str]:
    """What an error body says in words, in any of the banks' shapes."""
    if depth and isinstance(value, list):
        for item in value[:10]:
            yield from _words(item, depth - 1)
    elif depth and isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, str) and _WORDS.search(name):
                yield item[:1000]
            yield from _words(item, depth - 1)
