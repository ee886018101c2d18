"""Mbanq's own ways: tenant, refresh token, second factor, signed JWT, expired password."""

import base64
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from airflow.sdk import BaseHook

from nostro.errors import CredentialsRefused, PasswordExpired, SecondFactorDue

CASE = {
    "read": ("GET", "/v1/clients", None),
    "write": ("POST", "/v1/payments", {"amount": 1}),
    "required": ("host", "login", "password", "tenant_id", "client_id", "client_secret"),
    "tokenless": {"auth_mode": "signed_jwt"},
}


@pytest.fixture
def hook(set_connection):
    return BaseHook.get_hook(set_connection("mbanq"))


def read(hook):
    with hook.get_conn() as client:
        return client.get("/v1/clients")


def stats(sandbox):
    return sandbox.stats()["mbanq"]


def test_a_spent_access_token_is_renewed_by_the_refresh_token(hook, sandbox):
    """Not by another login: the second try after the access token's end uses the refresh token."""
    sandbox.faults({"mbanq": {"token_lifetime": 1}})
    first = hook.get_token()
    deadline = time.monotonic() + 5
    while hook.get_token().value == first.value:
        assert time.monotonic() < deadline
    assert stats(sandbox)["refreshes"] == 1
    assert stats(sandbox)["token_requests"] == 2


def test_a_refused_refresh_token_ends_in_one_login(hook, sandbox):
    hook.get_token()
    sandbox.faults({"mbanq": {"revoke": True, "revoke_refresh": True}})
    assert read(hook).is_success
    assert (stats(sandbox)["token_requests"], stats(sandbox)["refreshes"]) == (3, 1)


def test_the_second_factor_is_verified_once_by_totp(hook, sandbox, new_process):
    for _ in range(3):
        new_process()
        assert read(BaseHook.get_hook("mbanq_default")).is_success
    assert stats(sandbox)["one_time_passwords"] == 1
    assert stats(sandbox)["token_requests"] == 1


def test_restricted_means_verify_again_not_log_in_again(hook, sandbox):
    """And the code that was used is not sent a second time: the next one is awaited, here on a clock that jumps."""
    clock = Clock()
    source = hook.access.auth.second_factor
    endpoint = replace(source.grant.endpoint, now=clock.now)
    source.grant = replace(source.grant, endpoint=endpoint, sleep=clock.sleep)
    assert read(hook).is_success
    sandbox.faults({"mbanq": {"revoke_second_factor": True}})
    assert read(hook).is_success
    assert stats(sandbox)["token_requests"] == 1
    assert stats(sandbox)["one_time_passwords"] == 2
    assert all(0 < seconds <= 30 for seconds in clock.slept)


class Clock:
    """The real time and what was slept, without sleeping."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=sum(self.slept))


def test_a_code_by_email_needs_a_person_and_none_is_sent(set_connection, sandbox):
    hook = BaseHook.get_hook(set_connection("mbanq", extra={"totp_secret": "", "otp_delivery_method": "EMAIL"}))
    with pytest.raises(SecondFactorDue, match=r"mbanq_default.*EMAIL.*totp_secret") as caught:
        read(hook)
    assert caught.value.remedy == "ask"
    assert stats(sandbox)["one_time_passwords"] == 0


def test_a_wrong_totp_secret_is_told_from_a_wrong_password(set_connection):
    wrong = base64.b32encode(b"not the secret of it").decode()
    hook = BaseHook.get_hook(set_connection("mbanq", extra={"totp_secret": wrong}))
    with pytest.raises(CredentialsRefused, match="totp_secret"):
        read(hook)


def test_without_a_second_factor_none_is_sent(hook, sandbox):
    sandbox.faults({"mbanq": {"second_factor": False}})
    assert read(hook).is_success
    assert stats(sandbox)["one_time_passwords"] == 0


def test_an_expired_password_is_said_in_plain_words(hook, sandbox):
    sandbox.faults({"mbanq": {"password_expired": True}})
    with pytest.raises(PasswordExpired, match=r"mbanq_default.*expired.*set a new one") as caught:
        hook.get_token()
    assert caught.value.remedy == "ask"


def test_a_self_service_user_is_said_in_plain_words(hook, sandbox):
    sandbox.faults({"mbanq": {"self_service": True}})
    ok, message = hook.test_connection()
    assert ok
    assert "self-service user" in message


def test_a_signed_jwt_names_the_signee_and_ends_within_a_day(set_connection, connection_of, sandbox):
    extra = connection_of("mbanq")["extra"]
    hook = BaseHook.get_hook(set_connection("mbanq", extra={"auth_mode": "signed_jwt"}))
    request = read(hook).request
    claims = jwt.decode(request.headers["JWT-Token"], extra["jwt_secret"], algorithms=["HS512"])
    assert claims["signee"] == extra["signee"]
    assert 0 < claims["exp"] - time.time() <= 86_400
    assert "Authorization" not in request.headers
    assert request.headers["tenantId"] == extra["tenant_id"]
    for name in ("jwt_secret", "signee"):
        with pytest.raises(Exception, match=name):
            BaseHook.get_hook(set_connection("mbanq", extra={"auth_mode": "signed_jwt", name: ""})).get_conn()


def test_the_login_is_the_documented_form(hook, sandbox):
    """The tenant is a header named tenantId, the rest a form; the sandbox refuses anything else."""
    hook.get_token()
    assert stats(sandbox)["protocol_errors"] == 0
