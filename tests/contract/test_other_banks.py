"""Answers that are within the banks' documents, and that our own sandbox does not give."""

import json
import logging
from datetime import date, timedelta

import pytest
import tiny_banks
from airflow.sdk import BaseHook

from nostro.errors import OutcomeUnknown, UserActionPending
from nostro.money import Money
from nostro.values import Creditor, Payout

JANUARY = date(2024, 1, 1), date(2024, 1, 31)
TOKEN = {"access_token": "tok-1", "token_type": "Bearer", "expires_in": 3600}
RESTRICTED = "Access to type 'Client' is restricted"


@pytest.fixture
def hook_at(set_connection):
    """A bank's hook, at another origin than the sandbox's."""

    def make(conn_type, origin, **extra):
        return BaseHook.get_hook(set_connection(conn_type, host=origin, extra=extra))

    return make


def mangopay_row(number: int) -> dict:
    funds = {"Currency": "EUR", "Amount": number + 1}
    row = {"Id": f"t{number}", "Status": "SUCCEEDED", "CreationDate": 1704880000 + number, "CreditedFunds": funds}
    return {**row, "ExecutionDate": 1704880000 + number, "CreditedWalletId": "w", "Type": "PAYIN", "Nature": "REGULAR"}


def test_mangopay_pages_without_a_count_are_read_to_the_end(hook_at):
    """The bank gives fewer rows than asked for, and no x-number-of-pages: none is lost."""

    def reply(request):
        if request.path.endswith("/oauth/token"):
            return 200, {}, TOKEN
        page = int(request.query.split("page=")[1].split("&")[0])
        return 200, {}, [mangopay_row(n) for n in range(120)][(page - 1) * 50 : page * 50]

    with tiny_banks.bank(reply) as origin:
        assert len(list(hook_at("mangopay", origin).statement_entries("w", *JANUARY))) == 120


def test_an_identifier_leads_to_no_other_path(hook_at):
    paths = []

    def reply(request):
        paths.append(request.path)
        return 200, {}, TOKEN if request.path.endswith("/oauth/token") else []

    with tiny_banks.bank(reply) as origin:
        assert list(hook_at("mangopay", origin).statement_entries("w/../../other/wallets/x", *JANUARY)) == []
    assert paths[-1].endswith("/wallets/w%2F..%2F..%2Fother%2Fwallets%2Fx/transactions")


REST = {"developerMessage": RESTRICTED, "defaultUserMessage": RESTRICTED, "userMessageGlobalisationCode": "RESTRICTED"}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, REST),
        (401, REST),
        (400, {"code": "RESTRICTED", "message": RESTRICTED}),
        (403, {"errors": [{"defaultUserMessage": RESTRICTED}]}),
        (403, {"error": {"extensions": {"code": "RESTRICTED"}}}),
        (403, RESTRICTED.encode()),
    ],
    ids=str,
)
def test_restricted_in_any_shape_means_verify_again(hook_at, status, body):
    """One code is handed in, nobody logs in again, and the call goes through."""
    seen = []

    def reply(request):
        seen.append(request.path)
        if request.path == "/oauth/token":
            return 200, {}, TOKEN
        if request.path == "/v1/userdetails":
            return 200, {}, {"isTwoFactorAuthenticationRequired": False}
        if request.path == "/v1/twofactor/validate":
            return 200, {}, {"token": "tfa-1", "validFrom": "2024-01-01 00:00:00", "validTo": "2024-01-02 00:00:00"}
        verified = request.headers.get("Fineract-Platform-TFA-Token") == "tfa-1"
        return (200, {}, {"ok": True}) if verified else (status, {}, body)

    with tiny_banks.bank(reply) as origin, hook_at("mbanq", origin).get_conn() as client:
        assert client.get("/v1/clients").json() == {"ok": True}
        assert client.get("/v1/clients").json() == {"ok": True}
    assert seen.count("/v1/twofactor/validate") == 1
    assert seen.count("/oauth/token") == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {}),
        (410, {"errors": [{"code": "REFRESH_TOKEN_EXPIRED", "message": "Invalid token"}]}),
        (200, {"data": None}),
        (200, b"<html>"),
        (401, {"errors": [{"code": "UNAUTHORIZED", "message": {"name": "TokenExpiredError"}}]}),
    ],
    ids=str,
)
def test_a_refresh_that_fails_in_any_way_ends_in_a_login(hook_at, status, body):
    """But for an outage: otherwise the connection would be dead until somebody empties the store."""
    logins = []

    def reply(request):
        if request.path == "/v2/auth/refresh":
            return status, {}, body
        if request.path == "/v2/auth/login":
            logins.append(request)
            data = {"accessToken": f"tok-{len(logins)}", "refreshToken": "r-1", "expiresIn": 1800}
            return 200, {}, {"data": data}
        good = request.headers.get("Authorization") == "Bearer tok-2"
        return (200, {}, {"data": []}) if good else (401, {}, {"errors": [{"code": "UNAUTHORIZED", "message": "x"}]})

    with tiny_banks.bank(reply) as origin, hook_at("kunacore", origin).get_conn() as client:
        assert client.post("/v2/customer/find", json={}).is_success
    assert len(logins) == 2


def test_a_refresh_token_that_is_kept_ends_when_it_would_have_ended(hook_at):
    """Two days after the login, not after the last refresh."""
    asked = []

    def reply(request):
        asked.append(request.path)
        data = {"accessToken": f"tok-{len(asked)}", "expiresIn": 1800}
        return 200, {}, {"data": data if request.path == "/v2/auth/refresh" else {**data, "refreshToken": "r-1"}}

    with tiny_banks.bank(reply) as origin:
        source = hook_at("kunacore", origin).access.source
        first = source.get()
        second = source.get(refused=first.value)
    assert asked == ["/v2/auth/login", "/v2/auth/refresh"]
    assert second.refresh_token == "r-1"
    assert abs(second.refresh_expires_at - first.refresh_expires_at) < timedelta(seconds=1)


PAYOUT = Payout("E2E-1", Money(100, "EUR"), "w", Creditor("Bert", bank_reference="b1"), "Invoice")


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>"), (200, b'{"Id": "po_'), (200, {"weird": 1}), (403, b"<html>"), (302, b"")]
)
def test_an_answer_to_a_payout_that_cannot_be_read_proves_nothing(hook_at, status, body):
    """The payout may exist: who believed that it failed would pay it again under another id."""

    def reply(request):
        if request.path.endswith("/oauth/token"):
            return 200, {}, TOKEN
        return (200, {}, {"Owners": ["u"]}) if request.method == "GET" else (status, {}, body)

    with tiny_banks.bank(reply) as origin, pytest.raises(OutcomeUnknown) as caught:
        hook_at("mangopay", origin).submit_payout(PAYOUT)
    assert caught.value.remedy == "retry"


def test_the_owners_confirmation_is_asked_for_when_paying_too(hook_at):
    def reply(request):
        if request.path.endswith("/oauth/token"):
            return 200, {}, TOKEN
        return 401, {"WWW-Authenticate": "PendingUserAction RedirectUrl=https://sca.example/?token=x"}, b""

    with tiny_banks.bank(reply) as origin, pytest.raises(UserActionPending):
        hook_at("mangopay", origin).submit_payout(PAYOUT)


def test_what_a_bank_echoes_is_in_no_log_at_any_level(hook_at, caplog):
    """A new token or a secret that comes back in a header, an error or an id is not printed, by whatever logger."""
    token = "8f14e45f-ceea-467f-a0e6-1a2b3c4d5e6f"  # looks like a request id

    def reply(request):
        echo = {"X-Request-Id": token, "X-Auth-Token": token, "Location": f"https://x.example/?t={token}"}
        if request.path.endswith("/oauth/token"):
            return 200, echo, {**TOKEN, "access_token": token}
        return 500, echo, {"Message": token, "Type": token}

    caplog.set_level(logging.DEBUG)
    with tiny_banks.bank(reply) as origin:
        hook = hook_at("mangopay", origin)
        with pytest.raises(Exception, match="mangopay_default") as caught:
            hook.accounts()
    printed = "\n".join(f"{r.getMessage()} {r.exc_text}" for r in caplog.records)
    assert "GET /v2.01/" in printed
    assert token not in printed + str(caught.value) + repr(caught.value) + json.dumps(caught.value.fields)
