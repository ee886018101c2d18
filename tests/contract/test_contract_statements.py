"""Statements: the bank's own entries, all of them, once.

Every bank in the registry is held to these promises, over real sockets to the sandbox.
"""

from datetime import UTC, datetime, timedelta

import pytest

from nostro.errors import (
    NostroError,
)

TODAY = datetime.now(UTC).date()


def test_accounts_and_entries_are_the_banks_own(bank, hook, sandbox):
    """Every booked entry, once, with integer minor units, direction and day; nothing that failed or is pending."""
    truth = sandbox.truth()[bank]
    accounts = hook.accounts()
    assert {a.account_id for a in accounts} == {a["account_id"] for a in truth["accounts"]}
    held = {a["account_id"]: (a["balance_minor"], a["currency"]) for a in truth["accounts"]}
    for account in accounts:
        balance = account.balances[0].amount
        assert (balance.minor, balance.currency) == held[account.account_id]
    wanted = {
        (e["account_id"], e["entry_key"]): tuple(
            e[n] for n in ("booking_date", "credit_debit", "amount_minor", "currency")
        )
        for e in truth["entries"]
        if e["status"] == "BOOK"
    }
    days = sorted(w[0] for w in wanted.values())
    start, end = datetime.fromisoformat(days[0]).date(), datetime.fromisoformat(days[-1]).date()
    entries = [e for a in accounts for e in hook.statement_entries(a.account_id, start, end)]
    found = {
        (e.account_id, e.entry_key): (str(e.booking_date), e.credit_debit, e.amount.minor, e.amount.currency)
        for e in entries
    }
    assert len(found) == len(entries)
    assert found == wanted
    assert sandbox.count(bank, "protocol_errors") == 0


def test_a_single_day_is_that_days_entries(bank, hook, sandbox):
    truth = [e for e in sandbox.truth()[bank]["entries"] if e["status"] == "BOOK"]
    day = sorted(e["booking_date"] for e in truth)[len(truth) // 2]
    wanted = {(e["account_id"], e["entry_key"]) for e in truth if e["booking_date"] == day}
    on = datetime.fromisoformat(day).date()
    found = [e for a in hook.accounts() for e in hook.statement_entries(a.account_id, on, on)]
    assert {(e.account_id, e.entry_key) for e in found} == wanted


def test_pending_entries_come_only_if_asked_for(bank, hook, sandbox):
    """And then all of them, beside the booked ones."""
    truth = sandbox.truth()[bank]["entries"]
    start, end = TODAY - timedelta(days=40), TODAY + timedelta(days=1)
    accounts = [account.account_id for account in hook.accounts()]
    settled = {(e.entry_key, e.status) for a in accounts for e in hook.statement_entries(a, start, end)}
    everything = {(e.entry_key, e.status) for a in accounts for e in hook.statement_entries(a, start, end, True)}
    assert settled == {(e["entry_key"], "BOOK") for e in truth if e["status"] == "BOOK"}
    assert everything == {(e["entry_key"], e["status"]) for e in truth}


def test_a_range_the_wrong_way_round_is_refused(hook):
    with pytest.raises(ValueError, match="after"):
        list(hook.statement_entries("any", TODAY, TODAY - timedelta(days=1)))


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        ({"throttle_calls": {"times": 1, "retry_after": 7}}, "retry"),
        ({"fail_calls": {"times": 1, "status": 503}}, "retry"),
    ],
)
def test_a_failing_call_says_what_to_do(bank, hook, conn_id, sandbox, fault, remedy):
    hook.get_token()
    sandbox.faults({bank: fault})
    with pytest.raises(NostroError, match=conn_id) as caught:
        hook.accounts()
    assert caught.value.remedy == remedy
    if "throttle_calls" in fault:
        assert 5 < (caught.value.retry_at - datetime.now(UTC)).total_seconds() <= 7
