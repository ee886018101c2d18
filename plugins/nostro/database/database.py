"""What SQLite, PostgreSQL and the memory have in common as nostro's own database."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from nostro.database.schema import METADATA
from nostro.errors import NostroError


class Database(ABC):
    """Connections and leases. Tables are made when they are first needed; a fork has nothing to inherit.

    `insert` is the dialect's own INSERT, which knows ON CONFLICT; SQLite and PostgreSQL write it the same.
    """

    insert: Callable[[sa.Table], Any]

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._ready = False
        self.makings = 0  # how often this process has made it ready: what was checked before holds no more

    @abstractmethod
    def lease(self, key: str, wait_seconds: float) -> AbstractContextManager[bool]:
        """Whether this thread alone may work on `key` now, in the whole fleet; waits `wait_seconds` at most.

        Falls with the process that holds it, however it ends; no time-out ends it before.
        """

    @abstractmethod
    def _exists(self) -> bool:
        """Whether the database may be there: cheap, asked before each use."""

    @abstractmethod
    def _make(self) -> None:
        """Make what is missing of the database and its tables, one process at a time."""

    @abstractmethod
    def _lacks_tables(self, error: DBAPIError) -> bool:
        """Whether `error` says that the tables are not there yet."""

    @abstractmethod
    def _translated(self, error: Exception) -> NostroError:
        """What to say of `error`; what SQLAlchemy says is of statements and parameters."""

    def forget(self) -> None:
        """After a fork: connections are the parent's."""
        self._ready = False
        self._engine.dispose(close=False)

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A connection in a transaction, which ends with the block: committed, or undone by an exception."""
        self.prepare()
        with self._errors(), self._engine.begin() as connection:
            yield connection

    def first(self, query: sa.Select[Any]) -> sa.Row[Any] | None:
        """The first row that `query` finds."""
        return next(iter(self.all(query)), None)

    def all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """The rows that `query` finds. The usual way to a token: one connection, one statement."""
        if not self._ready:
            with self._errors():
                try:
                    if self._exists():
                        return self._all(query)
                except DBAPIError as error:
                    if not self._lacks_tables(error):
                        raise
        self.prepare()
        with self._errors():
            return self._all(query)

    def _all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self._engine.connect() as connection:
            return connection.execute(query).all()

    def prepare(self) -> None:
        """Make it ready, once per process; again if the database was removed meanwhile."""
        with self._errors():
            if self._ready and self._exists():
                return
            self._make()
        self._ready = True
        self.makings += 1

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, DBAPIError) as error:
            self._ready = False  # look again next time: the database may have been replaced
            translated = self._translated(error)
        else:
            return
        raise translated from None


def make_tables(connection: sa.Connection) -> None:
    """Looks before it makes: on PostgreSQL who may not create tables can still use those that are there."""
    missing = set(METADATA.tables) - set(sa.inspect(connection).get_table_names())
    METADATA.create_all(connection, [METADATA.tables[name] for name in sorted(missing)], checkfirst=False)
