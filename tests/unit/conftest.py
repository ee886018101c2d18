"""What the unit tests share: a clock that moves when told to, tokens, a store in memory, keys, certificates."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID
from hypothesis import settings

from nostro.auth.cache import TokenCache
from nostro.auth.seal import Seal
from nostro.auth.store import NoStore
from nostro.auth.tokens import Token
from nostro.call import Caller
from nostro.connection import BankConnection

# A busy machine is no failure; all else stays as the profile in force has it.
settings.register_profile("no deadline", parent=settings(), deadline=None)
settings.load_profile("no deadline")

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYS = tuple(base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3))


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    instant: datetime = START

    def __call__(self) -> datetime:
        return self.instant

    def forward(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def keys() -> tuple[str, ...]:
    """Three sound Fernet keys."""
    return KEYS


@pytest.fixture(scope="session")
def seal() -> Seal:
    return Seal(KEYS[:1])


@pytest.fixture(scope="session")
def token_of() -> Callable[..., Token]:
    """A token of an hour, to be renewed five minutes ahead; what is given replaces fields."""

    def make(value: str = "tok-1", at: datetime = START, life: float = 3600, ahead: float = 300, **more: Any) -> Token:
        end = at + timedelta(seconds=life)
        return Token(
            value, at, end - timedelta(seconds=ahead), end - timedelta(seconds=min(10, life / 20)), end, **more
        )

    return make


@dataclass
class MemoryStore:
    """A store that a test can look into, and play the other workers of."""

    rows: dict[str, Token] = field(default_factory=dict)
    loads: int = 0
    leases: list[float] = field(default_factory=list)
    lease_free: bool = True
    while_waiting: Callable[[], None] = lambda: None

    def load(self, identities: Any) -> Token | None:
        self.loads += 1
        return next((self.rows[i] for i in identities if i in self.rows), None)

    def save(self, identities: Any, token: Token, *, replaces: int) -> Token:
        self.rows[identities[0]] = replace(token, generation=replaces + 1)
        return self.rows[identities[0]]

    @contextmanager
    def lease(self, identity: str, wait_seconds: float) -> Iterator[bool]:
        self.leases.append(wait_seconds)
        self.while_waiting()
        yield self.lease_free


@pytest.fixture
def memory_store() -> MemoryStore:
    return MemoryStore()


@dataclass
class Mint:
    """A grant that counts: tok-1, tok-2, ... by the clock, or an error while `fails` is set."""

    clock: Clock
    token_of: Callable[..., Token]
    asked: list[Token | None] = field(default_factory=list)
    fails: Exception | None = None

    def __call__(self, previous: Token | None) -> Token:
        self.asked.append(previous)
        if self.fails:
            raise self.fails
        return self.token_of(f"tok-{len(self.asked)}", self.clock())


@pytest.fixture
def mint(clock: Clock, token_of: Callable[..., Token]) -> Mint:
    return Mint(clock, token_of)


@pytest.fixture
def process_tokens(clock: Clock, seal: Seal) -> Callable[[], TokenCache]:
    """A token cache without a shared store, for a bank's `access`."""
    cache = TokenCache(NoStore(), seal, now=clock)
    return lambda: cache


@dataclass(frozen=True)
class Issued:
    """A self-signed certificate and its key in each form that people have them."""

    certificate: x509.Certificate
    key: Any

    @property
    def certificate_pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def key_pem(self, passphrase: str = "", form: PrivateFormat = PrivateFormat.PKCS8) -> str:
        encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
        return str(self.key.private_bytes(Encoding.PEM, form, encryption).decode())

    def p12(self, passphrase: str = "") -> str:
        encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
        data = pkcs12.serialize_key_and_certificates(b"nostro", self.key, self.certificate, None, encryption)
        return base64.b64encode(data).decode()


@pytest.fixture(scope="session")
def issue() -> Callable[..., Issued]:
    """Issue a certificate, by default with a new EC key and good for the years around now."""

    def make(key: Any = None, begin: datetime = datetime(2020, 1, 1), end: datetime = datetime(2090, 1, 1)) -> Issued:
        key = key or ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nostro")])
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = builder.serial_number(7).not_valid_before(begin).not_valid_after(end)
        return Issued(builder.sign(key, hashes.SHA256()), key)

    return make


@pytest.fixture(scope="session")
def issued(issue: Callable[..., Issued]) -> Issued:
    return issue()


@pytest.fixture(scope="session")
def fields_of(issued: Issued) -> Callable[..., BankConnection]:
    """A sound connection of each bank; what is given replaces fields, of `extra` one by one, None removing one."""
    extras: Mapping[str, dict[str, Any]] = {
        "mbanq": {
            "tenant_id": "acme",
            "client_id": "cid",
            "client_secret": "csecret",
            "totp_secret": "GEZDGNBVGY3TQOJQ",
        },
        "m2p": {"tenant_id": "acme", "entity_ids": ["e1"]},
        "mangopay": {},
        "kunacore": {"merchant_id": "m-1"},
        "banking_circle": {
            "authorization_url": "https://authorization.bank.example",
            "client_certificate_pem": issued.certificate_pem,
            "private_key_pem": issued.key_pem(),
        },
    }

    def make(bank: str, **changes: Any) -> BankConnection:
        extra = {**extras[bank], **changes.pop("extra", {})}
        fields = {"conn_id": "c1", "host": "https://bank.example", "login": "anna", "password": "pw-1", **changes}
        return BankConnection(**fields, extra={name: value for name, value in extra.items() if value is not None})

    return make


@pytest.fixture(scope="session")
def caller_of() -> Callable[..., Caller]:
    """A Caller whose bank answers as `answer` says: JSON for any request, or a function from request to response."""

    def make(answer: Any) -> Caller:
        def handler(request: httpx.Request) -> httpx.Response:
            if callable(answer):
                response = answer(request)
                assert isinstance(response, httpx.Response)
                return response
            return httpx.Response(200, content=json.dumps(answer))

        client = httpx.Client(
            base_url="https://bank.example", transport=httpx.MockTransport(handler), trust_env=False, verify=False
        )
        return Caller(client, "c1", "The Bank")

    return make


@pytest.fixture
def empty_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for temporary files that holds nothing yet."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    return directory
