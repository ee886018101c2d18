"""Tokens come to their end while a fleet works: no call fails or waits without need, and the bank is asked rarely."""

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from airflow.sdk import BaseHook
from workers import Callers, let_pass, outcome_of, token, token_requests_at, wait_until

pytestmark = pytest.mark.xdist_group("fleet")

LIFETIME = 3
OUTAGE = 5.0


def at_most(seconds: float) -> int:
    """Token requests in `seconds` from the first one on.

    Tokens that live three seconds: ceil(20 / 3) = 7 in 20 s, if each were used to its very end. Each is renewed a
    tenth of its life ahead, so one request serves 2.7 s, and 1 + floor(20 / 2.7) = 8 is the most: one more than seven.
    """
    return math.ceil(seconds / LIFETIME) + 1


def assert_few_requests(sandbox, bank: str, seconds: float, processes: int) -> None:
    """And hardly any call with a token past its end: that would be one for each process and token."""
    at = token_requests_at(sandbox, bank)
    within = [instant for instant in at if instant < at[0] + seconds]
    print(bank, len(within), "token requests in", seconds, "s")
    assert len(within) <= at_most(seconds), [round(instant - at[0], 2) for instant in at]
    assert len(within) > seconds / LIFETIME / 2, "the tokens' ends were not met"
    assert sandbox.count(bank, "unauthorized") < processes


def test_tokens_of_three_seconds_serve_a_fleet_that_calls_all_the_time(store, set_connection, sandbox):
    """For 20 s, at a bank with refresh tokens and one without: 8 processes at each, some ten calls a second each."""
    conn_ids = [set_connection("m2p"), set_connection("kunacore")]
    sandbox.faults({bank: {"token_lifetime": LIFETIME} for bank in ("m2p", "kunacore")})
    with Callers(8, *conn_ids) as callers:
        let_pass(20)
    assert callers.failures == []
    for bank in ("m2p", "kunacore"):
        assert_few_requests(sandbox, bank, 20, processes=8)
    kunacore = sandbox.stats()["kunacore"]
    assert kunacore["refreshes"] == kunacore["token_requests"] - 1


@pytest.mark.parametrize("offset", [600, -600])
def test_a_bank_whose_clock_is_off_is_asked_no_more_often(offset, set_connection, sandbox):
    """Ten minutes either way, over several ends of three-second tokens, stated as a span and as an instant."""
    conn_ids = [set_connection("m2p"), set_connection("kunacore")]
    faults = {"token_lifetime": LIFETIME, "clock_offset": offset}
    sandbox.faults({"m2p": faults, "kunacore": faults})
    with Callers(4, *conn_ids) as callers:
        let_pass(8)
    assert callers.failures == []
    for bank in ("m2p", "kunacore"):
        assert_few_requests(sandbox, bank, 8, processes=4)


@pytest.mark.parametrize("bank", ["mbanq", "kunacore"])
def test_another_process_uses_the_refresh_token_after_the_tokens_end(bank, set_connection, sandbox):
    """The refresh token waits sealed in the store; there is no second login."""
    conn_id = set_connection(bank)
    sandbox.faults({bank: {"token_lifetime": 1}})
    found = [outcome_of(lambda: token(conn_id))]
    while found[-1] == found[0]:
        found.append(outcome_of(lambda: token(conn_id)))
    assert isinstance(found[-1], str), found[-1]
    stats = sandbox.stats()[bank]
    assert stats["refreshes"] == stats["token_requests"] - 1 >= 1


def make_stale(conn_id: str, left: float) -> None:
    """As time would: the token in the store is due for renewal, and may be used for `left` seconds more."""
    source = BaseHook.get_hook(conn_id).access.source
    source.get()
    store, now = source.cache.store, source.cache.now()
    stored = store.load(source.identities)
    stale = replace(stored, renew_at=now, spent_at=now + timedelta(seconds=left))
    assert store.save(source.identities, stale, replaces=stored.generation)


def test_a_token_that_ends_while_it_is_read_is_renewed(set_connection, sandbox):
    """Nobody waits for a lease then, so nobody may say that the wait was too long."""
    conn_id = set_connection("m2p")
    assert outcome_of(lambda: make_stale(conn_id, 2)) is None

    def read_slowly() -> str:
        hook = BaseHook.get_hook(conn_id)
        cache = hook.access.source.cache
        load = cache.store.load

        def slow_load(identities):
            stored = load(identities)
            wait_until(lambda: not stored.usable(cache.now()), "the token's end")
            return stored

        cache.store.load = slow_load
        return hook.get_token().value

    assert isinstance(renewed := outcome_of(read_slowly), str), renewed
    assert sandbox.count("m2p", "token_requests") == 2


@pytest.mark.parametrize(("hangs", "store"), [(0, "sqlite"), (OUTAGE, "postgresql")], indirect=["store"])
def test_an_outage_while_the_token_is_stale_is_not_noticed(hangs, store, set_connection, sandbox):
    """The token endpoint gives 503 for five seconds, at once or after all that time; the token has 16 s left.

    Whoever fails leaves a quarter of what is left to pass: attempts at 0, 4 and 7 s, so that two fall into the outage;
    and one if each takes all of it.
    """
    conn_id = set_connection("m2p")
    assert outcome_of(lambda: make_stale(conn_id, 16)) is None
    sandbox.faults({"m2p": {"fail_token": {"status": 503}, "delay_token": hangs}})
    with Callers(8, conn_id) as callers:
        let_pass(OUTAGE)
        asked = sandbox.count("m2p", "token_requests") - 1
        sandbox.faults({"m2p": {}})
        wait_until(lambda: sandbox.count("m2p", "token_requests") > asked + 1, "another attempt after the outage")
        callers.all_call(3)
    print(asked, "token requests in the outage")
    assert callers.failures == []
    assert callers.slowest < OUTAGE / 2, "a call waited for the token endpoint"
    assert 1 <= asked <= (1 if hangs else 2)
    assert sandbox.count("m2p", "token_requests") == asked + 2
