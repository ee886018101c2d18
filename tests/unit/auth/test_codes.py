"""One-time codes, for the whole fleet."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from nostro.auth.codes import Awaited, Codes
from nostro.auth.seal import Seal
from nostro.database import open_database
from nostro.database.schema import AWAITED_CODE, TOTP_STEP
from nostro.errors import SealBroken

MINUTES = timedelta(minutes=5)


@pytest.fixture
def open_codes(opened, seal, clock):
    return lambda: Codes(opened(), seal, clock)


def test_a_step_is_claimed_once(open_codes):
    """RFC 6238 5.2: the code of a step is sent by one worker, and by nobody after; each account has its own."""
    assert [open_codes().claim_step("anna", step) for step in (100, 101, 100, 101)] == [True, True, False, False]
    assert open_codes().claim_step("bert", 100) is True
    assert open_codes().claim_step("anna", 99) is True  # by a clock that is behind


def test_of_many_workers_one_claims_a_step(open_codes, at_once):
    """Also if all of them come in the same moment."""
    open_codes().claim_step("anna", 99)
    assert sorted(at_once(6, lambda: open_codes().claim_step("anna", 100))) == [False] * 5 + [True]


@given(steps=st.lists(st.integers(0, 2880), min_size=1, max_size=12))
def test_no_order_of_claims_gives_a_step_twice(seal, steps):
    """Whatever clocks the workers go by, within the day that no two of them are further apart."""
    codes = Codes(open_database("none"), seal)
    assert [step for step in steps if codes.claim_step("anna", step)] == list(dict.fromkeys(steps))


def test_steps_of_long_ago_are_forgotten(open_codes, opened):
    """Their codes are refused by then; what is kept is a day's."""
    for step in (100, 2979, 2980, 2981):
        open_codes().claim_step("anna", step)
    with opened().begin() as connection:
        assert sorted(row.step for row in connection.execute(sa.select(TOTP_STEP))) == [2979, 2980, 2981]


def test_nobody_waits_at_first(open_codes):
    """Without a task that waits there is nothing to tell, and no code to take."""
    assert open_codes().awaited("anna") is None
    assert open_codes().take("anna") is None


def test_the_wait_began_when_it_began(open_codes, clock):
    """A second code that is sent, or one that is handed in, does not make the wait look shorter."""
    codes, since = open_codes(), clock()
    codes.await_code("anna", None)
    assert codes.awaited("anna") == Awaited(since, None)
    clock.forward(600)
    codes.await_code("anna", clock() + MINUTES)
    assert open_codes().awaited("anna") == Awaited(since, clock() + MINUTES)
    codes.hand_in("anna", "29GZT", clock() + MINUTES)
    assert open_codes().awaited("anna") == Awaited(since, clock() + MINUTES)


def test_a_code_is_taken_once(open_codes, clock):
    """By another process than the one it was handed in to, and only by the first that asks."""
    open_codes().hand_in("anna", "29GZT", clock() + MINUTES)
    assert open_codes().take("bert") is None
    assert [open_codes().take("anna") for _ in range(3)] == [("29GZT", clock() + MINUTES), None, None]


def test_a_code_has_its_time(open_codes, clock):
    """After it, nobody sends it, and it is not kept."""
    codes = open_codes()
    codes.hand_in("anna", "29GZT", clock() + MINUTES)
    clock.forward(300)
    assert codes.take("anna") is None
    clock.forward(-60)  # nor is it there for whose clock is behind
    assert codes.take("anna") is None


def test_the_last_code_handed_in_counts(open_codes, clock):
    """Who has mistyped it hands it in again."""
    codes = open_codes()
    for code in ("wrong", "29GZT"):
        codes.hand_in("anna", code, clock() + MINUTES)
    assert codes.take("anna") == ("29GZT", clock() + MINUTES)


def test_to_settle_ends_the_wait(open_codes, clock):
    """Nobody waits any more, and what was left of it is gone; the next wait begins anew."""
    codes = open_codes()
    codes.await_code("anna", clock() + MINUTES)
    codes.hand_in("anna", "29GZT", clock() + MINUTES)
    codes.settle("anna")
    assert (codes.awaited("anna"), codes.take("anna")) == (None, None)
    clock.forward(60)
    codes.await_code("anna", None)
    assert codes.awaited("anna").since == clock()


def test_a_code_is_kept_sealed(open_codes, opened, clock):
    """Who can read the database does not find it."""
    open_codes().hand_in("anna", "29GZT", clock() + MINUTES)
    with opened().begin() as connection:
        assert "29GZT" not in repr(list(connection.execute(sa.select(AWAITED_CODE))))


def test_a_code_opens_for_its_own_account_only(open_codes, opened, clock):
    """A code laid in another account's place is refused, and so is one under a foreign key."""
    codes = open_codes()
    codes.hand_in("anna", "29GZT", clock() + MINUTES)
    with opened().begin() as connection:
        connection.execute(sa.update(AWAITED_CODE).values(account="bert"))
    with pytest.raises(SealBroken):
        codes.take("bert")


def test_a_code_under_a_foreign_key_is_refused(open_codes, opened, keys, clock):
    """A person at a machine with other keys cannot hand in for the fleet: it is told, not sent to the bank."""
    Codes(opened(), Seal(keys[1:2]), clock).hand_in("anna", "29GZT", clock() + MINUTES)
    with pytest.raises(SealBroken, match="seal_keys"):
        open_codes().take("anna")


def test_of_two_that_take_at_once_one_has_the_code(tmp_path, seal, clock):
    """Also without the lease that usually keeps them apart."""
    one, two = (Codes(open_database(f"sqlite:///{tmp_path / 'nostro.db'}"), seal, clock) for _ in range(2))
    one.hand_in("anna", "29GZT", clock() + MINUTES)
    taken: list = []

    def amid(connection, cursor, statement, *rest) -> None:
        if statement.startswith("SELECT") and not taken:
            taken.append(None)
            taken[0] = two.take("anna")

    sa.event.listen(one.database._engine, "after_cursor_execute", amid)
    taken.append(one.take("anna"))
    assert sorted(taken, key=str) == [("29GZT", clock() + MINUTES), None]
