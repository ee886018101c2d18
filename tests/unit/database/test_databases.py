"""What each kind of database promises alike: memory, SQLite, PostgreSQL."""

import itertools
import time
import traceback

import pytest
import sqlalchemy as sa

from nostro.database.schema import METADATA, TOKEN, TOTP_STEP
from nostro.errors import NostroError

BOUND = 10  # seconds that a test waits at most for a thread
STEPS = sa.select(TOTP_STEP).order_by(TOTP_STEP.c.step)


def note(database, step: int, account: str = "anna") -> None:
    with database.begin() as connection:
        connection.execute(sa.insert(TOTP_STEP).values(account=account, step=step))


def lease_had(database, key: str, wait: float) -> bool:
    with database.lease(key, wait) as won:
        return won


def test_what_one_process_writes_another_one_finds(opened):
    """A block that ends well is kept, and seen by whoever opens the same database."""
    note(opened(), 7)
    assert opened().first(STEPS).step == 7


def test_an_error_undoes_its_block(opened):
    """A block that ends with an error leaves nothing behind, and the error is the caller's, as it was."""

    def half_a_work() -> None:
        with opened().begin() as connection:
            connection.execute(sa.insert(TOTP_STEP).values(account="anna", step=7))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half_a_work()
    assert opened().first(STEPS) is None


def test_a_database_not_made_yet_holds_nothing(opened):
    """The first question of the first process is answered, not failed for want of tables."""
    assert opened().first(STEPS) is None


def test_the_first_of_several_rows_is_given(opened):
    """By the query's own order."""
    database = opened()
    note(database, 9, "bert")
    note(database, 8, "anna")
    assert (database.first(STEPS).account, database.first(STEPS).step) == ("anna", 8)


@pytest.mark.parametrize("use", ["read", "write"])
def test_a_database_is_made_by_many_at_once(opened, at_once, use):
    """Processes that all begin with a database that is not there yet make it once, and none of them fails."""
    numbers = itertools.count()

    def work() -> object:
        return opened().first(STEPS) if use == "read" else note(opened(), 7, f"user {next(numbers)}")

    assert at_once(6, work) == [None] * 6
    with opened().begin() as connection:
        assert set(METADATA.tables) <= set(sa.inspect(connection).get_table_names())


def test_an_error_quotes_nothing_that_was_written(opened):
    """What the database refuses is told without its values: they may be secrets."""
    with pytest.raises(NostroError) as refused, opened().begin() as connection:
        connection.execute(sa.insert(TOKEN).values(identity="i", sealed="hush-hush"))  # lacks what must be there
    assert "hush" not in "".join(traceback.format_exception(refused.value))


def test_after_an_error_the_database_works_on(opened):
    """One failed statement is no end."""
    database = opened()
    with pytest.raises(NostroError), database.begin() as connection:
        connection.exec_driver_sql("SELECT nonsense FROM nowhere")
    note(database, 7)
    assert database.first(STEPS).step == 7


def test_a_lease_is_one_workers(opened, at_once):
    """While one holds a lease, no other has it; another key's is free; and it falls when its block ends."""
    database = opened()
    with database.lease("k", 0) as first:
        assert first
        assert at_once(3, lambda: lease_had(opened(), "k", 0)) == [False] * 3
        assert at_once(1, lambda: lease_had(opened(), "l", 0)) == [True]
    assert lease_had(opened(), "k", 0)


def test_a_lease_falls_with_an_error(opened):
    """A login that raises leaves no lease behind, and its error is not changed on the way."""
    with pytest.raises(ZeroDivisionError), opened().lease("k", 0):
        raise ZeroDivisionError
    assert lease_had(opened(), "k", 0)


def test_a_wait_for_a_lease_is_bounded(opened, at_once):
    """Who waits in vain is told so when its time is over."""
    began = time.monotonic()
    with opened().lease("k", 0):
        assert at_once(1, lambda: lease_had(opened(), "k", 0.03)) == [False]
    assert 0.03 <= time.monotonic() - began < 4


def test_who_waits_has_the_lease_when_it_falls(opened, at_once):
    """One after the other, each of those who wait has it, and never two at a time."""
    inside, seen = [], []

    def work() -> bool:
        with opened().lease("k", BOUND) as won:
            inside.append(won)
            seen.append(len(inside))
            inside.pop()
            return won

    assert at_once(4, work) == [True] * 4
    assert seen == [1] * 4


def test_writing_needs_no_lease_to_be_let_go(opened, at_once):
    """Under a lease its holder reads and writes; so do others: it is for a login, not for the database."""
    holder, other = opened(), opened()
    with holder.lease("k", 0):
        note(holder, 7)
        assert at_once(1, lambda: note(other, 8, "bert")) == [None]
    assert [holder.first(STEPS).step, other.first(STEPS.offset(1)).step] == [7, 8]


def test_a_fork_forgets_connections(opened):
    """After `forget`, as in a forked child, the database is as usable as one just opened."""
    database = opened()
    note(database, 7)
    database.forget()
    note(database, 8, "bert")
    assert database.first(STEPS.where(TOTP_STEP.c.account == "bert")).step == 8
