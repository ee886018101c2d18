"""A call to a bank's API: the answer's JSON, or an error that says what to do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from nostro import wire
from nostro.clock import utc_now
from nostro.errors import (
    BankError,
    NostroError,
    OutcomeUnknown,
    Rejected,
    Throttled,
    TokenRefused,
    Unavailable,
    UnexpectedAnswer,
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls over one connection's client. `bank` is the bank's title, for messages."""

    client: httpx.Client
    conn_id: str
    bank: str
    now: Callable[[], datetime] = utc_now

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The JSON at `path`. Raises BankError."""
        return self.json(self.read("GET", path, params=params))

    def search(self, path: str, body: Mapping[str, Any], params: Mapping[str, Any] | None = None) -> Any:
        """The JSON of a POST that only reads. Raises BankError."""
        return self.json(self.read("POST", path, json=body, params=params))

    def read(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The answer of a call that only reads, if it is a success. Raises BankError."""
        return self.checked(self.answer(method, path, **request))

    def answer(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The answer, of whatever status, of a call that reads. Raises Unavailable or CertificateError if none came."""
        failed: httpx.HTTPError | None = None
        try:
            return self.client.request(method, path, **request)
        except httpx.HTTPError as error:
            failed = error
        raise self._no_answer(failed, f"{method} {path}")  # not above: httpx's error holds the signed request

    def write(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> httpx.Response:
        """The answer, of whatever status, of a POST that creates something.

        Raises OutcomeUnknown where it may have been created: no answer, or one that is not the bank's own decision.
        """
        failed: httpx.HTTPError | None = None
        try:
            response = self.client.post(path, json=body, headers=dict(headers))
        except httpx.HTTPError as error:
            failed = error
        if isinstance(failed, httpx.ConnectError | httpx.ConnectTimeout):
            raise self._no_answer(failed, f"POST {path}")
        if failed is not None:
            raise self.unknown(f"POST {path}", wire.failure(failed))
        if response.is_server_error or response.is_redirect or response.status_code in (408, 425):
            raise self.unknown(f"POST {path}", f"status {response.status_code}")
        return response

    def unknown(self, operation: str, reason: str) -> BankError:
        """An error for a write that may have been done or not."""
        advice = "ask for its status, or send it again with the same end_to_end_id"
        return self.error(OutcomeUnknown, operation, reason, advice)

    def _no_answer(self, error: httpx.HTTPError, operation: str) -> NostroError:
        shown = f"{wire.failure(error)} to {self.client.base_url}"
        advice = "check 'host' and the network, or try again later"
        return wire.certificate_error(error, self.conn_id, "host") or self.error(Unavailable, operation, shown, advice)

    def checked(self, response: httpx.Response) -> httpx.Response:
        """`response` if it is a success. Raises the BankError of its status otherwise."""
        status = response.status_code
        if response.is_success:
            return response
        shown = wire.operation(response.request)
        at = wire.retry_at(response, self.now())
        if status == httpx.codes.TOO_MANY_REQUESTS:
            raise self.error(Throttled, shown, "status 429, too many calls", "call less often", response, at)
        if response.is_server_error:
            raise self.error(Unavailable, shown, f"status {status}", "try again later", response, at)
        if status == httpx.codes.UNAUTHORIZED:
            advice = "check that these credentials may use this call"
            raise self.error(TokenRefused, shown, "status 401, the credentials are refused", advice, response)
        if response.is_client_error:
            advice = "check the connection's rights and the identifiers in the call"
            raise self.error(Rejected, shown, f"status {status}", advice, response)
        raise self.unexpected(response, f"status {status}")

    def json(self, response: httpx.Response) -> Any:
        """The JSON of a success. Raises UnexpectedAnswer if there is none."""
        try:
            return wire.parse_json(response)
        except ValueError:
            raise self.unexpected(response, "something that is no JSON") from None

    def unexpected(self, response: httpx.Response | str, reason: str) -> BankError:
        """An error for an answer that does not fit the bank's documents; `reason` in words of our own."""
        shown = response if isinstance(response, str) else wire.operation(response.request)
        advice = "check that 'host' is this bank's API; if it is, the bank has changed and nostro has to follow"
        return self.error(UnexpectedAnswer, shown, reason, advice, None if isinstance(response, str) else response)

    def error(
        self,
        kind: type[BankError],
        operation: str,
        reason: str,
        advice: str,
        response: httpx.Response | None = None,
        retry_at: datetime | None = None,
    ) -> BankError:
        """An error of `kind`, with this call's connection, bank and request id."""
        return kind(
            retry_at=retry_at,
            conn_id=self.conn_id,
            bank=self.bank,
            operation=operation,
            reason=reason,
            advice=advice,
            status=response.status_code if response is not None else None,
            request_id=wire.request_id(response) if response is not None else "-",
        )
