"""`store = none`: a database that lives in this process and nowhere else."""

from contextlib import AbstractContextManager

import sqlalchemy as sa

from nostro.database.database import make_tables
from nostro.database.lease import thread_lease
from nostro.database.library import LibraryDatabase
from nostro.errors import NostroError, SettingError


class MemoryDatabase(LibraryDatabase):
    """Nothing is shared beyond the process; sealed tokens travel in XCom. A forked child begins with nothing."""

    def __init__(self) -> None:
        # One connection for all threads, since the data go with it; the library's lock keeps their transactions apart.
        super().__init__(
            sa.create_engine("sqlite://", poolclass=sa.StaticPool, connect_args={"check_same_thread": False})
        )

    def lease(self, key: str, wait_seconds: float) -> AbstractContextManager[bool]:
        return thread_lease(f"{id(self)}/{key}", wait_seconds)

    def _exists(self) -> bool:
        return True

    def _make(self) -> None:
        with self.inside, self._engine.begin() as connection:
            make_tables(connection)

    def _translated(self, error: Exception) -> NostroError:
        reason = f"the process's own memory cannot be used ({type(error).__name__})"
        return SettingError(field="store", conn_id="", reason=reason, advice="name a database")
