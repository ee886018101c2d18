"""Mbanq's own ways: tenant, refresh token, second factor, signed JWT, expired password."""

import base64
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowRescheduleException

from nostro.auth.grant import Grant
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
    source = hook.access.second_factor
    factor = source.grant.login.__self__
    endpoint = replace(factor.endpoint, now=clock.now)
    source.grant = Grant(replace(factor, endpoint=endpoint, sleep=clock.sleep).verify)
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


@pytest.fixture(params=["EMAIL", "SMS"])
def by_person(request, set_connection, sandbox):
    """Opens the hook of a user whose codes come to a person, as each new task does."""
    sandbox.faults({"mbanq": {"second_factor": [request.param]}})
    conn_id = set_connection("mbanq", extra={"totp_secret": "", "otp_delivery_method": request.param})
    return lambda: BaseHook.get_hook(conn_id)


def due(hook) -> SecondFactorDue:
    with pytest.raises(SecondFactorDue) as caught:
        read(hook)
    return caught.value


def hand_in(hook, code: str) -> None:
    source = hook.access.second_factor
    source.cache.codes.hand_in(source.account, code, datetime.now(UTC) + timedelta(minutes=5))


def delivered(sandbox) -> list[str]:
    return [sent["token"] for sent in sandbox.truth()["mbanq"]["one_time_passwords"]]


def test_a_task_that_needs_a_code_is_parked_and_one_code_is_sent(by_person, sandbox, new_process):
    """However many tasks wait for it, and in whatever process; each looks again half a minute later."""
    for _ in range(3):
        new_process()
        error = due(by_person())
        assert error.remedy == "park"
        assert isinstance(error, AirflowRescheduleException)
        assert timedelta(seconds=20) < error.reschedule_date - datetime.now(UTC) <= timedelta(seconds=30)
        assert "airflow nostro code mbanq_default" in str(error)
    assert len(delivered(sandbox)) == 1
    assert (stats(sandbox)["one_time_passwords"], stats(sandbox)["validations"]) == (1, 0)
    assert stats(sandbox)["token_requests"] == 1


def test_once_the_code_is_handed_in_the_calls_go_on(by_person, sandbox, new_process):
    """The next task uses it, once; all others have what it brought."""
    due(by_person())
    (code,) = delivered(sandbox)
    hand_in(by_person(), code)
    for _ in range(3):
        new_process()
        assert read(by_person()).is_success
    assert (stats(sandbox)["one_time_passwords"], stats(sandbox)["validations"]) == (2, 1)
    assert stats(sandbox)["token_requests"] == 1


def test_a_wrong_code_parks_again(by_person, sandbox, new_process):
    """It is shown to the bank once, no other one is sent for it, and the right one still counts."""
    due(by_person())
    hand_in(by_person(), "00000")
    for _ in range(2):
        new_process()
        assert due(by_person()).remedy == "park"
    assert (len(delivered(sandbox)), stats(sandbox)["refused_codes"]) == (1, 1)
    hand_in(by_person(), delivered(sandbox)[0])
    assert read(by_person()).is_success


def test_after_a_day_without_a_code_a_person_is_asked_for(by_person, sandbox):
    """The task fails then, instead of being parked for ever, and no other code is sent."""
    hook = by_person()
    due(hook)
    source = hook.access.second_factor
    factor = source.grant.login.__self__
    tomorrow = replace(factor.endpoint, now=lambda: datetime.now(UTC) + timedelta(days=1))
    source.grant = Grant(replace(factor, endpoint=tomorrow).verify)
    error = due(hook)
    assert (error.remedy, error.retry_at) == ("ask", None)
    assert not isinstance(error, AirflowRescheduleException)
    assert len(delivered(sandbox)) == 1


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
