"""M2P's own ways: tenant and request id on each call, renewal five minutes ahead, named entities."""

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import BaseHook

from nostro.errors import ConfigurationError

SEARCH = ("POST", "/prepaid/customer/v1/wallets/balance", {"entityId": "{entity}"})
CASE = {
    "read": SEARCH,
    "write": (
        "POST",
        "/prepaid/customer/v1/transactions/",
        {"entityId": "{entity}", "amount": "1.00", "txnRef": "r-1"},
    ),
    "search": SEARCH,
    "required": ("host", "login", "password", "tenant_id"),
}


@pytest.fixture
def hook(set_connection):
    return BaseHook.get_hook(set_connection("m2p"))


def test_each_call_has_the_required_headers_and_a_request_id_of_its_own(hook, connection_of):
    with hook.get_conn() as client:
        requests = [client.get("/v1/products/").request for _ in range(3)]
    for request in requests:
        assert request.headers["X-TENANT-ID"] == connection_of("m2p")["extra"]["tenant_id"]
        assert request.headers["Content-Type"] == "application/json"
        assert request.headers["Authorization"].startswith("Bearer ")
    assert len({request.headers["X-Request-ID"] for request in requests}) == 3


def test_the_token_is_renewed_five_minutes_ahead(hook):
    """ "Refresh 5 minutes before expiry": of an hour, so that the bank's own advice holds."""
    token = hook.access.source.get()
    assert token.expires_at - token.renew_at == timedelta(minutes=5)
    assert timedelta(minutes=59) < token.expires_at - datetime.now(UTC) <= timedelta(hours=1)


def test_a_token_shorter_than_the_window_is_not_asked_for_with_every_call(hook, sandbox):
    sandbox.faults({"m2p": {"token_lifetime": 290}})
    assert len({hook.get_token().value for _ in range(5)}) == 1
    assert sandbox.stats()["m2p"]["token_requests"] == 1


def test_without_entities_no_accounts_can_be_listed(set_connection):
    hook = BaseHook.get_hook(set_connection("m2p", extra={"entity_ids": []}))
    with pytest.raises(ConfigurationError, match=r"m2p_default.*entity_ids"):
        hook.accounts()


def test_entities_typed_as_lines_or_with_commas_are_the_same(set_connection, connection_of):
    entities = connection_of("m2p")["extra"]["entity_ids"]
    expected = BaseHook.get_hook(set_connection("m2p")).accounts()
    for typed in ("\n".join(entities), ", ".join(entities)):
        assert BaseHook.get_hook(set_connection("m2p", extra={"entity_ids": typed})).accounts() == expected
