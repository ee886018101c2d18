"""A database of PostgreSQL's: nostro's own for workers on many machines."""

import contextlib
import hashlib
import itertools
import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, OperationalError

from nostro.database.database import Database, make_tables
from nostro.database.lease import thread_lease
from nostro.errors import NostroError, SettingError, StoreUnavailable

_DRIVERS = ("psycopg", "psycopg2")
# Milliseconds for any statement.
_STATEMENT_TIMEOUT = 15_000
_MAKE_SECONDS = 30.0
# libpq's: a server that is gone is noticed within half a minute, by whichever side still waits.
_CONNECT = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "application_name": "nostro",
}
# A transaction that holds a lease is idle while the bank is asked: no time-out of the server's may end it.
_HOLDING = (
    "idle_in_transaction_session_timeout",
    "transaction_timeout",
    "statement_timeout",
)
# Seconds between two attempts at a lease: short at first, as most logins are.
_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4)
_UNDEFINED_TABLE = "42P01"
# No such user, wrong password, no such database, not allowed: nothing that time heals.
_FINAL = ("28", "3D", "42501")
_READ_ONLY = "25006"  # as while another server takes over
_PASSING = re.compile(r"starting up|shutting down|recovery|too many|connection slots|terminating")


class PostgresqlDatabase(Database):
    """No pool: between tokens there is nothing to ask, and a fork has nothing to inherit."""

    insert = staticmethod(insert)

    def __init__(self, url: URL) -> None:
        url = _with_driver(url)
        connect = {name: value for name, value in _CONNECT.items() if name not in url.query}
        super().__init__(sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True, connect_args=connect))
        self._where = f"{url.host or 'the local socket'}/{url.database or ''}"
        sa.event.listen(self._engine, "begin", _bound_statements)

    @contextmanager
    def lease(self, key: str, wait_seconds: float) -> Iterator[bool]:
        """A transaction-scoped advisory lock: it falls with its connection, and the connection with the process.

        Who waits asks again and again, with a connection for each time: if all that wait kept theirs, there would be
        none left for the holder to save with. Threads of this process queue in the process.
        """
        deadline = time.monotonic() + wait_seconds
        with thread_lease(f"{self._where}/{key}", wait_seconds) as won_here, contextlib.ExitStack() as stack:
            yield won_here and self._won(stack, key, deadline)

    def _won(self, stack: contextlib.ExitStack, key: str, deadline: float) -> bool:
        """Keep the connection that has the lock in `stack`."""
        for pause in itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1])):
            with contextlib.ExitStack() as attempt, self._errors():
                try:
                    if _try_lock(attempt.enter_context(self._held_connection()), key):
                        stack.enter_context(attempt.pop_all())
                        return True
                except OperationalError:  # no connection to be had just now, perhaps: others wait as well
                    if time.monotonic() >= deadline:
                        raise
            if time.monotonic() >= deadline:
                return False
            time.sleep(min(pause * random.uniform(0.5, 1.5), max(deadline - time.monotonic(), 0)))  # noqa: S311 (spread)
        return False

    @contextmanager
    def _held_connection(self) -> Iterator[sa.Connection]:
        connection = self._engine.connect()
        descriptor = connection.connection.driver_connection.fileno()  # type: ignore[union-attr]
        _held.add(descriptor)
        try:
            yield connection
        finally:
            _held.discard(descriptor)
            # If the connection broke meanwhile, the lease fell with it: the save that follows a login checks for that.
            with contextlib.suppress(DBAPIError):
                connection.rollback()
            connection.close()

    def _exists(self) -> bool:
        return True

    def _make(self) -> None:
        with self.lease("schema", _MAKE_SECONDS) as won, self._engine.begin() as connection:
            if not won:
                raise self._unavailable("another process has been making its tables for too long")
            make_tables(connection)

    def _lacks_tables(self, error: DBAPIError) -> bool:
        return _state(error) == _UNDEFINED_TABLE

    def _translated(self, error: Exception) -> NostroError:
        state, said = _state(error), str(getattr(error, "orig", ""))
        # What is refused while it connects has no state in psycopg, but the server's own word for "this is the end".
        refused = state.startswith(_FINAL) or (not state and "FATAL" in said and not _PASSING.search(said))
        passing = isinstance(error, OperationalError | OSError) or state == _READ_ONLY
        if refused or not passing:
            return SettingError(
                field="store",
                conn_id="",
                reason=f"the PostgreSQL database {self._where} cannot be used (SQLSTATE {state or 'unknown'})",
                advice="check its address, user, password and name, and that the user may create and use tables there",
            )
        return self._unavailable("it cannot be reached, or did not answer in time")

    def _unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(where=self._where, reason=reason, advice="check it and the network, or try again later")


def _with_driver(url: URL) -> URL:
    if url.drivername == "postgresql":
        url = url.set(drivername=f"postgresql+{next(filter(find_spec, _DRIVERS), _DRIVERS[0])}")
    driver = url.get_driver_name()
    if driver not in _DRIVERS or not find_spec(driver):
        raise SettingError(
            field="store",
            conn_id="",
            reason=f"the driver '{driver}' for PostgreSQL is not known, or not installed",
            advice="pip install 'airflow-provider-nostro[postgresql]' on every machine, and write postgresql://...",
        )
    return url


def _bound_statements(connection: sa.Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {_STATEMENT_TIMEOUT}")


def _try_lock(connection: sa.Connection, key: str) -> bool:
    number = int.from_bytes(hashlib.sha256(f"nostro {key}".encode()).digest()[:8], "big", signed=True)
    settings = sa.text("SELECT set_config(name, '0', true) FROM pg_settings WHERE name = ANY(:names)")
    connection.execute(settings, {"names": list(_HOLDING)})
    tried = connection.execute(sa.text("SELECT pg_try_advisory_xact_lock(:number)"), {"number": number})
    return bool(tried.scalar_one())


def _state(error: Exception) -> str:
    """The five characters by which PostgreSQL names an error."""
    original = getattr(error, "orig", None)
    return str(getattr(original, "sqlstate", None) or getattr(original, "pgcode", None) or "")


_held: set[int] = set()  # descriptors of the connections that hold or await a lease


def _let_go() -> None:
    """A forked child must not keep its parent's connections alive, nor end them: its copies lead nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in _held:
        os.dup2(nowhere, descriptor, inheritable=False)
    os.close(nowhere)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)
