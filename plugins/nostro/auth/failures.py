"""What the bank last said no to, remembered for the whole fleet: nobody asks again in vain."""

import hashlib
import json
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from nostro import errors
from nostro.clock import utc_now
from nostro.database.database import Database
from nostro.database.schema import FAILURE
from nostro.errors import NostroError

_KEEP = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Failure:
    """An `error` that a login or a refresh ended with, at `failed_at`."""

    error: NostroError
    failed_at: datetime

    def holds(self, now: datetime) -> bool:
        """Whether nobody asks the bank for now."""
        if self.error.final:
            return True
        # A failure of the future was noted by another clock, and so was its retry_at.
        return self.error.retry_at is not None and self.failed_at <= now < self.error.retry_at

    def forbids(self, now: datetime, began: datetime) -> bool:
        """Whether a worker that began to wait for the lease at `began` must not ask the bank.

        For good, if the credentials themselves were refused; until retry_at, if there is one; and if it happened while
        this worker waited: its own request could only be one more of the same.
        """
        if self.error.retry_at and self.error.retry_at > self.failed_at:
            return self.holds(now)
        return self.error.final or began <= self.failed_at <= now

    def held(self, conn_id: str) -> NostroError:
        """The error as it is raised for `conn_id` without another request."""
        error = self.error
        again = type(error)(retry_at=error.retry_at, **{**error.fields, "conn_id": conn_id})
        if error.final or error.this_machine_only:
            again.held_since = self.failed_at
        return again


@dataclass
class Failures:
    """The last failure of each connection's credentials, found by any of its identities."""

    database: Database
    now: Callable[[], datetime] = utc_now

    def last(self, identities: Sequence[str]) -> Failure | None:
        """The failure that holds, else the latest: the fleet's, or this machine's own."""
        wanted = FAILURE.c.identity.in_([*identities, *map(_here, identities)])
        rows = self.database.all(sa.select(FAILURE).where(wanted).order_by(FAILURE.c.failed_at.desc()))
        self._rename(rows, identities)
        failures, now = [*filter(None, map(_read, rows))], self.now()
        return next((failure for failure in failures if failure.holds(now)), failures[0] if failures else None)

    def _rename(self, rows: Sequence[sa.Row[Any]], identities: Sequence[str]) -> None:
        """Note under the newest key what was noted under an older one, so that the older can leave the ring."""
        for old in identities[1:]:
            for was, now_called in ((old, identities[0]), (_here(old), _here(identities[0]))):
                for row in rows:
                    if row.identity == was:
                        self._move(row, now_called)

    def _move(self, row: sa.Row[Any], name: str) -> None:
        with self.database.begin() as connection:
            connection.execute(sa.delete(FAILURE).where(FAILURE.c.identity == row.identity))
            kept = self.database.insert(FAILURE).values({**row._mapping, "identity": name})
            connection.execute(kept.on_conflict_do_nothing())

    def remember(self, identities: Sequence[str], error: NostroError) -> None:
        now = self.now().replace(tzinfo=None)
        values = {
            "error": json.dumps({"class": type(error).__name__, "fields": error.fields}),
            "failed_at": now,
            "retry_at": error.retry_at.astimezone(UTC).replace(tzinfo=None) if error.retry_at else None,
        }
        key = _here(identities[0]) if error.this_machine_only else identities[0]
        insert = self.database.insert(FAILURE).values(identity=key, **values)
        with self.database.begin() as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=["identity"], set_=values))
            connection.execute(sa.delete(FAILURE).where(FAILURE.c.failed_at < now - _KEEP))

    def forget(self, identities: Sequence[str]) -> bool:
        """Let one worker ask again. Whether there was anything to forget."""
        mine = FAILURE.c.identity.in_([*identities, *map(_here, identities)])
        with self.database.begin() as connection:
            return connection.execute(sa.delete(FAILURE).where(mine)).rowcount > 0


def _read(row: sa.Row[Any]) -> Failure | None:
    """None for what another version of nostro has noted in other words."""
    said = json.loads(row.error)
    retry_at = row.retry_at.replace(tzinfo=UTC) if row.retry_at else None
    try:
        error = getattr(errors, said["class"])(retry_at=retry_at, **said["fields"])
    except (AttributeError, KeyError, TypeError):
        return None
    return Failure(error, row.failed_at.replace(tzinfo=UTC))


def _here(identity: str) -> str:
    """The name of what concerns `identity` on this machine only."""
    return hashlib.sha256(f"{identity}@{socket.gethostname()}".encode()).hexdigest()
