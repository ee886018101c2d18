"""A file of SQLite's: whose it is, where it may lie, what is said when it cannot be used."""

import os
import sqlite3
import threading
from contextlib import closing

import pytest
import sqlalchemy as sa

from nostro.database import open_database, sqlite
from nostro.database.schema import TOTP_STEP
from nostro.errors import NostroError, SettingError, StoreUnavailable

STEPS = sa.select(TOTP_STEP)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sub" / "nostro.db"


@pytest.fixture
def database(path):
    return open_database(f"sqlite:///{path}")


def note(database, step: int = 7) -> None:
    with database.begin() as connection:
        connection.execute(sa.insert(TOTP_STEP).values(account="anna", step=step))


def impatient(database) -> None:
    """Have it wait for nobody, instead of ten seconds; heard after the product's own listener."""
    sa.event.listen(database._engine, "connect", lambda raw, record: raw.execute("PRAGMA busy_timeout=0"))


def test_to_open_it_makes_nothing(database, path):
    """A DAG file that is only parsed leaves no file behind."""
    assert not path.parent.exists()


def test_its_files_are_their_owners(database, path):
    """The file, and what SQLite and the leases lay beside it, is readable by its owner only."""
    note(database)
    with database.lease("k", 0), database.begin():
        assert {file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {0}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_removed_is_made_anew(database, path):
    """A process that has used it before goes on, with an empty one."""
    note(database)
    for file in path.parent.glob("nostro.db*"):
        if file.is_file():
            file.unlink()
    assert database.first(STEPS) is None
    note(database)
    assert path.stat().st_mode & 0o777 == 0o600


def test_readers_never_wait_for_a_writer(database, path):
    """While another process writes, what was there before is read at once."""
    note(database)
    impatient(database)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        assert database.first(STEPS).step == 7


def test_a_file_that_others_write_for_too_long_is_tried_again(database, path):
    """A busy file is nobody's mistake: StoreUnavailable, which a retry mends."""
    note(database)
    impatient(database)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="writing") as busy:
            note(database, 8)
    assert busy.value.remedy == "retry"
    assert str(path) in str(busy.value)


def test_what_was_saved_survives_a_power_cut(database):
    """Each transaction is on the disk when it ends, and a write waits for others rather than fail."""
    with database.begin() as connection:
        pragmas = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("synchronous", "busy_timeout")]
    assert pragmas == [2, 10_000]  # 2: FULL


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_refused(database, path, content):
    """By a sentence that names the setting; the file is left as it is."""
    path.parent.mkdir()
    path.write_bytes(content)
    for use in (lambda: database.first(STEPS), lambda: note(database)):
        with pytest.raises(SettingError, match=r"store.*cannot be opened"):
            use()
    assert path.read_bytes() == content


def test_a_path_that_cannot_be_written_is_refused(tmp_path):
    """A directory, or a place below a file, is a clear error and no traceback of SQLAlchemy's."""
    (tmp_path / "file").write_text("")
    for bad in (tmp_path, tmp_path / "file" / "nostro.db"):
        with pytest.raises(SettingError, match="cannot be opened"):
            open_database(f"sqlite:///{bad}").first(STEPS)


def test_a_lease_whose_place_cannot_be_written_is_refused(database, path):
    """Where no lease can be had, it is said as of the file itself."""
    path.parent.mkdir()
    path.with_name("nostro.db.leases").write_text("")
    with pytest.raises(NostroError), database.lease("k", 0):
        pass


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_no_fork_happens_inside_sqlite(path, kind):
    """A child forked while another thread is in SQLite's library would wait for ever for that thread's locks."""
    database = open_database(f"sqlite:///{path}" if kind == "file" else "none")
    inside, left = threading.Event(), []

    def work() -> None:
        with database.begin():
            inside.set()
            threading.Event().wait(0.05)
            left.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(10)
    child = os.fork()
    if child == 0:
        os._exit(0 if left and database.first(STEPS) is None else 1)
    thread.join(10)
    assert os.waitpid(child, 0)[1] == 0


def test_a_file_on_a_network_is_refused(database, path, monkeypatch):
    """Where locks do not hold there is no store: the message names the file system, and what to name instead."""
    monkeypatch.setattr(sqlite, "network_filesystem", lambda where: "nfs4" if where == path else None)
    for use in (lambda: database.first(STEPS), lambda: note(database)):
        with pytest.raises(SettingError, match=r"nfs4.*local disk.*PostgreSQL"):
            use()
    assert not path.exists()
