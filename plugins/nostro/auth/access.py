"""How one connection gets at its bank: what a bank's `auth` module makes of the connection's fields."""

from collections.abc import Callable
from dataclasses import dataclass

from nostro.auth.cache import Grant, TokenCache, TokenSource
from nostro.auth.scheme import BankAuth
from nostro.auth.tokens import Token
from nostro.connection import BankConnection
from nostro.wire import Line

TokensFactory = Callable[[], TokenCache]
"""Gives the process's token cache; called only in modes that have tokens, as only these need a store and a key."""


@dataclass(frozen=True, slots=True)
class Access:
    """`source` is None in a mode without tokens. `remarks` gives what Test connection should tell beside success."""

    line: Line
    auth: BankAuth
    mode: str
    source: TokenSource | None = None
    remarks: Callable[[Token], list[str]] = lambda token: []


def source(
    cache: TokenCache,
    connection: BankConnection,
    bank: str,
    grant: Grant,
    *,
    fields: tuple[str, ...],
    secrets: tuple[str, ...],
) -> TokenSource:
    """The token of `connection`, found by its identity `fields` and a keyed hash of its `secrets`, not its name."""
    identities = cache.seal.identities((bank, *fields), secrets)
    return TokenSource(cache, identities, grant, connection.conn_id, bank)
