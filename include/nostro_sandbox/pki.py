"""A private authority, made afresh at each start, for the banks that demand mutual TLS."""

import base64
import ipaddress
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_Purpose = x509.ObjectIdentifier


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Nostro Sandbox"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey, passphrase: str | None = None) -> str:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


class Pki:
    """The authority, the banks' server certificate, two client certificates, the key that signs JWTs."""

    def __init__(self, passphrase: str) -> None:
        self.passphrase = passphrase
        self.signing_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._ca_key = ec.generate_private_key(ec.SECP256R1())
        self._ca = self._make_authority()
        self._server_key, self._server = self._issue("127.0.0.1", ExtendedKeyUsageOID.SERVER_AUTH)
        self._client_key, self._client = self._issue("nostro-m2m", ExtendedKeyUsageOID.CLIENT_AUTH)
        self._second_key, self._second = self._issue("nostro-m2m-second", ExtendedKeyUsageOID.CLIENT_AUTH)
        self.ca_pem = _pem(self._ca)
        self.p12 = base64.b64encode(self._make_p12()).decode()

    def _builder(self, subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        authority = self._ca_key.public_key()
        return (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name("Nostro Sandbox Authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), critical=False)
        )

    def _make_authority(self) -> x509.Certificate:
        return (
            self._builder("Nostro Sandbox Authority", self._ca_key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(self._ca_key, hashes.SHA256())
        )

    def _issue(self, subject: str, purpose: _Purpose) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            self._builder(subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._ca_key, hashes.SHA256())
        )
        return key, certificate

    def _make_p12(self) -> bytes:
        encryption = serialization.BestAvailableEncryption(self.passphrase.encode())
        return pkcs12.serialize_key_and_certificates(b"nostro", self._client_key, self._client, [self._ca], encryption)

    def server_context(self) -> ssl.SSLContext:
        """TLS 1.2 at least, and no connection without a certificate of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self.ca_pem)
        # The ssl module reads a key from a file only; the file is gone before the first connection.
        with tempfile.TemporaryDirectory() as directory:
            chain = Path(directory, "server.pem")
            chain.touch(mode=0o600)
            chain.write_text(_key_pem(self._server_key) + _pem(self._server))
            context.load_cert_chain(chain)
        return context

    def printed(self) -> dict[str, str]:
        return {
            "ca": self.ca_pem,
            "certificate": _pem(self._client),
            "private_key": _key_pem(self._client_key),
            "encrypted_private_key": _key_pem(self._client_key, self.passphrase),
            "p12": self.p12,
            "passphrase": self.passphrase,
            "second_certificate": _pem(self._second),
            "second_private_key": _key_pem(self._second_key),
        }
