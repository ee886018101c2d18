"""From `[nostro] store` to the database it names."""

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from nostro.database.database import Database
from nostro.database.memory import MemoryDatabase
from nostro.database.sqlite import SqliteDatabase
from nostro.errors import SettingError


def open_database(store: str) -> Database:
    """The database that `store` names: "none", a file of SQLite's, a database of PostgreSQL's. No I/O here.

    Raises SettingError for anything else.
    """
    if store.lower() == "none":
        return MemoryDatabase()
    url = _parsed(store)
    backend = url.get_backend_name() if url else ""
    if url and backend == "postgresql":
        from nostro.database.postgresql import PostgresqlDatabase  # noqa: PLC0415 (27 ms that SQLite needs not)

        return PostgresqlDatabase(url)
    named = url and url.database and not url.database.startswith((":memory:", "file:")) and "\0" not in url.database
    if url and url.drivername in ("sqlite", "sqlite+pysqlite") and named and Path(str(url.database)).is_absolute():
        return SqliteDatabase(url)
    raise SettingError(
        field="store",
        conn_id="",
        reason="it is neither the URL of a SQLite file, by its absolute path, or a PostgreSQL database, nor 'none'",
        advice="write it as sqlite:////absolute/path/nostro.db or postgresql://user:password@host/database, "
        "or leave it out for a file in AIRFLOW_HOME",
    )


def _parsed(text: str) -> URL | None:
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        return None
