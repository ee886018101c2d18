"""The promises that every bank keeps, over real sockets to the sandbox: a bank in the registry is held to them."""

import asyncio
import copy
import json
import logging
import os
import pickle
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from airflow.sdk import BaseHook
from airflow.sdk._shared.secrets_masker import redact
from airflow.sdk.serde import serialize

from nostro.auth.tokens import AccessToken
from nostro.errors import (
    ConfigurationError,
    CredentialsRefused,
    NostroError,
    NoTokenInThisMode,
    OriginRefused,
    SealBroken,
    TokenEndpointUnavailable,
    UnexpectedAnswer,
)

TODAY = datetime.now(UTC).date()


@pytest.fixture
def conn_id(bank, set_connection) -> str:
    return set_connection(bank)


@pytest.fixture
def hook(conn_id):
    return BaseHook.get_hook(conn_id)


def counted(sandbox, bank: str, name: str) -> int:
    return sandbox.stats()[bank][name]


# Tokens


def test_one_login_serves_every_hook_and_every_process(bank, case, conn_id, sandbox, sent, new_process):
    """The token is in the store: the next task logs in no more."""
    for _ in range(3):
        new_process()
        with BaseHook.get_hook(conn_id).get_conn() as client:
            assert sent(client, case.read).is_success
            assert sent(client, case.read).is_success
    assert counted(sandbox, bank, "token_requests") == 1
    assert counted(sandbox, bank, "protocol_errors") == 0


def test_the_token_does_not_depend_on_the_connections_name(bank, conn_id, sandbox, set_connection, new_process):
    BaseHook.get_hook(conn_id).get_token()
    new_process()
    BaseHook.get_hook(set_connection(bank, "another_name")).get_token()
    assert counted(sandbox, bank, "token_requests") == 1


def test_async_and_sync_share_the_token(bank, case, conn_id, hook, sandbox, sent):
    async def ask() -> int:
        method, path, body = case.read
        async with await hook.get_async_conn() as client:
            answers = await asyncio.gather(*(client.request(method, path, json=body) for _ in range(5)))
            return sum(answer.is_success for answer in answers)

    assert asyncio.run(ask()) == 5
    with hook.get_conn() as client:
        assert sent(client, case.read).is_success
    assert counted(sandbox, bank, "token_requests") == 1


def test_a_refused_token_is_renewed_once_and_the_read_sent_again(bank, case, hook, sandbox, sent):
    with hook.get_conn() as client:
        assert sent(client, case.read).is_success
        sandbox.faults({bank: {"revoke": True}})
        assert sent(client, case.read).is_success
    assert counted(sandbox, bank, "token_requests") == 2
    assert counted(sandbox, bank, "unauthorized") == 1


def test_the_same_on_an_event_loop(bank, case, hook, sandbox):
    async def ask() -> list[int]:
        method, path, body = case.read
        async with await hook.get_async_conn() as client:
            first = await client.request(method, path, json=body)
            await asyncio.to_thread(sandbox.faults, {bank: {"revoke": True}})
            second = await client.request(method, path, json=body)
            return [first.status_code, second.status_code]

    assert asyncio.run(ask()) == [200, 200]
    assert counted(sandbox, bank, "token_requests") == 2


def test_a_write_is_not_sent_again(bank, case, hook, sandbox, sent):
    """After a 401 the token is renewed for the next call, but nobody but the caller repeats a write."""
    with hook.get_conn() as client:
        assert sent(client, case.read).is_success
        sandbox.faults({bank: {"revoke": True}})
        calls = counted(sandbox, bank, "calls")
        assert sent(client, case.write).status_code == 401
        assert counted(sandbox, bank, "calls") == calls + 1
        assert sent(client, case.read).is_success
    assert counted(sandbox, bank, "token_requests") == 2


@pytest.mark.needs("keyed")
def test_a_write_with_a_stable_key_is_sent_again(bank, case, hook, sandbox, sent):
    with hook.get_conn() as client:
        assert sent(client, case.read).is_success
        sandbox.faults({bank: {"revoke": True}})
        assert sent(client, case.write, headers={case.keyed: "0123456789abcdef-0001"}).status_code != 401
    assert counted(sandbox, bank, "unauthorized") == 1


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
    assert counted(sandbox, bank, "token_requests") == 2


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
    assert counted(sandbox, bank, "token_requests") == 1


def test_a_call_that_is_not_open_to_the_user_costs_one_renewal(bank, case, hook, sandbox, sent):
    """However often it is made: a renewal each time would be a token request per call."""
    with hook.get_conn() as client:
        assert sent(client, case.read).is_success
        sandbox.faults({bank: {"fail_calls": {"status": 401}}})
        for _ in range(5):
            assert sent(client, case.read).status_code == 401
        assert counted(sandbox, bank, "token_requests") == 2
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
    assert counted(sandbox, bank, "token_requests") == 1


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
    assert counted(sandbox, bank, "token_requests") == 2


def test_another_password_is_another_token(bank, conn_id, hook, set_connection, sandbox):
    """A corrected connection never uses what was got with the old secrets, and a wrong one nothing at all."""
    hook.get_token()
    set_connection(bank, conn_id, password="wrong")
    with pytest.raises(CredentialsRefused):
        BaseHook.get_hook(conn_id).get_token()
    assert counted(sandbox, bank, "refused_logins") == 1


@pytest.mark.needs("tokenless")
def test_a_mode_without_tokens_signs_and_has_none(bank, case, set_connection, sandbox, sent):
    hook = BaseHook.get_hook(set_connection(bank, extra=dict(case.tokenless)))
    with hook.get_conn() as client:
        assert sent(client, case.read).is_success
    for member in (hook.get_token, hook.get_sealed_token):
        with pytest.raises(NoTokenInThisMode, match="auth_mode"):
            member()
    assert hook.test_connection()[0]
    assert counted(sandbox, bank, "token_requests") == 0
    assert counted(sandbox, bank, "protocol_errors") == 0


# The wire


def test_a_request_to_another_origin_is_refused(case, hook, sandbox):
    with hook.get_conn() as client:
        for other in (
            "https://example.com/",
            str(client.base_url).replace("127.0.0.1", "localhost"),
            "http://127.0.0.1:1/",
        ):
            with pytest.raises(OriginRefused, match="signs requests to"):
                client.get(other)


def test_a_redirect_is_not_followed_elsewhere(hook):
    """Also where the caller asks for it: the next request leaves for no other origin."""
    with hook.get_conn() as client:
        redirect = httpx.Response(
            302, headers={"location": "http://127.0.0.1:1/"}, request=client.build_request("GET", "/")
        )
        guard = client.event_hooks["request"][0]
        assert client.follow_redirects is False
        with pytest.raises(OriginRefused):
            guard(httpx.Request("GET", redirect.headers["location"]))


def test_each_request_is_one_redacted_line(bank, case, hook, sandbox, secrets_of, sent, caplog):
    """Method, path, status, milliseconds, request id at DEBUG; no secret, token or query from any logger."""
    caplog.set_level(logging.DEBUG)
    method, path, _ = case.read
    with hook.get_conn() as client:
        sent(client, case.read, params={"canary": "query-canary"})
    lines = [record.getMessage() for record in caplog.records if record.name == "nostro.wire"]
    assert [line for line in lines if line.startswith(f"{method} {path.split('?')[0]} -> ")]
    assert "query-canary" not in "\n".join(lines)
    everything = "\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records)
    for secret in (*secrets_of(bank), hook.get_token().value):
        assert secret not in everything


def test_more_headers_are_sent_but_none_that_sign(bank, case, set_connection, sent):
    hook = BaseHook.get_hook(set_connection(bank, extra={"headers": {"X-Custom": "yes"}}))
    with hook.get_conn() as client:
        assert sent(client, case.read).request.headers["X-Custom"] == "yes"
    for name in ("Authorization", "tenantId", "X-TENANT-ID", "idempotency-key", "Api-key", "merchant_id", "JWT-Token"):
        hook = BaseHook.get_hook(set_connection(bank, extra={"headers": {name: "x"}}))
        with pytest.raises(ConfigurationError, match="headers"):
            hook.get_conn()


# Failures


def test_refused_credentials_are_one_sentence_without_a_secret(bank, conn_id, set_connection, secrets_of, sandbox):
    set_connection(bank, password="not-the-password-7f3a")
    with pytest.raises(CredentialsRefused) as caught:
        BaseHook.get_hook(conn_id).get_token()
    message = str(caught.value)
    assert conn_id in message
    assert "'password'" in message
    assert caught.value.remedy == "fail"
    assert caught.value.__cause__ is None
    assert "not-the-password-7f3a" not in message + repr(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args
    assert counted(sandbox, bank, "token_requests") == 1


def test_an_unreachable_host_is_one_sentence(bank, case, conn_id, set_connection):
    changes = dict(case.unavailable_host)
    set_connection(bank, **changes)
    with pytest.raises(NostroError) as caught:
        BaseHook.get_hook(conn_id).accounts()
    assert conn_id in str(caught.value)
    assert f"'{case.address_field}'" in str(caught.value)
    assert caught.value.remedy == "retry"


def test_each_missing_field_is_named(bank, case, conn_id, set_connection):
    for name in case.required:
        for empty in (None, "", "   "):
            change = {name: empty} if name in ("host", "login", "password") else {"extra": {name: empty}}
            set_connection(bank, **change)
            with pytest.raises(ConfigurationError) as caught:
                BaseHook.get_hook(conn_id).get_conn()
            assert f"'{conn_id}'" in str(caught.value)
            assert f"'{name}'" in str(caught.value)


def test_no_shared_store_without_a_key(bank, conn_id, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    with pytest.raises(ConfigurationError, match=r"seal_keys.*AIRFLOW__NOSTRO__SEAL_KEYS"):
        BaseHook.get_hook(conn_id).get_token()


def test_without_a_shared_file_airflows_key_does_not_serve(bank, conn_id, monkeypatch):
    """A worker on another machine may hold a private one: `seal_keys` has to be set."""
    monkeypatch.setenv("AIRFLOW__NOSTRO__STORE", "none")
    with pytest.raises(ConfigurationError, match=r"seal_keys.*AIRFLOW__NOSTRO__SEAL_KEYS"):
        BaseHook.get_hook(conn_id).get_sealed_token()


def test_a_connection_of_another_type_is_refused(bank, hook, set_connection):
    other = "m2p" if bank != "m2p" else "mbanq"
    with pytest.raises(ConfigurationError, match=r"conn_type.*get_hook"):
        type(hook)(set_connection(other)).get_conn()


def test_a_copy_of_a_hook_holds_no_secret(hook, secrets_of, bank):
    """A hook may be pickled, by a task that returns it by mistake: what travels is the connection's name."""
    hook.get_token()
    copied = copy.copy(hook)
    assert copied.conn_id == hook.conn_id
    held = repr(copied.__dict__) + repr(vars(copied))
    assert not [secret for secret in secrets_of(bank) if secret in held]
    assert copied.get_token().value == hook.get_token().value


def test_the_store_holds_ciphertext_only(bank, hook, secrets_of, tmp_path):
    token = hook.get_token().value
    hook.accounts()
    files = [path for path in tmp_path.rglob("*") if path.is_file() and "nostro.db" in str(path)]
    stored = b"".join(path.read_bytes() for path in files)
    assert b"gAAAA" in stored
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    for secret in (token, *secrets_of(bank)):
        assert secret.encode() not in stored


# Test connection


def test_test_connection_logs_in_once_and_sends_no_one_time_password(bank, conn_id, hook, sandbox, secrets_of):
    ok, message = hook.test_connection()
    assert ok, message
    assert counted(sandbox, bank, "token_requests") == 1
    assert counted(sandbox, bank, "one_time_passwords") == 0
    assert not [secret for secret in (*secrets_of(bank), hook.get_token().value) if secret in message]


def test_test_connection_says_which_stage_failed(bank, conn_id, set_connection, sandbox):
    set_connection(bank, password="wrong")
    ok, message = BaseHook.get_hook(conn_id).test_connection()
    assert not ok
    assert message.startswith("Token: ")
    assert counted(sandbox, bank, "token_requests") == 1
    set_connection(bank, password="***")
    ok, message = BaseHook.get_hook(conn_id).test_connection()
    assert not ok
    assert message.startswith("Fields: ")
    assert "asterisks" in message


def test_test_connection_sees_a_token_revoked_meanwhile(bank, hook, sandbox, new_process):
    hook.get_token()
    sandbox.faults({bank: {"revoke": True}})
    new_process()
    assert hook.test_connection()[0]
    assert counted(sandbox, bank, "token_requests") == 2


# Statements


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
    assert counted(sandbox, bank, "protocol_errors") == 0


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
