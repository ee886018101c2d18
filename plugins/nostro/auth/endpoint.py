"""A bank's token endpoint: ask it, and tell a token from each way of not getting one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from nostro import wire
from nostro.auth.lifetimes import Lifetimes, token
from nostro.auth.tokens import Token
from nostro.errors import (
    AccountLocked,
    CredentialsRefused,
    NostroError,
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
_REFUSALS = frozenset({400, 401, 403, 422})  # another 4xx, such as 404, says that this is no token endpoint
_LONGEST_TOKEN = 32_768


@dataclass(frozen=True, slots=True)
class Answer:
    """A token endpoint's answer: its JSON object and the bank's clock (Date header)."""

    body: dict[str, Any]
    date: str | None


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Where a connection gets its tokens.

    `fields_to_check` names what to correct when the bank refuses, `host_field` the field that the address is from.
    """

    line: wire.Line
    bank: str
    fields_to_check: str
    now: Callable[[], datetime]
    host_field: str = "host"

    def ask(self, method: str, path: str, **request: Any) -> Answer:
        """Send one token request, never a second one.

        Raises CredentialsRefused, AccountLocked, CertificateError, TokenEndpointUnavailable or UnexpectedAnswer.
        """
        failed: httpx.HTTPError | None = None
        with wire.client(self.line) as client:
            try:
                response = client.request(method, path, timeout=min(self.line.timeout, wire.TOKEN_TIMEOUT), **request)
            except httpx.HTTPError as error:
                failed = error
        if failed is not None:  # raised here, not above: httpx's error holds the request, and with it the credentials
            refused = wire.certificate_error(failed, self.line.conn_id, self.host_field)
            raise refused or self._unavailable(wire.failure(failed), None)
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise self._unavailable("too many token requests", wire.retry_at(response, self.now()))
        if response.is_server_error or response.status_code == httpx.codes.REQUEST_TIMEOUT:
            raise self._unavailable(f"status {response.status_code}", wire.retry_at(response, self.now()))
        try:
            body = wire.parse_json(response)
        except ValueError:
            body = None
        code = _refusal(body) if isinstance(body, dict) else None
        known = response.is_client_error and code in _CODES
        if response.status_code in _REFUSALS or known or (response.is_success and code):
            raise self._refused(response, body if isinstance(body, dict) else {})
        if not response.is_success or not isinstance(body, dict):
            raise self.unexpected(f"status {response.status_code} and no JSON object")
        return Answer(body, response.headers.get("date"))

    def token_text(self, value: Any, what: str = "access token") -> str:
        """`value` as a token that fits a header. Raises UnexpectedAnswer for anything else."""
        if not isinstance(value, str) or not value or len(value) > _LONGEST_TOKEN:
            raise self.unexpected(f"no {what}")
        if not value.isascii() or not value.isprintable() or " " in value:
            raise self.unexpected(f"an {what} that fits no header")
        return value

    def timed(self, value: str, stated: Any, answer: Answer, life: Lifetimes, **more: Any) -> Token:
        """A token received now, whose life the bank gave as `stated`. Raises UnexpectedAnswer if that is no number."""
        try:
            return token(value, stated, lifetimes=life, now=self.now(), server_date=answer.date, **more)
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

    def _unavailable(self, reason: str, at: datetime | None) -> TokenEndpointUnavailable:
        # In TLS 1.3 a bank may refuse a client certificate by cutting the connection, without a word.
        certificate = ", that the bank knows this client certificate" if self.line.tls else ""
        advice = f"check '{self.host_field}' and the network{certificate}, or try again later"
        return TokenEndpointUnavailable(
            retry_at=at,
            conn_id=self.line.conn_id,
            bank=self.bank,
            host=self.line.origin,
            reason=reason,
            advice=advice,
        )

    def _refused(self, response: httpx.Response, body: dict[str, Any]) -> NostroError:
        code = _refusal(body)
        shown = code if code in _CODES else f"status {response.status_code}"
        if code == "unauthorized_client" and "locked" in str(body.get("error_description", "")).lower():
            advice = "stop all runs, check the credentials and the environment of 'host', and ask the bank to unlock it"
            return AccountLocked(conn_id=self.line.conn_id, bank=self.bank, advice=advice)
        return CredentialsRefused(
            conn_id=self.line.conn_id,
            bank=self.bank,
            code=shown,
            fields_to_check=self.fields_to_check,
            status=response.status_code,
        )


def _refusal(body: dict[str, Any]) -> str | None:
    """The code of an error object in any of the banks' shapes, None if there is none."""
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    code = body.get("error") or wire.dig(first, ["code"]) or (body.get("Type") if "Message" in body else None)
    return code if isinstance(code, str) else ("unknown" if code else None)
