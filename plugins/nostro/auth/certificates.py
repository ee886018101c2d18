"""Client certificates for mutual TLS: from the connection's text to an SSL context, the key never in clear on disk."""

import base64
import binascii
import logging
import os
import re
import secrets
import ssl
import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
    pkcs12,
)

from nostro.connection import BankConnection
from nostro.errors import CertificateError
from nostro.wire import tls_reason

log = logging.getLogger(__name__)

_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_CERTIFICATE_ADVICE = "paste the whole certificate, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"
_KEY_ADVICE = (
    "paste the whole key, from -----BEGIN to PRIVATE KEY-----, and its passphrase; "
    "if it has header lines (Proc-Type), enter the output of: base64 -w0 key.pem"
)

_WARNINGS = (timedelta(days=30), timedelta(days=7), timedelta(days=1))
_URGENCIES = (
    "this is the last day: without a new one every login fails",
    "this is the last week: have the bank issue a new one now",
    "have the bank issue a new one",
)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate, its chain and its key. str() shows thumbprint and end, which are no secrets."""

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    key: PrivateKeyTypes = field(repr=False)
    certificate_field: str
    key_field: str

    @property
    def thumbprint(self) -> str:
        """SHA-1 of the certificate in upper-case hex: what Banking Circle shows, and puts into its tokens."""
        return _thumbprint(self.certificate)

    def __str__(self) -> str:
        end = self.certificate.not_valid_after_utc
        return f"certificate {self.thumbprint}, valid until {end:%Y-%m-%d %H:%M} UTC"

    def check(self, connection: BankConnection, now: datetime) -> None:
        """Raise CertificateError if the chain does not hold together, or the time of one of its links is not now."""
        issued = self.certificate
        for issuer in self.chain:
            if not _issued(issuer, issued):
                reason = f"certificate {_thumbprint(issuer)} in its chain did not issue {_thumbprint(issued)}"
                advice = "enter the certificate, then those of its issuers one by one, and nothing else"
                raise _error(connection, self.certificate_field, reason, advice)
            issued = issuer
        for link in (self.certificate, *self.chain):
            self._check_time(link, connection, now)

    def _check_time(self, link: x509.Certificate, connection: BankConnection, now: datetime) -> None:
        shown = f"certificate {_thumbprint(link)}" + (" in its chain" if link is not self.certificate else "")
        if now >= link.not_valid_after_utc:
            reason = f"{shown} expired on {link.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
            raise _error(connection, self.certificate_field, reason, "get a new one from the bank and enter it")
        if now < link.not_valid_before_utc:
            reason = f"{shown} is not valid before {link.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
            raise _error(connection, self.certificate_field, reason, "check this machine's clock")

    def ending(self, now: datetime) -> str | None:
        """A warning from 30 days before the end, of the certificate or the link of its chain that ends first."""
        end = min(link.not_valid_after_utc for link in (self.certificate, *self.chain))
        left = end - now
        if left > _WARNINGS[0]:
            return None
        urgency = next(words for limit, words in zip(reversed(_WARNINGS), _URGENCIES, strict=True) if left <= limit)
        days = f"in {left.days} days" if left >= timedelta(days=2) else "within two days"
        return f"certificate {self.thumbprint} ends {days}, on {end:%Y-%m-%d %H:%M} UTC; {urgency}"

    def context(self, connection: BankConnection, authorities: str | None) -> ssl.SSLContext:
        """TLS 1.2 or newer with this certificate, trusting the system's authorities and those in PEM `authorities`.

        Raises CertificateError where TLS itself refuses the certificate or its key.
        """
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if authorities:
            context.load_verify_locations(cadata=authorities)
        # ssl reads keys from files only. Ours holds the key encrypted under a passphrase that this line makes and no
        # other place ever has: should the process die before the unlink, what stays behind opens for nobody.
        passphrase = secrets.token_hex(32)
        chain = b"".join(c.public_bytes(Encoding.PEM) for c in (self.certificate, *self.chain))
        encryption = BestAvailableEncryption(passphrase.encode())
        descriptor, path = tempfile.mkstemp(prefix="nostro-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(chain + self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
            context.load_cert_chain(path, password=passphrase)
        except ssl.SSLError as error:
            reason = f"TLS refuses {self} or its key: {tls_reason(error)}"
            raise _error(connection, self.key_field, reason, "get a stronger certificate from the bank") from None
        finally:
            os.unlink(path)
        return context


def client_certificate(connection: BankConnection, now: datetime) -> ClientCertificate:
    """The certificate in `private_key_p12`, or in `client_certificate_pem` and `private_key_pem`, fit for use now.

    Raises CertificateError where it is not, ConfigurationError where fields are missing or contradict each other.
    """
    p12 = connection.optional("private_key_p12")
    pem = connection.optional("client_certificate_pem"), connection.optional("private_key_pem")
    if p12 and any(pem):
        reason = "it is filled in beside client_certificate_pem or private_key_pem"
        raise connection.error("private_key_p12", reason, "keep one of the two forms and empty the other")
    if not p12 and not any(pem):
        advice = "enter the P12 file in base64, or fill in client_certificate_pem and private_key_pem"
        raise connection.error("private_key_p12", "the client certificate is missing", advice)
    certificate = _from_p12(connection, p12) if p12 else _from_pem(connection)
    certificate.check(connection, now)
    if warning := certificate.ending(now):
        log.warning("Connection %r: %s", connection.conn_id, warning)
    return certificate


def authorities(connection: BankConnection) -> str | None:
    """The private authorities in `ca_certificates_pem`, in PEM; None for the system's alone."""
    text = connection.optional("ca_certificates_pem")
    if text is None:
        return None
    found = _certificates(connection, "ca_certificates_pem", text)
    return "".join(c.public_bytes(Encoding.PEM).decode() for c in found)


def _from_p12(connection: BankConnection, text: str) -> ClientCertificate:
    name = "private_key_p12"
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (ValueError, binascii.Error):
        raise _error(connection, name, "it is not base64", "enter the output of: base64 -w0 file.p12") from None
    try:
        key, certificate, chain = pkcs12.load_key_and_certificates(data, _passphrase(connection))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        advice = "check private_key_passphrase, and that the file is a P12 (PFX)"
        raise _error(connection, name, "it does not open with the passphrase", advice) from None
    if key is None or certificate is None:
        raise _error(connection, name, "it lacks the certificate or its key", "export both into one P12 file")
    return _assembled(connection, key, [certificate, *chain], name, name)


def _from_pem(connection: BankConnection) -> ClientCertificate:
    chain = _certificates(
        connection, "client_certificate_pem", connection.require("client_certificate_pem", "the certificate in PEM")
    )
    name = "private_key_pem"
    text = connection.require(name, "the certificate's private key in PEM")
    return _assembled(connection, _key(connection, name, text), chain, "client_certificate_pem", name)


def _key(connection: BankConnection, name: str, text: str) -> PrivateKeyTypes:
    pem, passphrase = normalised_pem(text), _passphrase(connection)
    der = _der(pem)
    encrypted = "ENCRYPTED" in pem
    try:
        if der is None:
            return load_pem_private_key(pem.encode(), passphrase if encrypted else None)
        try:
            return load_der_private_key(der, None)
        except TypeError:  # it is encrypted, which DER does not say beforehand
            encrypted = True
            return load_der_private_key(der, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        wrong = "it does not open with private_key_passphrase" if encrypted else "it is not a private key in PEM"
        raise _error(connection, name, wrong, _KEY_ADVICE) from None


def _certificates(connection: BankConnection, name: str, text: str) -> list[x509.Certificate]:
    pem = normalised_pem(text)
    der = _der(pem)
    try:
        return [x509.load_der_x509_certificate(der)] if der else x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise _error(connection, name, "it is not a certificate in PEM", _CERTIFICATE_ADVICE) from None


def _assembled(
    connection: BankConnection, key: PrivateKeyTypes, found: list[x509.Certificate], certificate_field: str, name: str
) -> ClientCertificate:
    """The certificate that `key` belongs to, and behind it its issuers as far as they are among those `found`.

    People paste them in any order, and P12 files have none.
    """
    public = _public_bytes(key.public_key())
    own = [c for c in found if _certified_key(c) == public]
    own.sort(key=lambda c: c.not_valid_after_utc, reverse=True)  # of two for one key the older was renewed
    if not own:
        reason = f"the private key does not belong to certificate {_thumbprint(found[0])}"
        raise _error(connection, name, reason, "enter the key that was made for this certificate")
    chain, rest = [own[0]], [c for c in found if c not in own]
    while issuer := next((c for c in rest if _issued(c, chain[-1])), None):
        # An authority that was renewed under its name is in many a file twice; the one that signed is it.
        rest = [c for c in rest if c.subject != issuer.subject]
        chain.append(issuer)
    # What is left over issued none of them: kept behind, so that `check` names it.
    return ClientCertificate(chain[0], (*chain[1:], *rest), key, certificate_field, name)


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _thumbprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 (a name, not a proof)


def _certified_key(certificate: x509.Certificate) -> bytes | None:
    try:
        return _public_bytes(certificate.public_key())
    except UnsupportedAlgorithm:
        return None


def _public_bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def normalised_pem(text: str) -> str:
    r"""PEM with its line breaks put right.

    Environment variables turn them into the two characters `\n`, and a one-line password field drops them or makes
    them spaces; some people store the whole text in base64 once more.
    """
    if "-----BEGIN" not in text:
        try:
            text = base64.b64decode("".join(text.split()), validate=True).decode("ascii")
        except (ValueError, binascii.Error):
            return text
    text = text.replace("\\r", "").replace("\\n", "\n")
    return "".join(map(_block, _PEM.finditer(text))) or text


def _der(text: str) -> bytes | None:
    """DER that somebody stored in base64; None for what is no base64, such as PEM."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (ValueError, binascii.Error):
        return None


def _block(found: re.Match[str]) -> str:
    label, body = found.groups()
    if ":" in body:  # the older encrypted form has header lines, which cannot be told apart once they run together
        return f"{found.group()}\n"
    figures = "".join(body.split())
    lines = "\n".join(figures[i : i + 64] for i in range(0, len(figures), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


def _passphrase(connection: BankConnection) -> bytes | None:
    text = connection.optional("private_key_passphrase")
    return text.encode() if text else None


def _error(connection: BankConnection, name: str, reason: str, advice: str) -> CertificateError:
    return CertificateError(conn_id=connection.conn_id, field=name, reason=reason, advice=advice)
