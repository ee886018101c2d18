"""Mbanq's second factor: codes by time and by message, each for one use, and the tokens they are changed for."""

import base64
import hashlib
import hmac
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import httpx
import pytest
from sandbox_client import Sandbox, until


def _totp(secret: str, at: float) -> str:
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", int(at // 30)), hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


class Person:
    """The user, logged in, with a mail box and a phone."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._client = sandbox.client("mbanq")
        self.headers = sandbox.user_headers()

    def methods(self) -> list[str]:
        return [method["name"] for method in self._client.get("/v1/twofactor", headers=self.headers).json()]

    def ask(self, method: str) -> httpx.Response:
        return self._client.post("/v1/twofactor", json={"deliveryMethod": method}, headers=self.headers)

    def delivered(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._sandbox.truth("mbanq")["one_time_passwords"]
        return found

    def show(self, code: str, method: str) -> httpx.Response:
        body = {"token": code, "deliveryMethod": method}
        return self._client.post("/v1/twofactor/validate", json=body, headers=self.headers)

    def by_time(self) -> str:
        return _totp(self._sandbox.credentials["mbanq"]["extra"]["totp_secret"], time.time())

    def read(self, token: str = "") -> httpx.Response:
        return self._client.get("/v1/clients", headers={**self.headers, "Fineract-Platform-TFA-Token": token})


@pytest.fixture
def person(sandbox: Sandbox) -> Person:
    return Person(sandbox)


def _counts(sandbox: Sandbox) -> tuple[int, int, int]:
    stats = sandbox.stats("mbanq")
    return stats["one_time_passwords"], stats["validations"], stats["refused_codes"]


def _refused(answer: httpx.Response, code: str = "error.msg.twofactor.otp.token.invalid") -> bool:
    said = answer.json()
    assert said["userMessageGlobalisationCode"] == "validation.msg.domain.rule.violation"
    assert (answer.status_code, said["httpStatusCode"]) == (403, "403")
    return bool(said["errors"][0]["userMessageGlobalisationCode"] == code)


def test_a_second_factor_is_asked_for(sandbox: Sandbox, person: Person) -> None:
    refused = person.read()
    assert refused.status_code == 403
    assert refused.json()["code"] == "RESTRICTED"
    assert refused.json()["message"].startswith("Access to type ")
    assert sandbox.stats("mbanq")["unauthorized"] == 1
    user = sandbox.client("mbanq").get("/v1/userdetails", headers=person.headers).json()
    assert (user["isTwoFactorAuthenticationRequired"], user["shouldRenewPassword"]) == (True, False)
    assert "TOTP" in person.methods()


def test_a_code_by_time_counts_once(sandbox: Sandbox, person: Person) -> None:
    code = person.by_time()
    granted = person.show(code, "totp").json()
    assert set(granted) == {"token", "validFrom", "validTo"}
    assert person.read(granted["token"]).status_code == 200
    assert _refused(person.show(code, "totp"))
    assert _counts(sandbox) == (2, 2, 1)
    sandbox.faults("mbanq", revoke_second_factor=True)
    assert person.read(granted["token"]).json()["code"] == "RESTRICTED"


def test_the_code_belongs_in_the_body(sandbox: Sandbox, person: Person) -> None:
    answer = sandbox.client("mbanq").post("/v1/twofactor/validate?token=123456", headers=person.headers)
    assert answer.status_code == 400
    assert sandbox.stats("mbanq")["protocol_errors"] == 1
    assert _counts(sandbox) == (0, 0, 0)


@pytest.mark.parametrize("method", ["EMAIL", "SMS"])
def test_a_user_can_have_codes_by_message_only(sandbox: Sandbox, person: Person, method: str) -> None:
    sandbox.faults("mbanq", second_factor=[method])
    assert person.methods() == [method]
    assert _refused(person.show(person.by_time(), "TOTP"))
    assert person.ask(method).status_code == 200
    (sent,) = person.delivered()
    assert (sent["delivery_method"], sent["used"]) == (method, False)
    assert abs(sent["expires_at"] - sent["sent_at"] - 300) < 1
    assert person.read(person.show(sent["token"], method.lower()).json()["token"]).status_code == 200
    assert person.delivered()[0]["used"]
    assert _refused(person.show(sent["token"], method))
    assert _counts(sandbox) == (4, 3, 2)


@pytest.mark.parametrize("method", ["TOTP", "SMS"])
def test_a_method_the_user_has_not_sends_nothing(sandbox: Sandbox, person: Person, method: str) -> None:
    sandbox.faults("mbanq", second_factor=["EMAIL", "TOTP"])
    assert _refused(person.ask(method), "error.msg.twofactor.otp.delivery.invalid")
    assert person.delivered() == []
    assert _counts(sandbox) == (0, 0, 0)
    assert sandbox.stats("mbanq")["protocol_errors"] == 0


def test_a_wrong_code_is_refused_and_uses_nothing_up(sandbox: Sandbox, person: Person) -> None:
    person.ask("EMAIL")
    sent = person.delivered()[0]["token"]
    assert _refused(person.show("00000", "EMAIL"))
    assert _refused(person.show(sent, "SMS"))
    assert _refused(person.show("not-a-code", "TOTP"))
    assert person.show(sent, "EMAIL").status_code == 200
    assert _counts(sandbox) == (5, 4, 3)


def test_a_new_code_takes_the_place_of_the_one_before(person: Person) -> None:
    for _ in range(2):
        person.ask("EMAIL")
    old, new = (sent["token"] for sent in person.delivered())
    assert _refused(person.show(old, "EMAIL"))
    assert person.show(new, "EMAIL").status_code == 200


def test_a_code_has_its_time(sandbox: Sandbox, person: Person) -> None:
    sandbox.faults("mbanq", code_lifetime=0)
    said = person.ask("EMAIL").json()
    assert said["requestTime"] == said["expirationTime"]
    assert _refused(person.show(person.delivered()[0]["token"], "EMAIL"))


def test_a_verification_ends(sandbox: Sandbox, person: Person) -> None:
    sandbox.faults("mbanq", second_factor_lifetime=1)
    granted = person.show(person.by_time(), "TOTP").json()
    valid_from, valid_to = (datetime.fromisoformat(granted[name]) for name in ("validFrom", "validTo"))
    assert (valid_to - valid_from).total_seconds() == 1
    until(lambda: person.read(granted["token"]).status_code == 403)
    assert person.read(granted["token"]).json()["code"] == "RESTRICTED"


def test_a_code_is_for_one_of_many_at_once(sandbox: Sandbox, person: Person) -> None:
    person.ask("SMS")
    code = person.delivered()[0]["token"]
    with ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(lambda _: person.show(code, "SMS").status_code, range(10)))
    assert sorted(statuses) == [200] + [403] * 9
    assert _counts(sandbox) == (11, 10, 9)
