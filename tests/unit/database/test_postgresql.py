"""A database of PostgreSQL's: its locks are the server's, its errors are told apart, its password is never shown."""

import os
import secrets
import signal
import threading
import time
from contextlib import suppress

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from nostro.auth.store import TokenStore
from nostro.database import open_database
from nostro.database.schema import TOTP_STEP
from nostro.errors import SettingError, StoreUnavailable

BOUND = 10  # seconds that a test waits at most for another thread or process
STEPS = sa.select(TOTP_STEP)


@pytest.fixture
def database(empty_postgresql):
    return open_database(empty_postgresql)


@pytest.fixture
def other_machine(empty_postgresql):
    """The same database under another name, so that the server alone keeps its leases apart from ours."""
    return open_database(str(make_url(empty_postgresql).set(host="localhost")))


@pytest.fixture
def server(empty_postgresql):
    """A connection of the administrator's."""
    plain = empty_postgresql.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        yield connection


def lease_had(database, key: str, wait: float) -> bool:
    with database.lease(key, wait) as won:
        return won


def backends(server) -> list[int]:
    """The connections that hold an advisory lock of this database."""
    held = "SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()"
    return [pid for (pid,) in server.execute(f"{held} WHERE l.locktype = 'advisory' AND l.granted")]


def test_a_lease_is_one_machines(database, other_machine):
    """While one machine logs in no other does: the server's lock keeps them apart."""
    with database.lease("k", 0) as first:
        assert first
        assert not lease_had(other_machine, "k", 0)
        assert lease_had(other_machine, "l", 0)
    assert lease_had(other_machine, "k", 0)


def test_the_wait_for_another_machine_is_bounded(database, other_machine):
    """Who waits in vain for the server's lock is told so when its time is over."""
    began = time.monotonic()
    with database.lease("k", 0):
        assert not lease_had(other_machine, "k", 0.03)
    assert 0.03 <= time.monotonic() - began < 4


def test_another_machine_waits_for_the_lease_to_fall(database, other_machine):
    """It has the lease as soon as its holder is done."""
    won = []
    thread = threading.Thread(target=lambda: won.append(lease_had(other_machine, "k", BOUND)))
    with database.lease("k", 0):
        thread.start()
    thread.join(BOUND)
    assert won == [True]


def test_a_wait_of_less_than_a_millisecond_ends(database, other_machine):
    """What is left of a wait when a thread's turn has come may be next to nothing, and is no wait without end."""
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(lease_had(other_machine, "k", 0.0009)))
    with database.lease("k", 0):
        thread.start()
        thread.join(BOUND)
        seen = [*outcome]
    thread.join(BOUND)
    assert seen == [False]


def test_an_idle_holder_keeps_its_lease(database, other_machine, server):
    """While the bank is asked the lease's connection is idle; no time-out that the server has may end it."""
    name = make_url(str(database._engine.url)).database
    limits = ("idle_in_transaction_session_timeout", "statement_timeout", "idle_session_timeout")
    for limit in limits:
        server.execute(f"ALTER DATABASE {name} SET {limit} = '20ms'")
    try:
        with database.lease("k", 0):
            assert not lease_had(other_machine, "k", 0.1)
            assert len(backends(server)) == 1
    finally:
        for limit in limits:
            server.execute(f"ALTER DATABASE {name} RESET {limit}")


def test_who_lost_the_lease_cannot_save(database, other_machine, server, seal, token_of):
    """A lease falls with its connection; the next worker's token is then not overwritten by the first one's."""
    slow, quick = TokenStore(database, seal), TokenStore(other_machine, seal)
    identities = seal.identities(["anna"], ["secret"])
    slow.save(identities, token_of("tok-1"), replaces=0)
    with database.lease("k", 0):
        (pid,) = backends(server)
        server.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        with other_machine.lease("k", BOUND) as won:
            assert won
            assert quick.save(identities, token_of("tok-2"), replaces=1).generation == 2
        assert slow.save(identities, token_of("lost"), replaces=1) is None
    assert slow.load(identities).value == "tok-2"


def test_a_killed_workers_lease_falls_while_its_child_lives(database, other_machine):
    """A child that was forked during a login, and outlives its parent, does not keep the lease."""
    read, write = os.pipe()
    worker = os.fork()
    if worker == 0:
        with suppress(BaseException), database.lease("k", 0):
            child = os.fork()
            if child:
                os.write(write, f"{child} ".encode())
            signal.pause()
        os._exit(1)
    child = int(os.read(read, 100))
    try:
        assert not lease_had(other_machine, "k", 0)
        os.kill(worker, signal.SIGKILL)
        assert lease_had(other_machine, "k", BOUND)
    finally:
        for pid in (worker, child):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(worker, 0)
        os.close(read)
        os.close(write)


def test_a_childs_end_does_not_end_its_parents_lease(database, other_machine):
    """A task forked in the middle of a login, and ended, leaves the login alone."""
    with database.lease("k", 0) as won:
        assert won
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        assert not lease_had(other_machine, "k", 0)


def test_no_statement_waits_for_ever(database):
    """A server that is stuck is noticed, whatever its own settings are."""
    with database.begin() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "15s"


def test_an_unreachable_server_is_tried_again():
    """Within seconds, as StoreUnavailable, which a retry mends; the message says where, and shows no password."""
    database, began = open_database("postgresql://anna:hush@127.0.0.1:1/nostro"), time.monotonic()
    for use in (lambda: database.first(STEPS), lambda: lease_had(database, "k", 0)):
        with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1/nostro") as down:
            use()
        assert down.value.remedy == "retry"
        assert "hush" not in str(down.value)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("wrong", [{"database": "nostro_nowhere"}, {"username": "nostro_nobody", "password": "hush"}])
def test_a_wrong_database_or_user_is_refused(empty_postgresql, wrong):
    """Time heals neither: a SettingError, without the password."""
    url = make_url(empty_postgresql).set(**wrong)
    with pytest.raises(SettingError, match=r"store.*user, password and name") as refused:
        open_database(url.render_as_string(hide_password=False)).first(STEPS)
    assert "hush" not in str(refused.value)


@pytest.fixture
def guest(empty_postgresql, server):
    """The URL of a user who may read and write what is there, and make nothing."""
    name = f"nostro_guest_{secrets.token_hex(4)}"
    server.execute(f"CREATE ROLE {name} LOGIN")
    server.execute(f"GRANT USAGE ON SCHEMA public TO {name}")
    server.execute(
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {name}"
    )
    yield make_url(empty_postgresql).set(username=name).render_as_string(hide_password=False)
    server.execute(f"DROP OWNED BY {name}")
    server.execute(f"DROP ROLE {name}")


def test_who_may_not_make_tables_uses_those_that_are_there(database, guest):
    """The administrator's first process makes them, the workers' user needs no right to."""
    database.first(STEPS)
    worker = open_database(guest)
    with worker.begin() as connection:
        connection.execute(sa.insert(TOTP_STEP).values(account="anna", step=7))
    assert database.first(STEPS).step == 7


def test_a_right_that_lacks_is_named(guest):
    """Tables that nobody has made, and this user may not, are a matter of the setting, not of a retry."""
    with pytest.raises(SettingError, match="may create and use tables"):
        open_database(guest).first(STEPS)


def test_a_server_that_is_full_is_tried_again(guest, server):
    """What is refused only for now, such as one connection too many, a retry mends."""
    server.execute(f"ALTER ROLE {make_url(guest).username} CONNECTION LIMIT 0")
    with pytest.raises(StoreUnavailable) as full:
        open_database(guest).first(STEPS)
    assert full.value.remedy == "retry"


def test_the_password_is_shown_nowhere(seal, token_of):
    """Neither in the repr of what holds the database, nor in an error of the store's."""
    database = open_database("postgresql://anna:hush@127.0.0.1:1/nostro")
    store = TokenStore(database, seal)
    with pytest.raises(StoreUnavailable) as down:
        store.save(["i"], token_of(), replaces=0)
    assert "hush" not in f"{database!r} {store!r} {down.value!r} {down.value.fields}"
