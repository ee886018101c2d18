"""How one connection gets at its bank: what a bank's `auth` module makes of the connection's fields."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from nostro.auth.cache import TokenCache
from nostro.auth.grant import Grant
from nostro.auth.scheme import BankAuth
from nostro.auth.seal import length_prefixed
from nostro.auth.source import TokenSource
from nostro.auth.tokens import Token
from nostro.connection import BankConnection
from nostro.wire import Line

TokensFactory = Callable[[], TokenCache]
"""Gives the process's token cache; called only in modes that have tokens, as only these need a store and a key."""


@dataclass(frozen=True, slots=True)
class Access:
    """`source` is None in a mode without tokens. `remarks` gives what Test connection should tell beside success.

    `second_factor` is the token of a second factor, at a bank that may ask for one; `send_code` has the bank send a
    code for it to a person, where a person is needed, and gives until when it is good.
    """

    line: Line
    auth: BankAuth
    mode: str
    source: TokenSource | None = None
    second_factor: TokenSource | None = None
    send_code: Callable[[], datetime] | None = None
    remarks: Callable[[Token], list[str]] = lambda token: []

    @property
    def waiting_since(self) -> datetime | None:
        """Since when tasks wait for a code that a person has to hand in; None if they don't."""
        factor = self.second_factor
        awaited = factor.cache.codes.awaited(factor.account) if factor else None
        return awaited.since if awaited else None

    def allow_one_try(self) -> bool:
        """Let one worker log in again after a refusal. Whether that makes a difference."""
        made_a_difference = False
        for source in filter(None, (self.source, self.second_factor)):
            made_a_difference |= source.allow_one_try()
        return made_a_difference


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
    return TokenSource(cache, identities, account((bank, *fields)), grant, connection.conn_id, bank)


def account(fields: tuple[str, ...]) -> str:
    """A name for the user at the bank, for leases and codes: the same under any seal key. No secret may be in it."""
    return hashlib.sha256(length_prefixed(fields)).hexdigest()
