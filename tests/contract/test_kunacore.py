"""Kuna Core's own ways: an instant as expiry, a refresh token for two days, an API key, searches by POST."""

import time

import pytest
from airflow.sdk import BaseHook

CASE = {
    "read": ("POST", "/v2/customer/find", {"take": 1, "skip": 0}),
    "write": ("POST", "/v2/transfer", {"amount": "1"}),
    "search": ("POST", "/v2/operation/find", {}),
    "tokenless": {"auth_mode": "api_key"},
    "required": ("host", "login", "password", "merchant_id"),
}


@pytest.fixture
def hook(set_connection):
    return BaseHook.get_hook(set_connection("kunacore"))


def stats(sandbox):
    return sandbox.stats()["kunacore"]


def renewed(hook):
    """The token after the one now in force was spent."""
    first = hook.get_token()
    deadline = time.monotonic() + 5
    while (token := hook.get_token()).value == first.value:
        assert time.monotonic() < deadline
    return token


def test_a_spent_access_token_is_renewed_by_the_refresh_token(hook, sandbox):
    sandbox.faults({"kunacore": {"token_lifetime": 1}})
    renewed(hook)
    renewed(hook)
    assert stats(sandbox)["refreshes"] == stats(sandbox)["token_requests"] - 1 >= 2
    assert stats(sandbox)["refresh_reuse"] == 0


def test_an_expired_refresh_token_ends_in_one_login(hook, sandbox):
    """REFRESH_TOKEN_EXPIRED: back to the login, once."""
    hook.get_token()
    sandbox.faults({"kunacore": {"revoke": True, "revoke_refresh": True}})
    assert hook.accounts()
    assert (stats(sandbox)["token_requests"], stats(sandbox)["refreshes"]) == (3, 1)


def test_the_banks_clock_may_be_off(hook, sandbox):
    """expiresIn is an instant by the bank's clock: only its distance from the bank's own Date counts."""
    sandbox.faults({"kunacore": {"clock_offset": -7200}})
    token = hook.access.source.get()
    assert 1700 < (token.expires_at - token.issued_at).total_seconds() <= 1801


def test_an_api_key_is_sent_alone(set_connection, connection_of):
    hook = BaseHook.get_hook(set_connection("kunacore", extra={"auth_mode": "api_key"}))
    with hook.get_conn() as client:
        request = client.post("/v2/customer/find", json={"take": 1, "skip": 0}).request
    assert request.headers["Api-key"] == connection_of("kunacore")["extra"]["api_key"]
    assert "Authorization" not in request.headers
    assert "merchant_id" not in request.headers


def test_an_eighteen_digit_asset_keeps_every_digit(hook, sandbox):
    truth = [e for e in sandbox.truth()["kunacore"]["entries"] if e["exponent"] == 18 and e["status"] == "BOOK"]
    assert truth
    wanted = {e["entry_key"]: e["amount_minor"] for e in truth}
    days = sorted(e["booking_date"] for e in truth)
    from datetime import date

    found = {
        e.entry_key: e.amount.minor
        for account in {e["account_id"] for e in truth}
        for e in hook.statement_entries(account, date.fromisoformat(days[0]), date.fromisoformat(days[-1]))
    }
    assert {key: found[key] for key in wanted} == wanted
    assert any(minor > 2**53 for minor in wanted.values()), "no amount here that a float would spoil"
