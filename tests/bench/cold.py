"""A token from the shared store, in a process that has none in memory: what each task begins with."""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import sqlalchemy as sa
from contestants import CONN_ID, NOSTRO, PEERS, Bank, Contestant, hook
from cryptography.fernet import Fernet
from quick_bank import quick_bank
from sqlalchemy.dialects.sqlite import pysqlite  # noqa: F401  (loaded here, not in a measurement)
from tables import Goal, Row, Table, absent
from timing import Figures, Step, in_child, paired_in_new_processes, ratio

FLOOR = "floor: SQLAlchemy, one SQLite row, Fernet"
WHOLE = "nostro, hook.get_token()"
WITHOUT_SQLALCHEMY = "the same row by sqlite3 alone, Fernet"
CONNECTION = "Airflow's part of it: get_connection()"
MOST = 2.0
SHARED = [peer for peer in PEERS if peer.shares]

_row = sa.Table(
    "row",
    sa.MetaData(),
    sa.Column("identity", sa.String(64), primary_key=True),
    sa.Column("sealed", sa.Text, nullable=False),
)


def measure(folder: Path) -> Table:
    with quick_bank(folder) as bank:
        for each in [NOSTRO, *SHARED]:
            if each.installed:
                in_child(partial(_fill, each, bank))
    # The bank is gone: who does not find the token where it is kept, fails.
    return _table(paired_in_new_processes(_steps(bank), rounds=60))


def _fill(each: Contestant, bank: Bank) -> None:
    """Have the contestant get the one token that is read from then on."""
    each.open(bank).call()


def _steps(bank: Bank) -> dict[str, Step]:
    hook(bank).get_connection(CONN_ID)  # so that Airflow has loaded what it loads late, as in a worker
    floor = _Floor(bank.folder / "floor.db")
    in_child(floor.fill)
    steps: dict[str, Step] = {
        FLOOR: floor.read,
        WITHOUT_SQLALCHEMY: floor.read_by_sqlite3,
        WHOLE: lambda: hook(bank).get_token(),
        CONNECTION: lambda: hook(bank).get_connection(CONN_ID),
    }
    return steps | {peer.name: partial(_read, peer, bank) for peer in SHARED if peer.installed}


def _read(peer: Contestant, bank: Bank) -> Any:
    return peer.open(bank).token()


class _Floor:
    """A row as long as a sealed token, read and opened by nothing but what it takes."""

    def __init__(self, path: Path) -> None:
        self._path, self._key = path, Fernet.generate_key()

    def fill(self) -> None:
        with self._engine().begin() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            _row.create(connection)
            sealed = Fernet(self._key).encrypt(b"t" * 450).decode()
            connection.execute(sa.insert(_row).values(identity="ours", sealed=sealed))

    def read(self) -> bytes:
        with self._engine().connect() as connection:
            found = connection.execute(sa.select(_row).where(_row.c.identity == "ours")).one()
        return Fernet(self._key).decrypt(found.sealed.encode())

    def read_by_sqlite3(self) -> bytes:
        with closing(sqlite3.connect(self._path)) as connection:
            _configure(connection, None)
            [[sealed]] = connection.execute("SELECT sealed FROM row WHERE identity = ?", ["ours"])
        return Fernet(self._key).decrypt(sealed.encode())

    def _engine(self) -> sa.Engine:
        made = sa.create_engine(f"sqlite:///{self._path}", poolclass=sa.NullPool, hide_parameters=True)
        sa.event.listen(made, "connect", _configure)
        return made


def _configure(connection: Any, record: Any) -> None:
    for pragma in ("busy_timeout=10000", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _table(figures: Figures) -> Table:
    goal = Goal(ratio(figures, WHOLE, FLOOR), MOST, "x floor")
    rows = [
        Row(name, [f"{median(each) / 1000:.2f}", f"{ratio(figures, name, FLOOR):.2f}"], [goal] if name == WHOLE else ())
        for name, each in figures.items()
    ]
    rows += [absent(peer.name, 2) for peer in SHARED if not peer.installed]
    return Table("C. The first token in a new process, from the shared store", ["ms", "x floor"], rows)
