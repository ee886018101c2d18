"""BankHook: from an Airflow connection to signed clients, tokens and values, the same for every bank."""

import asyncio
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import httpx
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from nostro import registry, wire
from nostro.auth.access import Access, TokensFactory
from nostro.auth.scheme import FixedTokenAuth, basic
from nostro.auth.source import TokenSource
from nostro.auth.tokens import AccessToken, Token
from nostro.call import Caller
from nostro.connection import BankConnection
from nostro.errors import ConfigurationError, NostroError, NoTokenInThisMode, TokenRefused
from nostro.hooks.tokens import token_cache
from nostro.values import Account, StatementEntry

if TYPE_CHECKING:
    from airflow.sdk import Connection


class BankApi(Protocol):
    """What each bank's `api` module offers. Capabilities beyond these are members that a bank has or lacks."""

    def probe(self) -> None:
        """One cheap call that only reads. Raises NostroError."""

    def accounts(self) -> Iterator[Account]: ...

    def statement_entries(
        self, account_id: str, start: date, end: date, include_pending: bool
    ) -> Iterator[StatementEntry]: ...


Api = TypeVar("Api", bound=BankApi)


class BankHook(BaseHook, Generic[Api]):
    """Base of the five hooks; reached by `BaseHook.get_hook(conn_id)` or by a bank's class.

    :param conn_id: the Airflow connection.
    :param sealed_token: a token that another task got by `get_sealed_token()`, used while it lives.
    """

    conn_name_attr = "conn_id"
    conn_type: ClassVar[str]
    default_conn_name: ClassVar[str]
    hook_name: ClassVar[str]

    def __init__(self, conn_id: str | None = None, *, sealed_token: str | None = None) -> None:
        super().__init__()
        self.conn_id = conn_id or self.default_conn_name
        self._sealed_token = sealed_token
        self._access: Access | None = None
        self._fields: BankConnection | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle of the hook holds: not the connection's fields, which it reads again."""
        return {**self.__dict__, "_access": None, "_fields": None}

    @staticmethod
    @abstractmethod
    def open_access(connection: BankConnection, tokens: TokensFactory) -> Access:
        """The bank's own `auth.access`."""

    @abstractmethod
    def api(self, caller: Caller) -> Api:
        """The bank's API over `caller`."""

    def get_conn(self) -> httpx.Client:
        """A client for the bank: base URL set, each request signed when it is sent, so that it serves for hours.

        Requests to another origin raise OriginRefused. Close it, or use it in a `with`.
        """
        access = self.access
        return wire.client(access.line, access.auth)

    async def get_async_conn(self) -> httpx.AsyncClient:
        """The same as `get_conn()` for a running event loop, on which nothing here blocks."""
        if self._access is None:
            connection = await self.aget_connection(self.conn_id)
            self._access = await asyncio.to_thread(self._open, connection)
        access = self._access
        return wire.async_client(access.line, access.auth)

    def get_token(self) -> AccessToken:
        """The access token now in force. Raises NoTokenInThisMode where the mode has none."""
        token = self._token_source().get()
        return AccessToken(token.value, token.expires_at)

    def get_sealed_token(self) -> str:
        """The access token now in force, sealed: ASCII text that XCom may carry, without the refresh token."""
        return self._token_source().sealed()

    def accounts(self) -> list[Account]:
        """The accounts, each with its balances. Raises NostroError."""
        with self.calling() as api:
            return list(api.accounts())

    def statement_entries(
        self, account_id: str, start: date, end: date, include_pending: bool = False
    ) -> Iterator[StatementEntry]:
        """The account's entries booked from `start` to `end`, both included, in constant memory.

        Days are those of the bank's zone. Raises ValueError for a range the wrong way round, NostroError as it goes.
        """
        if start > end:
            raise ValueError(f"start {start} is after end {end}; swap them")
        return self._statement_entries(account_id, start, end, include_pending)

    def _statement_entries(
        self, account_id: str, start: date, end: date, include_pending: bool
    ) -> Iterator[StatementEntry]:
        with self.calling() as api:
            yield from api.statement_entries(account_id, start, end, include_pending)

    def test_connection(self) -> tuple[bool, str]:
        """Try the connection in stages: fields, token, one call. At most one login, and no one-time password is sent.

        The message names the first stage that failed, and the remedy; it holds no secret.
        """
        stage = "Fields"
        try:
            access = self.access
            if access.source is None:
                stage = "Call"
                self._probe(access)
                return True, f"Connected with auth_mode '{access.mode}'; this mode needs no token."
            stage = "Token"
            access.allow_one_try()  # a person asks: what was refused before may have been put right at the bank
            began = access.source.cache.now()
            token = access.source.get()
            stage = "Call"
            token = self._try_call(access, access.source, token, may_renew=token.issued_at < began)
        except (NostroError, AirflowNotFoundException) as error:
            return False, f"{stage}: {error}"
        told = [f"Connected, token valid until {token.expires_at:%Y-%m-%d %H:%M:%S} UTC", *access.remarks(token)]
        if since := access.waiting_since:
            told.append(f"tasks wait for a code since {since:%Y-%m-%d %H:%M} UTC: airflow nostro code {self.conn_id}")
        return True, "; ".join(told) + "."

    @property
    def access(self) -> Access:
        """How this connection gets at the bank; the connection is read once per hook."""
        if self._access is None:
            self._access = self._open(self.get_connection(self.conn_id))
        return self._access

    @property
    def fields(self) -> BankConnection:
        """The connection's fields."""
        _ = self.access
        assert self._fields is not None
        return self._fields

    @contextmanager
    def calling(self) -> Iterator[Api]:
        """The bank's API over a client that ends with the block."""
        access = self.access
        with wire.client(access.line, access.auth) as client:
            yield self.api(Caller(client, self.conn_id, self.hook_name))

    def _open(self, connection: "Connection") -> Access:
        fields = self._fields = _fields_of(connection)
        if connection.conn_type in registry.BANKS and connection.conn_type != self.conn_type:
            advice = f"use BaseHook.get_hook, or a connection of the type '{self.conn_type}'"
            raise fields.error("conn_type", f"it is '{connection.conn_type}'", advice)
        self._mask(fields)
        access = self.open_access(fields, token_cache)
        if self._sealed_token is not None:
            if access.source is None:
                raise NoTokenInThisMode(conn_id=self.conn_id, mode=access.mode)
            access.source.hand(self._sealed_token)
        return access

    def _mask(self, fields: BankConnection) -> None:
        """Mask what Airflow does not by itself: secrets of the bank's own fields, added headers, and Basic's base64."""
        secret_fields = [name for name, f in registry.manifest(self.conn_type).fields.items() if f.secret]
        secrets = [fields.password, *map(fields.extra.get, secret_fields)]
        with suppress(ConfigurationError):  # said when the fields are used
            secrets += fields.headers().values()
        if fields.login and fields.password:
            secrets.append(basic(fields.login, fields.password).removeprefix("Basic "))
        for secret in secrets:
            if isinstance(secret, str) and secret:
                mask_secret(secret)

    def _token_source(self) -> TokenSource:
        source = self.access.source
        if source is None:
            raise NoTokenInThisMode(conn_id=self.conn_id, mode=self.access.mode)
        return source

    def _try_call(self, access: Access, source: TokenSource, token: Token, *, may_renew: bool) -> Token:
        """A token that the bank takes. One from the store may have been revoked meanwhile; a new one is not renewed."""
        try:
            self._probe(access, token)
        except TokenRefused:
            if not may_renew:
                raise
            token = source.get(refused=token.value)
            self._probe(access, token)
        return token

    def _probe(self, access: Access, token: Token | None = None) -> None:
        # Signed by hand: the scheme itself would renew what is refused, and send a one-time password where one is due.
        auth = FixedTokenAuth(access.auth, token.value) if token else access.auth
        with wire.client(access.line, auth) as client:
            self.api(Caller(client, self.conn_id, self.hook_name)).probe()


def _fields_of(connection: "Connection") -> BankConnection:
    fields = BankConnection(
        conn_id=connection.conn_id,
        host=connection.host,
        login=connection.login,
        password=connection.password,
        port=connection.port,
        extra=connection.extra_dejson,
        mask=mask_secret,
    )
    if not isinstance(fields.extra, dict):
        raise fields.error("extra", "it is not an object", 'enter it as {"name": "value"}')
    return fields
