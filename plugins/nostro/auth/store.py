"""Where sealed tokens are shared: nostro's own database, or nowhere."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.schema import CreateTable

from nostro.auth.lease import process_lease, thread_lease
from nostro.auth.seal import Seal
from nostro.auth.tokens import Token
from nostro.errors import SealBroken, SettingError

# Long enough for any refresh token; a row that nobody renewed for so long belongs to credentials no longer in use.
_KEEP = timedelta(days=30)
_PREPARE_SECONDS = 30.0

_metadata = sa.MetaData()
_token = sa.Table(
    "nostro_token",
    _metadata,
    sa.Column("identity", sa.String(64), primary_key=True),  # keyed hash of who the token belongs to
    sa.Column("generation", sa.Integer, nullable=False),  # one more with each token; a save names the one it replaces
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("updated_at", sa.DateTime, nullable=False),  # UTC
)
_seal = sa.Table(
    "nostro_seal",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("check_value", sa.Text, nullable=False),  # opens only for processes whose keys fit this store
)


class TokenStore(Protocol):
    """Sealed tokens, found by any of a connection's identities (one per seal key, the sealing key's first)."""

    def load(self, identities: Sequence[str]) -> Token | None: ...

    def save(self, identities: Sequence[str], token: Token, *, replaces: int) -> Token:
        """Keep `token` in place of generation `replaces`; gives the token now in force, another's if it was quicker."""
        ...

    def lease(self, identity: str, wait_seconds: float) -> AbstractContextManager[bool]:
        """Whether this worker alone may log in now; waits `wait_seconds` at most. Falls with the process."""
        ...


class NoStore:
    """`store = none`: nothing is shared beyond the process; sealed tokens travel in XCom."""

    def load(self, identities: Sequence[str]) -> Token | None:
        return None

    def save(self, identities: Sequence[str], token: Token, *, replaces: int) -> Token:
        return token

    def lease(self, identity: str, wait_seconds: float) -> AbstractContextManager[bool]:
        return thread_lease(identity, wait_seconds)


class SqliteStore:
    """Tokens in a SQLite file on a local disk, shared by all processes of one machine."""

    def __init__(self, url: str, seal: Seal) -> None:
        self._seal = seal
        self._path = _sqlite_path(url)
        # No pool: a connection never outlives its statement, so a fork has nothing to inherit.
        self._engine = sa.create_engine(make_url(url), poolclass=sa.NullPool, hide_parameters=True)
        sa.event.listen(self._engine, "connect", _configure)
        self._ready = False

    def load(self, identities: Sequence[str]) -> Token | None:
        self._prepare()
        with self._usable():
            return self._load(identities)

    def _load(self, identities: Sequence[str]) -> Token | None:
        query = sa.select(_token).where(_token.c.identity.in_(identities)).order_by(_token.c.updated_at.desc())
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        token = self._seal.open(row.sealed, identities, what="A token in nostro's store")
        object.__setattr__(token, "generation", row.generation)
        return token

    def save(self, identities: Sequence[str], token: Token, *, replaces: int) -> Token:
        self._prepare()
        now = datetime.now(UTC).replace(tzinfo=None)
        row: dict[str, Any] = {
            "generation": replaces + 1,
            "sealed": self._seal.seal(identities[0], token),
            "updated_at": now,
        }
        mine = _token.c.identity.in_(identities)
        with self._usable(), self._engine.begin() as connection:
            if replaces:
                kept = connection.execute(sa.delete(_token).where(mine & (_token.c.generation == replaces))).rowcount
                if kept:  # of two rows, one for each ring in use while keys are changed, the other is older
                    connection.execute(sa.delete(_token).where(mine))
                    connection.execute(sa.insert(_token).values(identity=identities[0], **row))
            else:
                insert = sa.insert(_token).prefix_with("OR IGNORE").values(identity=identities[0], **row)
                kept = connection.execute(insert).rowcount
            connection.execute(sa.delete(_token).where(_token.c.updated_at < now - _KEEP))
        # Committed: from here on a crash loses nothing, whoever comes next finds the new token.
        return token if kept else self.load(identities) or token

    def lease(self, identity: str, wait_seconds: float) -> AbstractContextManager[bool]:
        return process_lease(self._path.with_name(f"{self._path.name}.leases"), identity, wait_seconds)

    def _prepare(self) -> None:
        """Create what is missing and compare keys, once per process and file: it may have been removed meanwhile."""
        if self._ready and self._path.exists():
            return
        with self._usable():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Made here, not by SQLite, so that it is readable by its owner only from its first moment.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            # One process at a time: SQLite's own busy timeout does not cover the switch to WAL.
            with self.lease("schema", _PREPARE_SECONDS), self._engine.connect() as connection:
                connection.exec_driver_sql(
                    "PRAGMA journal_mode=WAL"
                )  # readers never wait for a writer; kept in the file
                for table in (_token, _seal):
                    connection.execute(CreateTable(table, if_not_exists=True))
                self._compare_keys(connection)
                connection.commit()
        self._ready = True

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """Say what to do about a file that cannot be used; what SQLAlchemy says is of statements and parameters."""
        try:
            yield
        except (OSError, DatabaseError):
            self._ready = False  # look again next time: the file may have been replaced
            raise SettingError(
                field="store",
                conn_id="",
                reason=f"the SQLite file {self._path} cannot be opened, read or written",
                advice="name a file on a local disk that every worker process may write",
            ) from None

    def _compare_keys(self, connection: sa.Connection) -> None:
        first = sa.insert(_seal).prefix_with("OR IGNORE").values(id=1, check_value=self._seal.check_value())
        connection.execute(first)
        check_value = connection.execute(sa.select(_seal.c.check_value)).scalar_one()
        if not self._seal.fits(check_value):
            raise SealBroken(
                what=f"nostro's store {self._path}",
                advice="give this process the same [nostro] seal_keys as the others (a worker may hold an Airflow "
                "Fernet key of its own), or remove the file if the keys are lost: tokens can be asked for again",
            )
        if not self._seal.is_current(check_value):
            # The newest key takes over, so that the older ones can leave the ring later.
            connection.execute(sa.update(_seal).values(check_value=self._seal.check_value()))


def _sqlite_path(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    known = parsed is not None and parsed.drivername in ("sqlite", "sqlite+pysqlite")
    if parsed is None or not known or not parsed.database or parsed.database.startswith((":memory:", "file:")):
        raise SettingError(
            field="store",
            conn_id="",
            reason="it is neither the URL of a SQLite file nor 'none'",
            advice="write it as sqlite:////absolute/path/nostro.db, or leave it out for a file in AIRFLOW_HOME",
        )
    return Path(parsed.database)


def _configure(connection: Any, record: Any) -> None:
    """FULL, so that a rotated refresh token, once saved, survives a power cut."""
    for pragma in ("busy_timeout=10000", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
