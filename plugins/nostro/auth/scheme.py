"""Signing: httpx.Auth that puts credentials on requests to one origin, and renews once what the bank refuses."""

import asyncio
import base64
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

from nostro.auth.source import TokenSource

_UNAUTHORIZED = 401  # httpx.codes' own takes as long to look up as all else here
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Resending:
    """Which requests may be sent a second time: those that only read, and writes that carry a stable key.

    `reading_posts` are the paths of POSTs that the bank documents as searches; `idempotency_header` is the header by
    which the bank tells a repeated write.
    """

    reading_posts: tuple[str, ...] = ()
    idempotency_header: str | None = None

    def allows(self, request: httpx.Request) -> bool:
        if not _replayable(request):
            return False
        if request.method in _SAFE_METHODS:
            return True
        if request.method == "POST" and request.url.path.rstrip("/") in self.reading_posts:
            return True
        return self.idempotency_header is not None and self.idempotency_header in request.headers


def _replayable(request: httpx.Request) -> bool:
    try:
        _ = request.content
    except httpx.RequestNotRead:  # a body streamed from the caller is gone once it was sent
        return False
    return True


class Renewals:
    """When to renew what was refused: not for a call that never went well with a token that was just renewed."""

    def __init__(self) -> None:
        self._proved: dict[tuple[str, str], str] = {}

    def made(self, source: TokenSource, request: httpx.Request, sent: str) -> bool:
        """Renew `source`'s token, whose value `sent` was refused; False if that is pointless, or changes nothing."""
        if source.just_renewed(sent) and self._proved.get(self._call(request)) != sent:
            return False
        return source.get(refused=sent).value != sent

    def note_success(self, request: httpx.Request, sent: str) -> None:
        if len(self._proved) >= 1000:
            self._proved.clear()
        self._proved[self._call(request)] = sent

    @staticmethod
    def _call(request: httpx.Request) -> tuple[str, str]:
        return request.method, request.url.path


class BankAuth(httpx.Auth, ABC):
    """Base of the schemes. A scheme says how to `sign`; one that can renew says what a refusal looks like, and how.

    Signing may wait for the store or the bank: under an event loop it is done in a thread, unless it is `quick`.
    """

    resending = Resending()
    _pool: tuple[ThreadPoolExecutor | None, int] = (None, 0)

    @abstractmethod
    def sign(self, request: httpx.Request) -> None:
        """Put the credentials on `request`."""

    def quick(self) -> bool:
        """Whether to sign now means neither a wait nor any I/O."""
        return False

    def dress(self, request: httpx.Request) -> None:
        """Put on what the bank wants of every request beside the credentials. A request may come here twice."""

    def suspects(self, request: httpx.Request, response: httpx.Response) -> bool:
        """Whether `response` may be a refusal of the credentials; its body is read only if so."""
        return False

    def renewed(self, request: httpx.Request, response: httpx.Response) -> bool:
        """Renew what `response`, now read, says was refused; False if it says nothing of the kind."""
        return False

    def settled(self, request: httpx.Request) -> None:
        """The bank took the credentials of `request`."""

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        self.sign(request)
        response = yield request
        if not self.suspects(request, response):
            self.settled(request)
            return
        response.read()
        if self.renewed(request, response) and self.resending.allows(request):
            self.sign(request)
            if not self.suspects(request, (yield request)):
                self.settled(request)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        if self.quick():
            self.sign(request)
        else:
            await self._aside(self.sign, request)
        response = yield request
        if not self.suspects(request, response):
            self.settled(request)
            return
        await response.aread()
        if await self._aside(self.renewed, request, response) and self.resending.allows(request):
            await self._aside(self.sign, request)
            if not self.suspects(request, (yield request)):
                self.settled(request)

    async def _aside(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """`work` in threads of this connection's own: those of one slow bank must not be all that there are."""
        pool, made_in = self._pool
        if pool is None or made_in != os.getpid():  # a forked child has none of its parent's threads
            pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="nostro signs")
            self._pool = pool, os.getpid()
        return await asyncio.get_running_loop().run_in_executor(pool, work, *arguments)


@dataclass
class BearerAuth(BankAuth):
    """An access token as RFC 6750 has it. A 401 means that the token sent was refused: it is replaced, once."""

    source: TokenSource
    resending: Resending = field(default_factory=Resending)
    renewals: Renewals = field(default_factory=Renewals, repr=False)

    def quick(self) -> bool:
        return self.source.at_hand()

    def sign(self, request: httpx.Request) -> None:
        request.headers["Authorization"] = f"Bearer {self.source.get().value}"
        self.dress(request)

    def suspects(self, request: httpx.Request, response: httpx.Response) -> bool:
        return response.status_code == _UNAUTHORIZED

    def renewed(self, request: httpx.Request, response: httpx.Response) -> bool:
        return self.renewals.made(self.source, request, sent_token(request))

    def settled(self, request: httpx.Request) -> None:
        self.renewals.note_success(request, sent_token(request))


@dataclass
class HeaderAuth(BankAuth):
    """The same header on every call: Basic (RFC 7617) or an API key. Nothing to renew."""

    name: str
    value: str = field(repr=False)

    def quick(self) -> bool:
        return True

    def sign(self, request: httpx.Request) -> None:
        request.headers[self.name] = self.value


@dataclass
class FixedTokenAuth(BankAuth):
    """One given token, dressed as `scheme` would, and renewed by nobody."""

    scheme: BankAuth
    token: str = field(repr=False)

    def sign(self, request: httpx.Request) -> None:
        request.headers["Authorization"] = f"Bearer {self.token}"
        self.scheme.dress(request)


def sent_token(request: httpx.Request) -> str:
    """The bearer token that `request` carried."""
    sent: str = request.headers.get("Authorization", "")
    return sent.removeprefix("Bearer ")


def basic(user: str, password: str) -> str:
    """The value of a Basic Authorization header (RFC 7617), in UTF-8."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
