"""One-time codes, for the whole fleet: each TOTP step used once, and codes that a person hands in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from nostro.auth.seal import Seal
from nostro.clock import utc_now
from nostro.database.database import Database
from nostro.database.schema import AWAITED_CODE, TOTP_STEP

_STEPS_OF_A_DAY = 2880  # of 30 s; no two clocks are further apart


@dataclass(frozen=True, slots=True)
class Awaited:
    """Tasks wait for a person since `since`; the bank's code, if it was asked for one, is good until `sent_until`."""

    since: datetime
    sent_until: datetime | None


@dataclass
class Codes:
    """`account` names the user at the bank: a hash of fields that are no secrets."""

    database: Database
    seal: Seal
    now: Callable[[], datetime] = utc_now

    def claim_step(self, account: str, step: int) -> bool:
        """Whether the caller, and nobody before or after, may send the TOTP code of `step` (RFC 6238 5.2).

        Durable before the code is sent: a worker that dies in between has used the code up.
        """
        claim = self.database.insert(TOTP_STEP).values(account=account, step=step).on_conflict_do_nothing()
        with self.database.begin() as connection:
            connection.execute(sa.delete(TOTP_STEP).where(TOTP_STEP.c.step < step - _STEPS_OF_A_DAY))
            return connection.execute(claim.returning(TOTP_STEP.c.step)).first() is not None

    def awaited(self, account: str) -> Awaited | None:
        """What tasks wait for; None if nobody waits."""
        row = self.database.first(sa.select(AWAITED_CODE).where(AWAITED_CODE.c.account == account))
        if row is None:
            return None
        return Awaited(row.since.replace(tzinfo=UTC), _aware(row.sent_until))

    def await_code(self, account: str, sent_until: datetime | None) -> None:
        """Note that a code is awaited, and until when the one that the bank sends is good; it began when it began."""
        until = {"sent_until": _naive(sent_until)}
        insert = self.database.insert(AWAITED_CODE).values(account=account, since=self._naive_now(), **until)
        with self.database.begin() as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=["account"], set_=until))

    def hand_in(self, account: str, code: str, until: datetime) -> None:
        """Keep `code`, sealed, until a task uses it or its time is over."""
        kept = {"sealed_code": self.seal.seal_text(account, code), "code_until": _naive(until)}
        insert = self.database.insert(AWAITED_CODE).values(account=account, since=self._naive_now(), **kept)
        with self.database.begin() as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=["account"], set_=kept))

    def take(self, account: str) -> tuple[str, datetime] | None:
        """The code that was handed in, and until when it is good, to be used now: it is gone from the database.

        None if there is none.
        """
        mine = AWAITED_CODE.c.account == account
        row = self.database.first(sa.select(AWAITED_CODE).where(mine))
        if row is None or row.sealed_code is None:
            return None
        still_there = mine & (AWAITED_CODE.c.sealed_code == row.sealed_code)
        with self.database.begin() as connection:
            taking = sa.update(AWAITED_CODE).where(still_there).values(sealed_code=None, code_until=None)
            taken = connection.execute(taking).rowcount > 0
        if not taken or row.code_until <= self._naive_now():
            return None
        code = self.seal.open_text(account, row.sealed_code, what="The code in nostro's store")
        return code, row.code_until.replace(tzinfo=UTC)

    def settle(self, account: str) -> None:
        """Nobody waits any more."""
        with self.database.begin() as connection:
            connection.execute(sa.delete(AWAITED_CODE).where(AWAITED_CODE.c.account == account))

    def _naive_now(self) -> datetime:
        return self.now().replace(tzinfo=None)


def _naive(instant: datetime | None) -> datetime | None:
    return instant.astimezone(UTC).replace(tzinfo=None) if instant else None


def _aware(instant: datetime | None) -> datetime | None:
    return instant.replace(tzinfo=UTC) if instant else None
