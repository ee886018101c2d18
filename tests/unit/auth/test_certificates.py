import base64
import ssl
import stat
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from nostro.auth.certificates import authorities, client_certificate, normalised_pem
from nostro.banks.banking_circle.auth import access
from nostro.connection import BankConnection
from nostro.errors import CertificateError, ConfigurationError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def bank(**extra) -> BankConnection:
    return BankConnection("bc1", extra=extra)


def pem(issued, passphrase: str = "", **more) -> BankConnection:
    fields = {"client_certificate_pem": issued.certificate_pem, "private_key_pem": issued.key_pem(passphrase), **more}
    return bank(**fields)


def refused(connection: BankConnection, kind: type = CertificateError, now: datetime = NOW) -> ConfigurationError:
    with pytest.raises(kind) as caught:
        client_certificate(connection, now)
    assert "'bc1'" in str(caught.value)
    assert "PRIVATE KEY-----\nM" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("passphrase", ["", "pass phräse"])
@pytest.mark.parametrize("form", ["p12", "pem"])
def test_both_forms_open_with_and_without_passphrase(issued, form, passphrase):
    """A certificate comes as P12 or as PEM, its key with a passphrase or without, and is the same certificate."""
    extra = {"private_key_passphrase": passphrase or None}
    given_as = (
        bank(private_key_p12=issued.p12(passphrase), **extra) if form == "p12" else pem(issued, passphrase, **extra)
    )
    found = client_certificate(given_as, NOW)
    assert found.certificate == issued.certificate
    assert found.context(bank(), None).minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.fixture(scope="module")
def links(issue):
    """A certificate, the authority that issued it, and the root that issued that one."""
    root = issue(name="root")
    authority = issue(name="authority", by=root)
    return [issue(name="acme", by=authority), authority, root]


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("form", ["p12", "pem"])
def test_a_chain_goes_along_in_its_own_order(links, form, order):
    """Certificates are pasted in any order, and P12 files have none: own one first, then each one's issuer."""
    shuffled = [links[place] for place in order]
    if form == "pem":
        text = "".join(link.certificate_pem for link in shuffled)
        connection = bank(client_certificate_pem=text, private_key_pem=links[0].key_pem())
    else:
        issuers = [link.certificate for link in shuffled if link is not links[0]]
        connection = bank(private_key_p12=links[0].p12(others=issuers))
    found = client_certificate(connection, NOW)
    assert [found.certificate, *found.chain] == [link.certificate for link in links]


def test_what_issued_nothing_in_a_chain_is_refused(links, issue):
    """A certificate that does not belong there is named, beside the one it did not issue."""
    text = links[0].certificate_pem + links[1].certificate_pem + issue(name="stranger").certificate_pem
    error = refused(bank(client_certificate_pem=text, private_key_pem=links[0].key_pem()))
    assert error.fields["field"] == "client_certificate_pem"
    assert "did not issue" in str(error)


def test_an_issuer_is_known_by_its_signature(links, issue):
    """An authority that was renewed under its name is in many a file twice: the one that signed is the issuer."""
    older = issue(name="authority", by=links[2])
    text = "".join(link.certificate_pem for link in (links[0], older, *links[1:]))
    client_certificate(bank(client_certificate_pem=text, private_key_pem=links[0].key_pem()), NOW)


def test_a_link_that_has_expired_is_refused(issue):
    """The bank would refuse it without saying which."""
    old = issue(name="authority", end=datetime(2026, 2, 28))
    own = issue(name="acme", by=old)
    error = refused(
        bank(client_certificate_pem=own.certificate_pem + old.certificate_pem, private_key_pem=own.key_pem())
    )
    assert "in its chain expired on 2026-02-28 00:00 UTC" in str(error)


@pytest.mark.parametrize("passphrase", ["", "pw"])
def test_der_in_base64_is_read(issued, passphrase):
    """What people make of a .cer or .der file."""
    encryption = BestAvailableEncryption(b"pw") if passphrase else NoEncryption()
    key = issued.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, encryption)
    certificate = issued.certificate.public_bytes(Encoding.DER)
    fields = {"client_certificate_pem": certificate, "private_key_pem": key}
    texts = {name: base64.encodebytes(value).decode() for name, value in fields.items()}
    assert client_certificate(bank(**texts, private_key_passphrase=passphrase), NOW).certificate == issued.certificate
    if passphrase:
        assert "private_key_passphrase" in str(refused(bank(**texts, private_key_passphrase="wrong")))


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (31, None),
        (30, "ends in 30 days, on 2026-03-31 12:00 UTC; have the bank issue a new one"),
        (8, "in 8 days"),
        (7, "this is the last week"),
        (1.5, "within two days, on 2026-03-03 00:00 UTC; this is the last week"),
        (1, "this is the last day: without a new one every login fails"),
    ],
)
@pytest.mark.parametrize("which", ["own", "issuer"])
def test_a_certificate_that_ends_soon_is_told_in_time(issue, caplog, which, days, words):
    """From thirty days before the end on, in the log; the link that ends first counts."""
    soon = NOW.replace(tzinfo=None) + timedelta(days=days)
    authority = issue(name="authority", **({"end": soon} if which == "issuer" else {}))
    own = issue(name="acme", by=authority, **({"end": soon} if which == "own" else {}))
    text = own.certificate_pem + authority.certificate_pem
    found = client_certificate(bank(client_certificate_pem=text, private_key_pem=own.key_pem()), NOW)
    warning = found.ending(NOW)
    if words is None:
        assert (warning, caplog.text) == (None, "")
    else:
        assert words in warning
        assert f"certificate {found.thumbprint} ends" in warning
        assert f"Connection 'bc1': {warning}" in caplog.text


def test_a_key_is_read_in_openssls_own_form(issued):
    """The older form of a key, with its encryption in header lines, opens too, also from an environment variable."""
    text = issued.key_pem("pw", PrivateFormat.TraditionalOpenSSL)
    for written in (text, text.replace("\n", "\\n"), text.replace("\n", "\r\n")):
        fields = {"client_certificate_pem": issued.certificate_pem, "private_key_pem": written}
        assert client_certificate(bank(**fields, private_key_passphrase="pw"), NOW).certificate == issued.certificate


def test_thumbprint_and_end_are_shown(issued):
    """A certificate is shown by the thumbprint that the bank shows (SHA-1, upper-case hex) and its end."""
    shown = str(client_certificate(pem(issued), NOW))
    assert "valid until 2090-01-01 00:00 UTC" in shown
    thumbprint = shown.split()[1].rstrip(",")
    assert len(thumbprint) == 40
    assert thumbprint == thumbprint.upper()


def test_the_key_is_not_in_the_repr(issued):
    """A certificate's repr has no key in it."""
    found = client_certificate(pem(issued), NOW)
    assert repr(found.key) not in repr(found)
    assert "PrivateKey object" not in repr(found)


def test_a_key_of_another_certificate_is_refused(issued, issue):
    """A key that belongs to another certificate is told by the field, with the certificate's thumbprint."""
    other = issue()
    error = refused(bank(client_certificate_pem=issued.certificate_pem, private_key_pem=other.key_pem()))
    assert error.fields["field"] == "private_key_pem"
    thumbprint = issued.certificate.fingerprint(SHA1()).hex().upper()
    assert f"does not belong to certificate {thumbprint}" in str(error)


@pytest.mark.parametrize("form", ["p12", "pem"])
def test_an_expired_certificate_is_refused_with_its_thumbprint_and_end(issue, form):
    """An expired certificate is told with its end and its thumbprint, and where to enter the new one."""
    old = issue(end=datetime(2026, 2, 28))
    error = refused(bank(private_key_p12=old.p12()) if form == "p12" else pem(old))
    thumbprint = old.certificate.fingerprint(SHA1()).hex().upper()
    assert f"certificate {thumbprint} expired on 2026-02-28 00:00 UTC" in str(error)
    assert error.fields["field"] == ("private_key_p12" if form == "p12" else "client_certificate_pem")


def test_a_certificate_is_over_at_its_end_and_not_before(issue):
    """The last second counts as valid, the end itself as over."""
    end = datetime(2026, 3, 1, 12)
    certificate = pem(issue(end=end))
    client_certificate(certificate, datetime(2026, 3, 1, 11, 59, 59, tzinfo=UTC))
    refused(certificate, now=datetime(2026, 3, 1, 12, tzinfo=UTC))


def test_a_certificate_that_is_not_valid_yet_is_refused(issue):
    """A certificate of the future points to this machine's clock."""
    error = refused(pem(issue(begin=datetime(2027, 1, 1))))
    assert "not valid before 2027-01-01" in str(error)
    assert "clock" in str(error)


@pytest.mark.parametrize("passphrase", [None, "wrong", ""])
def test_a_wrong_passphrase_is_told(issued, passphrase):
    """A wrong or missing passphrase is told for both forms, naming private_key_passphrase and quoting nothing."""
    for connection in (
        bank(private_key_p12=issued.p12("right"), private_key_passphrase=passphrase),
        pem(issued, "right", private_key_passphrase=passphrase),
    ):
        error = refused(connection)
        assert "private_key_passphrase" in str(error)
        assert "wrong" not in str(error)


def test_both_forms_at_once_are_refused(issued):
    """Two forms contradict each other."""
    assert "keep one" in str(refused(pem(issued, private_key_p12=issued.p12()), ConfigurationError))


def test_no_form_at_all_is_refused():
    """A missing certificate is told, with both ways of giving one."""
    error = refused(bank(), ConfigurationError)
    assert "private_key_p12" in str(error)
    assert "client_certificate_pem" in str(error)


@pytest.mark.parametrize("missing", ["client_certificate_pem", "private_key_pem"])
def test_half_a_pair_is_refused(issued, missing):
    """Of certificate and key in PEM, the missing one is named."""
    assert refused(pem(issued, **{missing: ""}), ConfigurationError).fields["field"] == missing


@pytest.mark.parametrize("text", ["*", "!!!", "=====", "AAAA", base64.b64encode(b"not a p12").decode()])
def test_a_p12_that_is_none_is_refused(text):
    """What is not base64, or no P12, is one clear sentence about that field."""
    assert refused(bank(private_key_p12=text), ConfigurationError).fields["field"] == "private_key_p12"


@pytest.mark.parametrize("text", ["hello", "-----BEGIN PRIVATE KEY-----", "-----BEGIN X-----AA-----END X-----", "AAAA"])
def test_a_pem_that_is_none_is_refused(issued, text):
    """What is no PEM is one clear sentence about that field."""
    assert refused(pem(issued, private_key_pem=text)).fields["field"] == "private_key_pem"
    assert refused(pem(issued, client_certificate_pem=text)).fields["field"] == "client_certificate_pem"


@pytest.mark.parametrize("field", ["private_key_pem", "client_certificate_pem"])
def test_a_key_of_a_kind_unknown_here_is_refused(issued, field):
    """A key of an algorithm that this machine's library does not know is a CertificateError like any other."""
    strange = {
        "private_key_pem": issued.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        "client_certificate_pem": issued.certificate.public_bytes(Encoding.DER),
    }[field].replace(bytes.fromhex("2a8648ce3d0201"), bytes.fromhex("2a8648ce3d0277"))
    label = "PRIVATE KEY" if field == "private_key_pem" else "CERTIFICATE"
    text = f"-----BEGIN {label}-----{base64.b64encode(strange).decode()}-----END {label}-----"
    refused(pem(issued, **{field: text}))


def test_a_key_that_tls_finds_too_weak_is_refused(issued, process_tokens, monkeypatch):
    """What OpenSSL refuses to use, such as a key too small, is told as a CertificateError, not as OpenSSL's own."""

    def refuse(self, path, keyfile=None, password=None):
        raise ssl.SSLError(1, "[SSL: EE_KEY_TOO_SMALL] ee key too small")

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", refuse)
    with pytest.raises(CertificateError):
        access(_banking_circle(issued), process_tokens)


def _banking_circle(issued) -> BankConnection:
    extra = {
        "authorization_url": "https://authorization.bank.example",
        "client_certificate_pem": issued.certificate_pem,
        "private_key_pem": issued.key_pem(),
    }
    return BankConnection("bc1", host="https://bank.example", login="anna", password="pw", extra=extra)


MANGLINGS = {
    "as it was": lambda text: text,
    "line breaks lost": lambda text: text.replace("\n", ""),
    "made spaces": lambda text: text.replace("\n", " "),
    "made two characters": lambda text: text.replace("\n", "\\n"),
    "windows": lambda text: text.replace("\n", "\r\n"),
    "windows in two characters": lambda text: text.replace("\n", "\\r\\n"),
    "base64 once more": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 in lines": lambda text: base64.encodebytes(text.encode()).decode(),
    "with bag attributes": lambda text: f"Bag Attributes\n    friendlyName: x\n{text}",
    "in blanks": lambda text: f"\n  {text}\n ",
}


@given(number=st.integers(1, 2**200), mangling=st.sampled_from(list(MANGLINGS)), encrypted=st.booleans())
def test_a_pem_survives_what_fields_and_variables_do_to_it(issued, number, mangling, encrypted):
    """Line breaks lost, made spaces or made two characters, or the whole in base64: the key is the same key."""
    key = ec.derive_private_key(number, ec.SECP256R1())
    clear = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    if encrypted:
        clear = issued.key_pem("pw")
        key = issued.key
    read = load_pem_private_key(normalised_pem(MANGLINGS[mangling](clear)).encode(), b"pw" if encrypted else None)
    assert read.private_numbers() == key.private_numbers()


@pytest.mark.parametrize("mangling", MANGLINGS.values(), ids=MANGLINGS)
def test_a_whole_chain_survives_as_well(issued, issue, mangling):
    """All certificates of a mangled chain are found."""
    chain = issued.certificate_pem + issue().certificate_pem
    found = authorities(bank(ca_certificates_pem=mangling(chain)))
    assert found == chain


def test_no_private_authorities_is_none():
    """Without private authorities the system's serve."""
    assert authorities(bank()) is None


@pytest.mark.parametrize("text", ["hello", " ", "-----BEGIN CERTIFICATE-----AAAA-----END CERTIFICATE-----"])
def test_malformed_authorities_are_refused(text):
    """Authorities that cannot be read are told by their field."""
    with pytest.raises(CertificateError) as error:
        authorities(bank(ca_certificates_pem=text))
    assert error.value.fields["field"] == "ca_certificates_pem"


def test_nothing_is_left_on_disk(issued, empty_temp):
    """After a context is made, the directory for temporary files is as empty as before."""
    client_certificate(pem(issued), NOW).context(bank(), issued.certificate_pem)
    assert list(empty_temp.iterdir()) == []


def test_the_key_never_lies_on_disk_in_clear(issued, empty_temp, monkeypatch):
    """What ssl reads holds the key encrypted, for its owner only, and goes also when ssl fails."""
    seen = []

    def load(self, path, keyfile=None, password=None):
        seen.append((Path(path).read_text(), stat.S_IMODE(Path(path).stat().st_mode), password))
        raise OSError("ssl failed")

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load)
    for _ in range(2):
        with pytest.raises((OSError, CertificateError)):
            client_certificate(pem(issued), NOW).context(bank(), None)
    assert list(empty_temp.iterdir()) == []
    figures = "".join(issued.key_pem().splitlines()[1:-1])
    for text, mode, _ in seen:
        assert "BEGIN ENCRYPTED PRIVATE KEY" in text
        assert "BEGIN PRIVATE KEY" not in text
        assert figures not in text.replace("\n", "")
        assert mode == 0o600
    (_, _, first), (_, _, second) = seen
    assert first != second
    assert len(first) >= 32
