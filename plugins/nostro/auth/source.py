"""One connection's token: from memory, else from the store, else by one grant for the whole fleet."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from nostro.auth.cache import TokenCache
from nostro.auth.failures import Failure
from nostro.auth.grant import Grant
from nostro.auth.tokens import Token
from nostro.errors import (
    AccountLocked,
    AddressRefused,
    CertificateError,
    CredentialsRefused,
    LeaseTimeout,
    LoginsThrottled,
    NostroError,
    PasswordExpired,
    StoreUnavailable,
    TokenEndpointUnavailable,
    UnexpectedAnswer,
)

log = logging.getLogger(__name__)

_SAID_BY_THE_BANK = (
    CredentialsRefused,
    AccountLocked,
    PasswordExpired,
    AddressRefused,
    TokenEndpointUnavailable,
    UnexpectedAnswer,
)
_AFTER_REFUSAL = "after_refusal"
_SOON = timedelta(seconds=1)


@dataclass
class TokenSource:
    """A connection's token of one kind: whose it is, where it is kept, how a new one is had.

    `identities` find it in the store. `account` names the user at the bank, for leases; nothing in it is secret.
    `handed` is a token that came sealed from another task: used while it lives, before the store is asked. A token that
    a refusal brought is not replaced for another refusal within `patience`.
    """

    cache: TokenCache
    identities: Sequence[str]
    account: str
    grant: Grant
    conn_id: str
    bank: str
    handed: Token | None = field(default=None, repr=False)
    patience: timedelta = timedelta(minutes=1)

    def get(self, refused: str = "") -> Token:
        """A usable token other than `refused`, unless the bank handed just that one back.

        Fresh: from memory, at no cost. Stale: the same, while one worker of the fleet renews it and nobody waits; if
        that fails, it is logged and forgotten. Spent, refused or none: one worker asks the bank, the others wait.

        Raises what the bank's grant raises; the same again, without asking, where asking could do harm (see Failure);
        LeaseTimeout after a minute of waiting; StoreUnavailable.
        """
        now = self.cache.now()
        handed = self.handed  # read once: another thread may drop it meanwhile
        if handed:
            if handed.value != refused and handed.usable(now):
                return handed
            self.handed = None
        token = self.cache.memory.get(self.identities[0])
        if token and token.value != refused:
            if now < token.renew_at:
                return token
            if token.usable(now):
                self._renew_beside()
                return token
        return self._get_shared(refused)

    def just_renewed(self, value: str) -> bool:
        """Whether `value` is the token in force, and was brought by a refusal a moment ago, here or elsewhere.

        If it is refused as well, yet another will not help: some calls are not open to a user, whatever the token, and
        some banks hand the same one back.
        """
        token = self.cache.memory.get(self.identities[0])
        if token is None or token.value != value or _AFTER_REFUSAL not in token.notes:
            return False
        return self.cache.now() < token.issued_at + self.patience

    def at_hand(self) -> bool:
        """Whether `get` would give a token without a wait, or any I/O."""
        token, now = self.handed or self.cache.memory.get(self.identities[0]), self.cache.now()
        return token is not None and token.usable(now)

    def _get_shared(self, refused: str) -> Token:
        began = self.cache.now()
        token = self._stored()
        if token is None or not _good(token, refused, self.cache.now()):
            with self.cache.database.lease(self.account, self.cache.wait_seconds) as won:
                if won:
                    return self._renew(refused, began)
            token = self._stored()  # whoever held the lease for so long may have brought one after all
            if token is None or not _good(token, refused, self.cache.now()):
                raise LeaseTimeout(conn_id=self.conn_id, bank=self.bank, seconds=int(self.cache.wait_seconds))
        if not token.fresh(began):
            self._renew_beside()
        return token

    def _renew(self, refused: str, began: datetime) -> Token:
        """With the lease in hand. Look again first: its last holder may have renewed the token, or failed to."""
        last = self._stored()
        if last and last.value != refused and (last.fresh(self.cache.now()) or last.issued_at >= began):
            return last
        failure = self.cache.failures.last(self.identities)
        if failure and failure.forbids(self.cache.now(), began):
            raise failure.held(self.conn_id)
        try:
            token, generation = self._ask(last)
        except NostroError as error:
            if isinstance(error, _SAID_BY_THE_BANK):
                self._remember(error)
            # Anew from here: the frames below hold credentials, and some print those with a traceback.
            raise error.with_traceback(None) from None
        notes = {name: note for name, note in token.notes.items() if name != _AFTER_REFUSAL}
        token = replace(token, notes={**notes, _AFTER_REFUSAL: "yes"} if refused else notes)
        # Between the bank's answer and this save the new token exists here only. To die now costs one login: the old
        # refresh token was taken out of the store before it was used, so that nobody uses it a second time.
        try:
            kept = self.cache.store.save(self.identities, token, replaces=generation)
            if failure:
                self.cache.failures.forget(self.identities)
        except NostroError as unusable:
            log.error("Connection %r: the new token could not be shared (%s)", self.conn_id, unusable)
            return self._keep(token)
        return self._keep(kept) if kept else self._others()

    def _others(self) -> Token:
        """The token of a worker that was quicker: the lease was lost meanwhile, with the connection to PostgreSQL."""
        token = self._stored()
        if token is None or not token.usable(self.cache.now()):
            raise self._lease_lost()
        return token

    def _lease_lost(self) -> StoreUnavailable:
        reason = f"the lease on connection '{self.conn_id}' was lost while its token was renewed"
        return StoreUnavailable(where="behind [nostro] store", reason=reason, advice="try again")

    def _ask(self, last: Token | None) -> tuple[Token, int]:
        """A new token, and the generation that it replaces."""
        generation = last.generation if last else 0
        if last is None or self.grant.refresh is None or not _refreshable(last, self.cache.now()):
            self.cache.store.check_writable()  # or every call would be a login
            return self.grant.login(), generation
        bare = replace(last, refresh_token=None, refresh_expires_at=None)
        # Durable before the bank sees it. To die from here on leaves the access token, and costs one login.
        taken = self.cache.store.save(self.identities, bare, replaces=generation)
        if taken is None:
            raise self._lease_lost()
        try:
            return self.grant.refresh(last), taken.generation
        except (CredentialsRefused, AddressRefused, UnexpectedAnswer) as error:
            # The refresh token is at its end, whatever the bank calls that: the credentials are still to be tried.
            log.info(
                "Connection %r: nothing for the refresh token (%s); logging in", self.conn_id, type(error).__name__
            )
        except NostroError as error:
            if not _acted(error):
                self.cache.store.save(self.identities, last, replaces=taken.generation)
            raise
        return self.grant.login(), taken.generation

    def _remember(self, error: NostroError) -> None:
        if error.held_since:
            return
        try:
            self.cache.failures.remember(self.identities, error)
        except NostroError as unusable:
            log.warning("Connection %r: the failure could not be shared (%s)", self.conn_id, unusable)

    def _renew_beside(self) -> None:
        """Have a stale token renewed. One worker of the fleet does it; nobody waits, for it or for the bank."""
        if self.identities[0] in self.cache.renewing:
            return
        self.cache.renewing.add(self.identities[0])
        try:
            self.cache.beside(self._renew_ahead, self.conn_id)
        except RuntimeError:  # no thread can be started any more: the interpreter is ending
            self.cache.renewing.discard(self.identities[0])

    def _renew_ahead(self) -> None:
        pause: timedelta | None = _SOON
        try:
            with self.cache.database.lease(self.account, 0) as won:
                if won and not self._failed_lately():
                    pause = None
                    self._renew("", self.cache.now())
        except NostroError as error:
            pause = None
            log.warning("Connection %r: renewing the token ahead of its end failed (%s); going on", self.conn_id, error)
        finally:
            self._leave_alone(pause)
            self.cache.renewing.discard(self.identities[0])

    def _failed_lately(self) -> bool:
        """Whether another worker has just tried in vain: then a quarter of what was left has to pass first."""
        token, failure = self.cache.memory.get(self.identities[0]), self.cache.failures.last(self.identities)
        return bool(
            token and failure and self.cache.now() < failure.failed_at + (token.spent_at - failure.failed_at) / 4
        )

    def _leave_alone(self, pause: timedelta | None) -> None:
        """If the token is still stale: let a quarter of what is left pass, `pause` at most, before the next attempt."""
        token, now = self.cache.memory.get(self.identities[0]), self.cache.now()
        if token and not token.fresh(now) and token.usable(now):
            quarter = (token.spent_at - now) / 4
            self.cache.memory[self.identities[0]] = replace(token, renew_at=now + min(quarter, pause or quarter))

    def _stored(self) -> Token | None:
        token = self.cache.store.load(self.identities)
        return self._keep(token) if token else None

    def _keep(self, token: Token) -> Token:
        for secret in filter(None, (token.value, token.refresh_token)):
            self.cache.mask(secret)
        self.cache.memory[self.identities[0]] = token
        return token

    def sealed(self) -> str:
        """The token now in force, sealed for this connection; without the refresh token."""
        token = replace(self.get(), refresh_token=None, refresh_expires_at=None)
        return self.cache.seal.seal(self.identities[0], token)

    def hand(self, sealed: str) -> None:
        """Use the token in `sealed`, which another task got by `sealed()`. Raises SealBroken if it is not ours."""
        what = f"The sealed token given to connection '{self.conn_id}'"
        self.handed = self.cache.seal.open(sealed, self.identities, what=what)
        self.cache.mask(self.handed.value)

    def state(self) -> tuple[Token | None, Failure | None]:
        """The token in the store and the last failure, for people to look at. Asks no bank."""
        return self._stored(), self.cache.failures.last(self.identities)

    def allow_one_try(self) -> bool:
        """Let one worker log in again although the bank refused. Whether that makes a difference."""
        failure = self.cache.failures.last(self.identities)
        if failure is None or not failure.holds(self.cache.now()):
            return False
        # Where the bank counts logins, asking before its time could only make it longer.
        return not isinstance(failure.error, LoginsThrottled) and self.cache.failures.forget(self.identities)


def _good(token: Token, refused: str, now: datetime) -> bool:
    return token.value != refused and token.usable(now)


def _refreshable(token: Token, now: datetime) -> bool:
    return token.refresh_token is not None and (token.refresh_expires_at is None or now < token.refresh_expires_at)


def _acted(error: NostroError) -> bool:
    """Whether the bank may have acted on a refresh that ended with `error`."""
    if isinstance(error, TokenEndpointUnavailable):
        return bool(error.fields["acted"])
    return not isinstance(error, CertificateError)
