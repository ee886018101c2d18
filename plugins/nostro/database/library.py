"""SQLite's own library, in a process that forks: what the file and the memory share."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError

from nostro.database.database import Database

# The library has locks of its own, for the whole process. A child that is forked while a thread holds one would wait
# for it for ever: so no fork happens while one of ours is in there, which is no longer than SQLite's busy time-out.
_inside = threading.RLock()
os.register_at_fork(before=_inside.acquire, after_in_parent=_inside.release, after_in_child=_inside.release)


class LibraryDatabase(Database):
    insert = staticmethod(insert)

    inside = _inside

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        self.prepare()  # may wait for a lease: not inside
        with _inside, super().begin() as connection:
            yield connection

    def all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with _inside:
            return super().all(query)

    def _lacks_tables(self, error: DBAPIError) -> bool:
        return "no such table" in str(error.orig)
