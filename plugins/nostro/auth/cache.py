"""Usable tokens: from this process's memory, else from the store, else by one grant for all."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from nostro.auth.seal import Seal
from nostro.auth.store import TokenStore
from nostro.auth.tokens import Token
from nostro.errors import LeaseTimeout, NostroError

log = logging.getLogger(__name__)

# Longer than a token request may take (wire.TOKEN_TIMEOUT), so that who waits sees the holder's outcome.
WAIT_SECONDS = 60.0

Grant = Callable[[Token | None], Token]
"""From the last token, if there was one (its refresh token may still serve), to a new one."""


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class TokenCache:
    """Tokens by identity, for all connections of one store. `mask` is called with each secret that is handed out."""

    store: TokenStore
    seal: Seal
    mask: Callable[[str], None] = lambda secret: None
    now: Callable[[], datetime] = utc_now
    _memory: dict[str, Token] = field(default_factory=dict, repr=False)

    def get(self, identities: Sequence[str], grant: Grant, refused: str = "", *, conn_id: str, bank: str) -> Token:
        """A usable token other than `refused`.

        Fresh: from memory, at no cost. Stale: one worker renews, the others go on with what they have, and a renewal
        that fails is logged and forgotten. Spent, refused or none: one worker asks the bank, the others wait for it.

        Raises what `grant` raises, and LeaseTimeout after WAIT_SECONDS.
        """
        now = self.now()
        token = self._memory.get(identities[0])
        if token and token.value != refused and token.fresh(now):
            return token
        token = self._stored(identities)
        usable = token if token and token.value != refused and token.usable(now) else None
        if usable and usable.fresh(now):
            return usable
        with self.store.lease(identities[0], 0 if usable else WAIT_SECONDS) as won:
            if not won:
                if usable:
                    return usable
                raise LeaseTimeout(conn_id=conn_id, bank=bank, seconds=int(WAIT_SECONDS))
            return self._renew(identities, grant, refused, usable, conn_id)

    def _renew(
        self, identities: Sequence[str], grant: Grant, refused: str, usable: Token | None, conn_id: str
    ) -> Token:
        """With the lease in hand. Look again first: its last holder may have renewed the token."""
        last = self._stored(identities)
        if last and last.value != refused and last.fresh(self.now()):
            return last
        try:
            token = grant(last)
        except NostroError as error:
            if usable is None:
                raise
            log.warning("Connection %r: renewing the token ahead of its end failed (%s); going on", conn_id, error)
            return self._leave_alone(identities, usable)
        # Between the grant and this save the new token exists here only. Dying now costs one login: a rotated refresh
        # token is lost with it, and the next worker falls back on the credentials.
        token = self.store.save(identities, token, replaces=last.generation if last else 0)
        return self._keep(identities, token)

    def _leave_alone(self, identities: Sequence[str], usable: Token) -> Token:
        """Let a quarter of what is left pass before this process tries to renew again: not with every call."""
        now = self.now()
        later = replace(usable, renew_at=now + (usable.spent_at - now) / 4)
        self._memory[identities[0]] = later
        return later

    def _stored(self, identities: Sequence[str]) -> Token | None:
        token = self.store.load(identities)
        if token is None:
            return self._memory.get(identities[0])  # the only place when there is no shared store
        return self._keep(identities, token)

    def _keep(self, identities: Sequence[str], token: Token) -> Token:
        for secret in filter(None, (token.value, token.refresh_token)):
            self.mask(secret)
        self._memory[identities[0]] = token
        return token


@dataclass
class TokenSource:
    """One connection's token of one kind: where it is kept, whose it is, how a new one is had.

    `handed` is a token that came sealed from another task: used while it lives, before the store is asked.
    """

    cache: TokenCache
    identities: Sequence[str]
    grant: Grant
    conn_id: str
    bank: str
    handed: Token | None = None

    def get(self, refused: str = "") -> Token:
        handed = self.handed  # read once: another thread may drop it meanwhile
        if handed and handed.value != refused and handed.usable(self.cache.now()):
            return handed
        self.handed = None
        return self.cache.get(self.identities, self.grant, refused, conn_id=self.conn_id, bank=self.bank)

    def sealed(self) -> str:
        """The token now in force, sealed for this connection; without the refresh token."""
        token = replace(self.get(), refresh_token=None, refresh_expires_at=None)
        return self.cache.seal.seal(self.identities[0], token)

    def hand(self, sealed: str) -> None:
        """Use the token in `sealed`, which another task got by `sealed()`. Raises SealBroken if it is not ours."""
        what = f"The sealed token given to connection '{self.conn_id}'"
        self.handed = self.cache.seal.open(sealed, self.identities, what=what)
        self.cache.mask(self.handed.value)
