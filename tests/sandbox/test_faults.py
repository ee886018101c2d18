"""Each fault does what it says, to the bank it is set for and no other."""

import time
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from sandbox_client import BANKS, Sandbox, until


@pytest.mark.parametrize(
    "wanted",
    [
        {"m2p": {"sca_required": True}},
        {"mangopay": {"no_such_fault": 1}},
        {"mangopay": {"delay_calls": "long"}},
        {"mbanq": {"second_factor": ["PIGEON"]}},
        {"no_such_bank": {}},
        {"m2p": {"throttle_calls": {"time": 1}}},
        {"m2p": {"wrong_shape": "round"}},
        {"m2p": {"token_rate": {"minute_lasts": 1}}},
        {"m2p": {"token_rate": {"per_minute": 0}}},
        {"m2p": {"drip_token": True}},
        {"m2p": {"rotate_refresh": True}},
        {"mbanq": {"code_lifetime": -1}},
        ["m2p"],
    ],
)
def test_unknown_faults_are_named(sandbox: Sandbox, wanted: Any) -> None:
    answer = sandbox.client("m2p").post("/_faults", json=wanted)
    assert answer.status_code == 400
    assert len(answer.json()["problems"]) == 1


def test_faults_are_set_by_bank_and_cleared_together(sandbox: Sandbox) -> None:
    assert sandbox.faults("m2p", delay_calls=0)["m2p"] == {"delay_calls": 0}
    now = sandbox.faults("mbanq", self_service=True)
    assert (now["m2p"], now["mbanq"]) == ({"delay_calls": 0}, {"self_service": True})
    assert not any(sandbox.control("POST", "/_faults", {}).values())


@pytest.mark.parametrize("bank", BANKS)
def test_revoked_tokens_are_refused_new_ones_are_not(sandbox: Sandbox, bank: str) -> None:
    headers = sandbox.headers(bank)
    assert sandbox.faults(bank, revoke=True)[bank] == {}
    assert sandbox.data_call(bank, headers).status_code == 401
    headers["Authorization"] = f"Bearer {sandbox.token(bank)}"
    assert sandbox.data_call(bank, headers).status_code == 200


@pytest.mark.parametrize("bank", BANKS)
def test_a_short_lifetime_is_stated_and_kept(sandbox: Sandbox, bank: str) -> None:
    sandbox.faults(bank, token_lifetime=0.3)
    answer = sandbox.token_request(bank).json()
    if bank == "kunacore":
        token, stated = answer["data"]["accessToken"], answer["data"]["expiresIn"] - time.time()
    else:
        token, stated = answer["access_token"], float(answer["expires_in"])
    assert stated <= 0.3
    headers = sandbox.headers(bank, token)
    until(lambda: sandbox.data_call(bank, headers).status_code == 401)


@pytest.mark.parametrize("bank", BANKS)
@pytest.mark.parametrize("raw", [None, "soon", -5, 1.5, {"seconds": 3}])
def test_the_expiry_field_can_hold_anything(sandbox: Sandbox, bank: str, raw: Any) -> None:
    sandbox.faults(bank, token_lifetime_raw=raw)
    answer = sandbox.token_request(bank).json()
    assert (answer["data"]["expiresIn"] if bank == "kunacore" else answer["expires_in"]) == raw


@pytest.mark.parametrize("bank", BANKS)
def test_throttling(sandbox: Sandbox, bank: str) -> None:
    headers = sandbox.headers(bank)
    sandbox.faults(
        bank,
        throttle_token={"times": 1, "retry_after": 7},
        throttle_calls={"times": 2, "retry_after": "http-date", "seconds": 30},
    )
    refused = sandbox.token_request(bank)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
    assert sandbox.token_request(bank).status_code == 200
    for _ in range(2):
        refused = sandbox.data_call(bank, headers)
        assert refused.status_code == 429
        waiting = parsedate_to_datetime(refused.headers["retry-after"]).timestamp() - time.time()
        assert 25 < waiting <= 30
    assert sandbox.data_call(bank, headers).status_code == 200
    assert sandbox.stats(bank)["throttled"] == 3


@pytest.mark.parametrize("bank", BANKS)
def test_failing(sandbox: Sandbox, bank: str) -> None:
    headers = sandbox.headers(bank)
    sandbox.faults(bank, fail_token={"times": 1, "status": 503}, fail_calls={"times": 1, "status": 502})
    assert [sandbox.token_request(bank).status_code for _ in range(2)] == [503, 200]
    assert [sandbox.data_call(bank, headers).status_code for _ in range(2)] == [502, 200]


@pytest.mark.parametrize("bank", BANKS)
def test_lost_answers_were_given(sandbox: Sandbox, bank: str) -> None:
    headers = sandbox.headers(bank)
    sandbox.faults(bank, lose_token_response={"times": 1}, lose_response={"times": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        sandbox.token_request(bank)
    with pytest.raises(httpx.RemoteProtocolError):
        sandbox.data_call(bank, headers)
    stats = sandbox.stats(bank)
    assert (stats["token_requests"], stats["calls"]) == (2, 1)
    assert sandbox.data_call(bank, headers).status_code == 200


def test_delays(sandbox: Sandbox) -> None:
    headers = sandbox.headers("m2p")
    sandbox.faults("m2p", delay_token=0.2, delay_calls=0.3)
    began = time.monotonic()
    assert sandbox.token_request("m2p").status_code == 200
    assert time.monotonic() - began >= 0.2
    began = time.monotonic()
    assert sandbox.data_call("m2p", headers).status_code == 200
    assert time.monotonic() - began >= 0.3


SHAPES: dict[str, Any] = {
    "html": lambda r: r.text.startswith("<!DOCTYPE html>"),
    "empty": lambda r: r.content == b"",
    "truncated": lambda r: r.text.startswith("{") and not r.text.endswith("}"),
    "list": lambda r: r.json() == [],
    "missing_access_token": lambda r: "access" not in r.text.lower(),
    "error_200": lambda r: r.json()["error"] == "server_error",
}


@pytest.mark.parametrize("bank", BANKS)
@pytest.mark.parametrize("shape", SHAPES)
def test_token_answers_of_the_wrong_shape(sandbox: Sandbox, bank: str, shape: str) -> None:
    sandbox.faults(bank, wrong_shape={"shape": shape, "times": 1})
    answer = sandbox.token_request(bank)
    assert answer.status_code == 200
    assert SHAPES[shape](answer)
    assert sandbox.token(bank)


@pytest.mark.parametrize("bank", BANKS)
def test_the_clock_can_be_wrong(sandbox: Sandbox, bank: str) -> None:
    sandbox.faults(bank, clock_offset=-7200)
    answer = sandbox.token_request(bank)
    assert abs(parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time() + 7200) < 5
    if bank == "kunacore":
        assert abs(answer.json()["data"]["expiresIn"] - time.time() + 7200 - 1800) < 5
    # True validity goes by the true clock.
    assert sandbox.data_call(bank, sandbox.headers(bank)).status_code == 200


def test_refresh_tokens_can_be_short_lived(sandbox: Sandbox) -> None:
    sandbox.faults("kunacore", refresh_lifetime=0)
    answer = sandbox.refresh("kunacore", sandbox.token_request("kunacore").json()["data"]["refreshToken"])
    assert answer.json()["errors"][0]["code"] == "REFRESH_TOKEN_EXPIRED"
    assert sandbox.stats("kunacore")["refresh_reuse"] == 0


def test_mbanq_users_differ(sandbox: Sandbox) -> None:
    headers, client = sandbox.user_headers(), sandbox.client("mbanq")
    sandbox.faults("mbanq", second_factor=False, self_service=True)
    assert client.get("/v1/clients", headers=headers).status_code == 200
    user = client.get("/v1/userdetails", headers=headers).json()
    assert (user["isTwoFactorAuthenticationRequired"], user["isSelfServiceUser"]) == (False, True)
    sandbox.faults("mbanq", second_factor=["SMS"], password_expired=True)
    assert [method["name"] for method in client.get("/v1/twofactor", headers=headers).json()] == ["SMS"]
    user = client.get("/v1/userdetails", headers=headers).json()
    assert (user["isTwoFactorAuthenticationRequired"], user["shouldRenewPassword"]) == (True, True)
    refused = client.get("/v1/clients", headers=headers)
    assert refused.json()["userMessageGlobalisationCode"] == "error.msg.password.outdated"
