"""The first line, and what of it is the same from start to start."""

import socket
import ssl
from urllib.parse import urlsplit

import httpx
import pytest
from sandbox_client import BANKS, Sandbox, running

EXTRA = {
    "mbanq": {"tenant_id", "client_id", "client_secret", "totp_secret", "jwt_secret", "signee"},
    "m2p": {"tenant_id", "entity_ids"},
    "mangopay": set(),
    "kunacore": {"merchant_id", "api_key"},
    "banking_circle": {"authorization_url", "private_key_p12", "private_key_passphrase", "ca_certificates_pem"},
}


def test_the_first_line_tells_all_a_client_needs(sandbox: Sandbox) -> None:
    assert set(sandbox.urls) == {*BANKS, "banking_circle_authorization"}
    assert {name: set(own["extra"]) for name, own in sandbox.credentials.items()} == EXTRA
    assert all(own["login"] and own["password"] for own in sandbox.credentials.values())
    assert {"ca", "certificate", "private_key", "p12", "passphrase"} <= set(sandbox.pki)
    assert sandbox.credentials["banking_circle"]["extra"]["private_key_p12"] == sandbox.pki["p12"]


def test_the_same_seed_gives_the_same_credentials_and_books() -> None:
    with running("--seed", "a", "--entries", "5") as one, running("--seed", "a", "--entries", "5") as two:
        for bank in ("mbanq", "m2p", "mangopay", "kunacore"):
            assert one.credentials[bank] == two.credentials[bank]
        assert one.control("GET", "/_truth") == two.control("GET", "/_truth")


def test_another_seed_gives_others(sandbox: Sandbox) -> None:
    with running("--seed", "b", "--accounts", "1") as other:
        for bank in BANKS:
            assert other.credentials[bank]["password"] != sandbox.credentials[bank]["password"]
        assert len(other.truth("kunacore")["accounts"]) == 1


def test_ports_can_be_chosen() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with running("--port-banking-circle", str(port), "--entries", "1") as sandbox:
        assert urlsplit(sandbox.urls["banking_circle"]).port == port


@pytest.mark.parametrize("name", [*BANKS, "banking_circle_authorization"])
def test_every_port_answers_the_control_paths(sandbox: Sandbox, name: str) -> None:
    client = sandbox.client(name)
    assert set(client.get("/_stats").json()) == set(BANKS)
    assert set(client.get("/_truth").json()) == set(BANKS)
    assert client.post("/_faults", json={}).json() == {bank: {} for bank in BANKS}


@pytest.mark.parametrize("name", ["banking_circle", "banking_circle_authorization"])
def test_no_certificate_no_connection(sandbox: Sandbox, name: str) -> None:
    trusting = ssl.create_default_context(cadata=sandbox.pki["ca"])
    with httpx.Client(verify=trusting, trust_env=False) as client, pytest.raises(httpx.TransportError):
        client.get(sandbox.urls[name] + "/_stats")


def test_tls_1_2_is_spoken(sandbox: Sandbox) -> None:
    context = sandbox.tls()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    address = urlsplit(sandbox.urls["banking_circle"])
    with (
        socket.create_connection((str(address.hostname), address.port), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        assert wrapped.version() == "TLSv1.2"
