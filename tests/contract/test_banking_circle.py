"""Banking Circle's own ways: mutual TLS on both hosts, a certificate in two forms, tokens of five minutes."""

import os
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.sdk import BaseHook
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from nostro.errors import CertificateError, ConfigurationError, NostroError

CASE = {
    "read": ("GET", "/api/v1/accounts", None),
    "write": ("POST", "/api/v1/payments/singles", {}),
    "keyed": "Idempotency-Key",
    "required": ("host", "login", "password", "authorization_url", "private_key_p12"),
    "address_field": "authorization_url",
    "unavailable_host": {
        "host": "https://127.0.0.1:1",
        "extra": {"authorization_url": "https://127.0.0.1:1"},
    },
}


@pytest.fixture
def pem_form(sandbox):
    """The connection's fields with certificate and key in PEM instead of the P12 file."""
    pki = sandbox.pki
    return {
        "private_key_p12": "",
        "private_key_passphrase": "",
        "client_certificate_pem": pki["certificate"],
        "private_key_pem": pki["private_key"],
    }


def hook_with(set_connection, **extra):
    return BaseHook.get_hook(set_connection("banking_circle", extra=extra))


def test_both_forms_of_the_certificate_are_one_identity(set_connection, pem_form, sandbox, new_process):
    """Mutual TLS on both hosts by P12 and by PEM; the same certificate shares the token."""
    assert BaseHook.get_hook(set_connection("banking_circle")).accounts()
    new_process()
    assert hook_with(set_connection, **pem_form).accounts()
    assert sandbox.stats()["banking_circle"]["token_requests"] == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda pem: pem.replace("\n", "\\n"),
        lambda pem: pem.replace("\n", ""),
        lambda pem: pem.replace("\n", " "),
        lambda pem: pem.replace("\n", "\r\n"),
    ],
    ids=["backslash n", "dropped", "spaces", "crlf"],
)
def test_line_breaks_may_get_lost(set_connection, pem_form, spoil):
    """A one-line password field drops them, an environment variable spells them out."""
    spoilt = {name: spoil(text) if text.startswith("-----") else text for name, text in pem_form.items()}
    assert hook_with(set_connection, **spoilt).accounts()


def test_without_the_private_authority_the_bank_is_not_trusted(set_connection):
    named = r"banking_circle_default.*authorization_url.*certificate is not trusted.*ca_certificates_pem"
    with pytest.raises(CertificateError, match=named) as caught:
        hook_with(set_connection, ca_certificates_pem="").get_token()
    assert caught.value.remedy == "fail"


def test_another_client_certificate_is_refused_in_words(set_connection, pem_form):
    """The bank's TLS does not take a certificate of another authority; it may say so, or just cut the connection."""
    with pytest.raises(NostroError, match=r"banking_circle_default.*authorization_url.*client certificate"):
        hook_with(set_connection, **{**pem_form, **self_signed()}).get_token()


def self_signed() -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    pem = made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return {
        "client_certificate_pem": pem.decode(),
        "private_key_pem": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    }


def test_the_private_key_never_lies_on_disk_in_clear(set_connection, monkeypatch, tmp_path):
    """ssl wants a file: what lies there for a moment is encrypted under a passphrase that is nowhere else."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []
    load = ssl.SSLContext.load_cert_chain

    def spying(self, certfile, keyfile=None, password=None):
        seen.append((Path(certfile).read_text(), os.stat(certfile).st_mode & 0o777))
        return load(self, certfile, keyfile, password)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", spying)
    assert hook_with(set_connection).accounts()
    assert seen
    for text, mode in seen:
        assert "BEGIN ENCRYPTED PRIVATE KEY" in text
        assert "BEGIN PRIVATE KEY" not in text
        assert mode == 0o600
    assert [path for path in tmp_path.iterdir() if path.name.startswith("nostro-") and path.is_file()] == []


def test_test_connection_shows_thumbprint_and_end(set_connection):
    ok, message = hook_with(set_connection).test_connection()
    assert ok
    assert "valid until" in message
    assert "certificate " in message


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"private_key_passphrase": "wrong"}, "private_key_p12"),
        ({"private_key_p12": "bm90IGEgcDEy"}, "private_key_p12"),
        ({"private_key_p12": "***"}, "private_key_p12"),
        ({"client_certificate_pem": "x"}, "private_key_p12"),
        ({"private_key_p12": "", "client_certificate_pem": "x", "private_key_pem": "y"}, "client_certificate_pem"),
        ({"ca_certificates_pem": "nonsense"}, "ca_certificates_pem"),
        ({"authorization_url": "http://authorization.example.com"}, "authorization_url"),
    ],
)
def test_what_cannot_be_used_is_named(set_connection, changes, named):
    with pytest.raises(ConfigurationError, match=f"banking_circle_default.*{named}"):
        hook_with(set_connection, **changes).get_conn()


def test_the_token_lives_five_minutes_and_is_not_asked_for_with_every_call(set_connection, sandbox):
    hook = hook_with(set_connection)
    token = hook.access.source.get()
    assert timedelta(seconds=298) < token.expires_at - datetime.now(UTC) <= timedelta(seconds=300)
    assert token.expires_at - token.renew_at < timedelta(seconds=60)
    assert len({hook.get_token().value for _ in range(20)}) == 1
    assert sandbox.stats()["banking_circle"]["token_requests"] == 1


def test_a_key_of_another_certificate_is_refused(set_connection, pem_form):
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(CertificateError, match=r"banking_circle_default.*does not belong to certificate"):
        hook_with(set_connection, **{**pem_form, "private_key_pem": other.decode()}).get_conn()
