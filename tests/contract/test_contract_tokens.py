"""Tokens: one login, renewed when refused, sound whatever the bank says of their life, never in clear.

Every bank in the registry is held to these promises, over real sockets to the sandbox.
"""

import asyncio
import json
import os
import pickle
import time
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import BaseHook
from airflow.sdk._shared.secrets_masker import redact
from airflow.sdk.serde import serialize

from nostro.auth.tokens import AccessToken
from nostro.errors import (
    CredentialsRefused,
    NoTokenInThisMode,
    SealBroken,
    TokenEndpointUnavailable,
    UnexpectedAnswer,
)


def test_one_login_serves_every_hook_and_every_process(bank, case, conn_id, sandbox, sent, new_process):
    """The token is in the store: the next task logs in no more."""
    for _ in range(3):
        new_process()
        with BaseHook.get_hook(conn_id).get_conn() as client:
            assert sent(client, case.read).is_success
            assert sent(client, case.read).is_success
    assert sandbox.count(bank, "token_requests") == 1
    assert sandbox.count(bank, "protocol_errors") == 0


def test_the_token_does_not_depend_on_the_connections_name(bank, conn_id, sandbox, set_connection, new_process):
    BaseHook.get_hook(conn_id).get_token()
    new_process()
    BaseHook.get_hook(set_connection(bank, "another_name")).get_token()
    assert sandbox.count(bank, "token_requests") == 1


def test_async_and_sync_share_the_token(bank, case, conn_id, hook, sandbox, sent):
    async def ask() -> int:
        method, path, body = case.read
        async with await hook.get_async_conn() as client:
            answers = await asyncio.gather(*(client.request(method, path, json=body) for _ in range(5)))
            return sum(answer.is_success for answer in answers)

    assert asyncio.run(ask()) == 5
    with hook.get_conn() as client:
        assert sent(client, case.read).is_success
    assert sandbox.count(bank, "token_requests") == 1


def test_a_refused_token_is_renewed_once_and_the_read_sent_again(bank, case, hook, sandbox, sent):
    with hook.get_conn() as client:
        assert sent(client, case.read).is_success
        sandbox.faults({bank: {"revoke": True}})
        assert sent(client, case.read).is_success
    assert sandbox.count(bank, "token_requests") == 2
    assert sandbox.count(bank, "unauthorized") == 1


def test_the_same_on_an_event_loop(bank, case, hook, sandbox):
    async def ask() -> list[int]:
        method, path, body = case.read
        async with await hook.get_async_conn() as client:
            first = await client.request(method, path, json=body)
            await asyncio.to_thread(sandbox.faults, {bank: {"revoke": True}})
            second = await client.request(method, path, json=body)
            return [first.status_code, second.status_code]

    assert asyncio.run(ask()) == [200, 200]
    assert sandbox.count(bank, "token_requests") == 2


def test_a_write_is_not_sent_again(bank, case, hook, sandbox, sent):
    """After a 401 the token is renewed for the next call, but nobody but the caller repeats a write."""
    with hook.get_conn() as client:
        assert sent(client, case.read).is_success
        sandbox.faults({bank: {"revoke": True}})
        calls = sandbox.count(bank, "calls")
        assert sent(client, case.write).status_code == 401
        assert sandbox.count(bank, "calls") == calls + 1
        assert sent(client, case.read).is_success
    assert sandbox.count(bank, "token_requests") == 2


@pytest.mark.needs("keyed")
def test_a_write_with_a_stable_key_is_sent_again(bank, case, hook, sandbox, sent):
    with hook.get_conn() as client:
        assert sent(client, case.read).is_success
        sandbox.faults({bank: {"revoke": True}})
        assert sent(client, case.write, headers={case.keyed: "0123456789abcdef-0001"}).status_code != 401
    assert sandbox.count(bank, "unauthorized") == 1


@pytest.mark.needs("search")
def test_a_search_by_post_is_sent_again(bank, case, hook, sandbox, sent):
    with hook.get_conn() as client:
        assert sent(client, case.read).is_success
        sandbox.faults({bank: {"revoke": True}})
        assert sent(client, case.search).is_success


def test_a_token_refused_for_good_ends_after_one_renewal(bank, case, hook, sandbox, sent):
    """Never a loop: 401 with a new token is the caller's to see."""
    with hook.get_conn() as client:
        assert sent(client, case.read).is_success
        sandbox.faults({bank: {"fail_calls": {"status": 401}}})
        assert sent(client, case.read).status_code == 401
    assert sandbox.count(bank, "token_requests") == 2


@pytest.mark.parametrize("stated", [True, "soon", [], {"s": 3}, ""], ids=repr)
def test_a_lifetime_that_is_no_number_is_a_clear_error(bank, hook, sandbox, stated):
    sandbox.faults({bank: {"token_lifetime_raw": stated}})
    with pytest.raises(UnexpectedAnswer, match="lifetime"):
        hook.get_token()


@pytest.mark.parametrize(
    "stated", [300, "300", 300.5, "300.0", None, 0, "0", -5, 10**18, "1e400", "in seconds", "in milliseconds"]
)
def test_a_lifetime_in_any_other_form_gives_a_sound_expiry(bank, hook, sandbox, stated):
    """And never a token request per call: what cannot be true gives the documented life."""
    instant = int(time.time()) + 900
    raw = {"in seconds": instant, "in milliseconds": instant * 1000}.get(stated, stated)
    sandbox.faults({bank: {"token_lifetime_raw": raw}})
    expiries = {hook.get_token().expires_at for _ in range(3)}
    assert len(expiries) == 1
    assert timedelta(0) < expiries.pop() - datetime.now(UTC) <= timedelta(days=1)
    assert sandbox.count(bank, "token_requests") == 1


def test_a_call_that_is_not_open_to_the_user_costs_one_renewal(bank, case, hook, sandbox, sent):
    """However often it is made: a renewal each time would be a token request per call."""
    with hook.get_conn() as client:
        assert sent(client, case.read).is_success
        sandbox.faults({bank: {"fail_calls": {"status": 401}}})
        for _ in range(5):
            assert sent(client, case.read).status_code == 401
        assert sandbox.count(bank, "token_requests") == 2
        sandbox.faults({bank: {}})
        assert sent(client, case.read).is_success
        sandbox.faults({bank: {"revoke": True}})
        assert sent(client, case.read).is_success, "after a success a refusal is news again"


def test_plain_http_does_not_leave_the_machine_by_a_proxy(bank, case, hook, sent, monkeypatch):
    """http is for loopback alone: HTTP_PROXY has no say, or the credentials would go there in clear."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    if hook.access.line.origin.startswith("https:"):
        monkeypatch.delenv("ALL_PROXY")
    with hook.get_conn() as client:
        assert sent(client, case.read).is_success


@pytest.mark.parametrize("shape", ["html", "empty", "truncated", "list", "missing_access_token", "error_200"])
def test_a_malformed_token_answer_is_a_clear_error(bank, hook, conn_id, sandbox, shape):
    sandbox.faults({bank: {"wrong_shape": shape}})
    with pytest.raises((UnexpectedAnswer, CredentialsRefused), match=conn_id):
        hook.get_token()


@pytest.mark.parametrize(("fault", "wait"), [({"retry_after": 7}, 7), ({"retry_after": "http-date", "seconds": 9}, 9)])
def test_a_throttled_login_says_when_to_come_back(bank, hook, sandbox, fault, wait):
    sandbox.faults({bank: {"throttle_token": {"times": 1, **fault}}})
    with pytest.raises(TokenEndpointUnavailable) as caught:
        hook.get_token()
    assert caught.value.remedy == "retry"
    assert abs((caught.value.retry_at - datetime.now(UTC)).total_seconds() - wait) < 2


@pytest.mark.parametrize("fault", [{"fail_token": {"status": 503}}, {"lose_token_response": {"times": 1}}])
def test_an_outage_of_the_token_endpoint_is_to_be_tried_again(bank, hook, conn_id, sandbox, fault):
    sandbox.faults({bank: fault})
    with pytest.raises(TokenEndpointUnavailable, match=conn_id) as caught:
        hook.get_token()
    assert caught.value.remedy == "retry"


def test_the_access_token_refuses_to_be_serialized(hook):
    """Pickle, JSON and Airflow's serde would each write it into XCom in clear."""
    token = hook.get_token()
    assert isinstance(token, AccessToken)
    assert token.expires_at.tzinfo is not None
    assert token.value not in f"{token!r} {token} {[token]}"
    for attempt in (pickle.dumps, json.dumps, serialize):
        with pytest.raises(TypeError, match="get_sealed_token"):
            attempt(token)


def test_every_token_and_secret_is_masked(bank, case, hook, conn_id, secrets_of, sent):
    """Before anything could print it: Airflow itself masks neither tokens nor values under names it does not know."""
    with hook.get_conn() as client:
        request = sent(client, case.read).request
    for secret in (hook.get_token().value, *secrets_of(bank)):
        assert secret not in redact(f"here: {secret}"), "not masked"
    assert request.headers["Authorization"].removeprefix("Bearer ") not in redact(request.headers["Authorization"])


@pytest.mark.needs("tokenless")
def test_what_signs_in_a_mode_without_tokens_is_masked(bank, case, set_connection, sent):
    hook = BaseHook.get_hook(set_connection(bank, extra=dict(case.tokenless)))
    with hook.get_conn() as client:
        plain, signed = client.build_request("GET", "/"), sent(client, case.read).request
    names = {name for name in signed.headers if name not in plain.headers and not name.startswith("content-")}
    assert names
    for name in names:
        value = signed.headers[name].removeprefix("Basic ")
        assert value not in redact(f"here: {value}"), f"{name} is not masked"


def test_added_headers_are_masked(bank, set_connection):
    hook = BaseHook.get_hook(set_connection(bank, extra={"headers": {"X-Partner": "partner-value-7f3a"}}))
    hook.get_conn().close()
    assert "partner-value-7f3a" not in redact("here: partner-value-7f3a")


def test_a_sealed_token_is_text_that_another_task_opens(
    bank, case, conn_id, hook, sandbox, sent, monkeypatch, new_process
):
    sealed = hook.get_sealed_token()
    assert sealed.isascii()
    assert serialize(sealed) == sealed
    assert hook.get_token().value not in sealed
    monkeypatch.setenv("AIRFLOW__NOSTRO__STORE", "none")
    monkeypatch.setenv("AIRFLOW__NOSTRO__SEAL_KEYS", os.environ["AIRFLOW__CORE__FERNET_KEY"])
    new_process()
    mapped = type(hook)(conn_id, sealed_token=sealed)
    assert mapped.get_token().value == hook.get_token().value
    with mapped.get_conn() as client:
        assert sent(client, case.read).is_success
    assert sandbox.count(bank, "token_requests") == 1


def test_a_sealed_token_opens_for_its_own_connection_only(bank, conn_id, hook, set_connection):
    sealed = hook.get_sealed_token()
    other = set_connection(bank, "other", password="another-password-of-another-user")
    with pytest.raises(SealBroken, match="other"):
        type(hook)(other, sealed_token=sealed).get_token()
    with pytest.raises(SealBroken, match=conn_id):
        type(hook)(conn_id, sealed_token=sealed[:-6] + "AAAAA=").get_token()


def test_a_spent_sealed_token_is_renewed_through_the_store(bank, case, conn_id, hook, sandbox, sent):
    sealed = hook.get_sealed_token()
    sandbox.faults({bank: {"revoke": True}})
    with type(hook)(conn_id, sealed_token=sealed).get_conn() as client:
        assert sent(client, case.read).is_success
    assert sandbox.count(bank, "token_requests") == 2


def test_another_password_is_another_token(bank, conn_id, hook, set_connection, sandbox):
    """A corrected connection never uses what was got with the old secrets, and a wrong one nothing at all."""
    hook.get_token()
    set_connection(bank, conn_id, password="wrong")
    with pytest.raises(CredentialsRefused):
        BaseHook.get_hook(conn_id).get_token()
    assert sandbox.count(bank, "refused_logins") == 1


@pytest.mark.needs("tokenless")
def test_a_mode_without_tokens_signs_and_has_none(bank, case, set_connection, sandbox, sent):
    hook = BaseHook.get_hook(set_connection(bank, extra=dict(case.tokenless)))
    with hook.get_conn() as client:
        assert sent(client, case.read).is_success
    for member in (hook.get_token, hook.get_sealed_token):
        with pytest.raises(NoTokenInThisMode, match="auth_mode"):
            member()
    assert hook.test_connection()[0]
    assert sandbox.count(bank, "token_requests") == 0
    assert sandbox.count(bank, "protocol_errors") == 0
