"""What every bank of the sandbox has: a door, books, tokens, faults, counters.

A bank is a class in a module of `nostro_sandbox.banks`; nothing else names it.
It says which endpoints it has and how its errors look; counting, faults and
the clock happen here, the same for all.
"""

import asyncio
import math
import random
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import formatdate
from enum import Enum
from typing import Any, ClassVar
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nostro_sandbox import credentials
from nostro_sandbox.books import Book
from nostro_sandbox.faults import Check, Faults
from nostro_sandbox.log import RequestLog
from nostro_sandbox.payouts import Payouts
from nostro_sandbox.pki import Pki
from nostro_sandbox.shapes import misshapen
from nostro_sandbox.stats import Stats
from nostro_sandbox.tokens import Token, Tokens
from nostro_sandbox.wire import JsonObject, WireError, json_response

# Never in a query, whatever they hold: queries end up in access logs.
_SECRET_PARAMETERS = frozenset(
    {
        "access_token",
        "refresh_token",
        "token",
        "password",
        "client_secret",
        "clientsecret",
        "api_key",
        "apikey",
        "api-key",
    }
)


class Kind(Enum):
    TOKEN = "token"
    DATA = "data"
    PERSON = "person"  # second factor and user details: neither a login nor a call on data


Handler = Callable[[Request], Awaitable[Any]]


@dataclass(frozen=True)
class Endpoint:
    method: str
    path: str
    handler: Handler
    kind: Kind = Kind.DATA


@dataclass(frozen=True)
class Setup:
    seed: str
    accounts: int
    entries: int
    today: date
    latency: float
    pki: Pki


class Refused(Exception):
    """The bank says no, in its own words; ``counts`` names the counters this adds to."""

    def __init__(
        self,
        status: int,
        body: Any,
        counts: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status)
        self.counts = counts
        self.response = Response(b"", status, headers) if body is None else json_response(body, status, headers)


class Bank(ABC):
    conn_type: ClassVar[str]
    zone: ClassVar[ZoneInfo] = ZoneInfo("UTC")
    mutual_tls: ClassVar[bool] = False
    slash_optional: ClassVar[bool] = False  # whether a path may also end in a slash
    token_lifetime: ClassVar[float] = 3600
    own_faults: ClassVar[Mapping[str, Check]] = {}

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.stats = Stats()
        self.log = RequestLog()
        self.faults = Faults(self.own_faults)
        self.access_tokens = Tokens()
        self.refresh_tokens = Tokens()
        self.book = Book(self.zone)
        self.payouts = Payouts(self.book, self.now)
        self.rng = random.Random(f"{setup.seed}|{self.conn_type}|{setup.today}")
        self._secrets: set[str] = set()

    # What a bank says about itself

    @classmethod
    def listeners(cls) -> Sequence[str]:
        """The names of its ports, the data API first."""
        return (cls.conn_type,)

    @abstractmethod
    def endpoints(self) -> Mapping[str, Sequence[Endpoint]]:
        """The endpoints behind each port."""

    @abstractmethod
    def connection(self, urls: Mapping[str, str]) -> JsonObject:
        """``login``, ``password`` and ``extra`` of a connection to it."""

    @abstractmethod
    def error(self, kind: Kind, status: int, message: str) -> Any:
        """The body of an error in the bank's own shape."""

    @abstractmethod
    async def authenticate(self, request: Request) -> None:
        """Refuse who does not show good credentials, whatever path was asked for."""

    def address_refused(self, message: str) -> Response:
        """What a caller from an unknown address gets, be it from the bank or from what stands before it."""
        return json_response(self.error(Kind.TOKEN, 403, message), 403)

    def truth(self) -> JsonObject:
        self._settle()
        return {**self.book.truth(), "payouts": self.payouts.truth()}

    def decorate(self, response: Response, kind: Kind) -> None:  # noqa: B027  (most banks add nothing)
        """Headers the bank puts on every answer."""

    def revoke(self, fault: str) -> None:
        """Do a one-off fault."""
        {"revoke": self.access_tokens, "revoke_refresh": self.refresh_tokens}[fault].revoke_all()

    def forget(self) -> None:
        """As new, but for the books."""
        self.stats.clear()
        self.log.clear()
        self.faults.replace({})
        self.access_tokens.forget()
        self.refresh_tokens.forget()

    # What its endpoints use

    def secret(self, name: str, length: int = 40) -> str:
        value = credentials.secret(self.setup.seed, f"{self.conn_type} {name}", length)
        self._secrets.add(value)
        return value

    def now(self) -> float:
        """The bank's clock, as it states it; true validity goes by the real one."""
        return time.time() + float(self.faults.get("clock_offset", 0))

    def stated_time(self) -> datetime:
        return datetime.fromtimestamp(self.now(), UTC)

    def lifetime(self) -> float:
        return float(self.faults.get("token_lifetime", self.token_lifetime))

    def stated_lifetime(self, value: Any) -> Any:
        """What stands in the expiry field: this value, unless a fault puts something else there."""
        return self.faults.get("token_lifetime_raw") if "token_lifetime_raw" in self.faults else value

    def stated_seconds(self, seconds: float) -> Any:
        """The expiry field of a bank that states a duration."""
        return self.stated_lifetime(seconds if seconds % 1 else int(seconds))

    def access_token(self, issue: Callable[[float], Token], bound: str = "") -> tuple[Token, float]:
        """The access token to hand out and the seconds it has left: one issued now, unless a fault says the last."""
        last = self.access_tokens.last_alive(bound) if self.faults.get("same_token") else None
        if last is not None:
            return last, math.floor(last.expires_at - time.time())
        lifetime = self.lifetime()
        return issue(lifetime), lifetime

    def usable_refresh_token(self, value: str) -> Token | None:
        token = self.refresh_tokens.find(value)
        if token is not None and token.used:
            # Somebody holds a copy: nobody keeps the family.
            self.stats.count("refresh_reuse")
            self.refresh_tokens.revoke_family(token.family)
            self.access_tokens.revoke_family(token.family)
        return token if token is not None and token.alive and not token.used else None

    def live_token(self, value: str) -> Token | None:
        token = self.access_tokens.find(value)
        return token if token is not None and token.alive else None

    # The door

    def app(self, listener: str, control: Sequence[BaseRoute]) -> ASGIApp:
        routes, endpoints = list(control), self.endpoints()[listener]
        for endpoint in endpoints:
            paths = [endpoint.path] + ([endpoint.path + "/"] if self.slash_optional else [])
            routes += [Route(path, self._served(endpoint), methods=[endpoint.method]) for path in paths]
        app = Starlette(routes=routes, exception_handlers={HTTPException: self._no_such_call(endpoints)})
        app.router.redirect_slashes = False
        return self._dated(app)

    def _dated(self, app: ASGIApp) -> ASGIApp:
        async def dated(scope: Scope, receive: Receive, send: Send) -> None:
            async def send_dated(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message["headers"].append((b"date", formatdate(self.now(), usegmt=True).encode()))
                await send(message)

            await app(scope, receive, send_dated)

        return dated

    def _no_such_call(self, endpoints: Sequence[Endpoint]) -> Callable[[Request, Exception], Awaitable[Response]]:
        """What becomes of a call on none of the endpoints: as at a gateway, 401 comes before 404 and 405."""
        logins = {endpoint.path for endpoint in endpoints if endpoint.kind is Kind.TOKEN}
        only_logins = all(endpoint.kind is Kind.TOKEN for endpoint in endpoints)

        async def no_such_call(request: Request, exc: Exception) -> Response:
            status = exc.status_code if isinstance(exc, HTTPException) else 404

            async def refuse(request: Request) -> Any:
                if not only_logins and request.url.path not in logins:
                    await self.authenticate(request)
                raise WireError(f"No {request.method} {request.url.path} here", status)

            return await self._served(Endpoint(request.method, request.url.path, refuse))(request)

        return no_such_call

    def _served(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def served(request: Request) -> Response:
            entry = self.log.arrived(request.method, request.url.path)
            self._count_arrival(endpoint.kind)
            response = await self._answer(request, endpoint)
            self._count_answer(endpoint.kind, response.status_code)
            self.decorate(response, endpoint.kind)
            await self._take_time(endpoint.kind)
            if endpoint.kind is Kind.TOKEN and response.status_code < 300:
                response = self._misshapen(response)
            if self._is_lost(endpoint.kind, request.url.path):
                await _cut(request)
            else:
                entry["status"] = response.status_code
            return self._dripping(response, endpoint.kind)

        return served

    async def _answer(self, request: Request, endpoint: Endpoint) -> Response:
        self._settle()
        try:
            self._refuse_secrets_in_query(request)
            if endpoint.kind is Kind.TOKEN and self.faults.get("address_refused"):
                assert request.client is not None
                return self.address_refused(f"The IP address {request.client.host} is not on the allow-list")
            self._throttle_or_fail(endpoint.kind)
            answer = await endpoint.handler(request)
        except WireError as error:
            self.stats.count("protocol_errors")
            return json_response(self.error(endpoint.kind, error.status, error.message), error.status)
        except Refused as refused:
            self.stats.count(*refused.counts)
            return refused.response
        return answer if isinstance(answer, Response) else json_response(answer)

    def _settle(self) -> None:
        if not self.faults.get("hold_payouts"):
            self.payouts.settle()

    def _count_arrival(self, kind: Kind) -> None:
        if kind is Kind.TOKEN:
            self.stats.count("token_requests")
        elif kind is Kind.DATA:
            self.stats.count("calls")

    def _count_answer(self, kind: Kind, status: int) -> None:
        if status == 429:
            self.stats.count("throttled")
        if status == 401 and kind is Kind.DATA:
            self.stats.count("unauthorized")

    def _refuse_secrets_in_query(self, request: Request) -> None:
        for name, value in parse_qsl(request.url.query, keep_blank_values=True):
            secret = self.access_tokens.find(value) or any(known in value for known in self._secrets)
            if secret or name.lower() in _SECRET_PARAMETERS:
                raise WireError(f"'{name}' does not belong in a query")

    # Faults

    def _throttle_or_fail(self, kind: Kind) -> None:
        suffix = {Kind.TOKEN: "token", Kind.DATA: "calls"}.get(kind)
        if suffix is None:
            return
        if (throttle := self.faults.take(f"throttle_{suffix}")) is not None:
            raise self._too_many(kind, self._retry_after(throttle))
        if kind is Kind.TOKEN and (wait := self.faults.over_rate("token_rate")):
            raise self._too_many(kind, {"retry-after": str(math.ceil(wait))})
        if (failure := self.faults.take(f"fail_{suffix}")) is not None:
            status = failure.get("status", 500)
            raise Refused(status, self.error(kind, status, "The service is not available"))

    def _too_many(self, kind: Kind, headers: Mapping[str, str]) -> Refused:
        return Refused(429, self.error(kind, 429, "Too many requests"), headers=headers)

    def _retry_after(self, throttle: Mapping[str, Any]) -> dict[str, str]:
        value = throttle.get("retry_after")
        if value is None:
            return {}
        if value == "http-date":
            value = formatdate(self.now() + float(throttle.get("seconds", 2)), usegmt=True)
        return {"retry-after": str(value)}

    async def _take_time(self, kind: Kind) -> None:
        # After the work, not before: a caller that gives up has still been served.
        fault = {Kind.TOKEN: "delay_token", Kind.DATA: "delay_calls"}.get(kind, "")
        delay = self.setup.latency + float(self.faults.get(fault, 0))
        if delay:
            await asyncio.sleep(delay)

    def _misshapen(self, response: Response) -> Response:
        fault = self.faults.take("wrong_shape")
        if fault is None:
            return response
        return misshapen(fault.get("shape") or fault["wrong_shape"], bytes(response.body))

    def _dripping(self, response: Response, kind: Kind) -> Response:
        pause = float(self.faults.get("drip_token", 0))
        if kind is not Kind.TOKEN or not pause:
            return response
        return StreamingResponse(_dripped(bytes(response.body), pause), response.status_code, response.headers)

    def _is_lost(self, kind: Kind, path: str) -> bool:
        fault = {Kind.TOKEN: "lose_token_response", Kind.DATA: "lose_response"}.get(kind)
        return fault is not None and self.faults.take(fault, path) is not None


async def _dripped(body: bytes, pause: float) -> AsyncIterator[bytes]:
    for at in range(len(body)):
        if at:
            await asyncio.sleep(pause)
        yield body[at : at + 1]


async def _cut(request: Request) -> None:
    """End the connection without a word of answer."""
    request.scope["extensions"]["nostro_sandbox.abort"]()
    while (await request.receive())["type"] != "http.disconnect":
        pass
