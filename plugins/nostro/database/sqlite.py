"""A file of SQLite's on a local disk: nostro's database for the processes of one machine."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from nostro.database.database import make_tables
from nostro.database.lease import process_lease
from nostro.database.library import LibraryDatabase
from nostro.database.mounts import network_filesystem
from nostro.errors import NostroError, SettingError, StoreUnavailable

_MAKE_SECONDS = 30.0


class SqliteDatabase(LibraryDatabase):
    def __init__(self, url: URL) -> None:
        # No pool: a connection never outlives its statement, so a fork has nothing to inherit.
        super().__init__(sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True))
        self._path = Path(str(url.database))
        sa.event.listen(self._engine, "connect", _configure)

    @contextmanager
    def lease(self, key: str, wait_seconds: float) -> Iterator[bool]:
        # A file of its own for each key: SQLite's one writer lock would let one bank hold up another.
        directory = self._path.with_name(f"{self._path.name}.leases")
        with ExitStack() as stack:
            with self._errors():
                won = stack.enter_context(process_lease(directory, key, wait_seconds))
            yield won

    def _exists(self) -> bool:
        return self._path.exists()

    def _make(self) -> None:
        self._refuse_network_filesystem()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Made here, not by SQLite, so that it is readable by its owner only from its first moment.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        # One process at a time: SQLite's own busy timeout does not cover the switch to WAL.
        with self.lease("schema", _MAKE_SECONDS) as won, self.inside, self._engine.connect() as connection:
            if not won:
                raise self._unavailable("another process has been making its tables for too long")
            # Readers never wait for a writer; the mode is kept in the file.
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            make_tables(connection)
            connection.commit()

    def _refuse_network_filesystem(self) -> None:
        kind = network_filesystem(self._path)
        if kind:
            raise SettingError(
                field="store",
                conn_id="",
                reason=f"the SQLite file {self._path} lies on a network file system ({kind}), where locks do not hold",
                advice="name a file on a local disk if all workers run on one machine, else a PostgreSQL database",
            )

    def _unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(where=str(self._path), reason=reason, advice="try again")

    def _translated(self, error: Exception) -> NostroError:
        if getattr(getattr(error, "orig", None), "sqlite_errorname", "").startswith("SQLITE_BUSY"):
            return self._unavailable("other processes have been writing to it for too long")
        return SettingError(
            field="store",
            conn_id="",
            reason=f"the SQLite file {self._path} cannot be opened, read or written",
            advice="name a file on a local disk that every worker process may write",
        )


def _configure(connection: Any, record: Any) -> None:
    """FULL, so that a rotated refresh token, once saved, survives a power cut."""
    for pragma in ("busy_timeout=10000", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
