"""What the unit tests share: a clock that moves when told to, keys, tokens, databases, a bank in this process."""

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
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
from nostro.auth.grant import Grant
from nostro.auth.seal import Seal
from nostro.auth.tokens import Token
from nostro.call import Caller
from nostro.connection import BankConnection
from nostro.database import open_database
from nostro.database.database import Database

# A busy machine is no failure; all else stays as the profile in force has it.
settings.register_profile("no deadline", parent=settings(), deadline=None)
settings.load_profile("no deadline")

BOUND = 10  # seconds that a test waits at most for a thread
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
def new_clock() -> Callable[[], Clock]:
    """For tests that begin anew many times."""
    return Clock


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
class Mint:
    """A grant that counts: tok-1, tok-2, ... by the clock, or an error while `fails` is set.

    `asked` has the refresh token of each request, None for a login. If it `rotates`, refresh tokens are for one use:
    r-1, r-2, ... `meanwhile` is what happens while the bank is asked.
    """

    clock: Clock
    token_of: Callable[..., Token]
    asked: list[str | None] = field(default_factory=list)
    fails: BaseException | None = None
    refresh_fails: BaseException | None = None
    rotates: bool = False
    meanwhile: Callable[[], None] = lambda: None

    @property
    def grant(self) -> Grant:
        return Grant(self.login, self.refresh if self.rotates else None)

    def login(self) -> Token:
        return self._made(None)

    def refresh(self, previous: Token) -> Token:
        return self._made(previous.refresh_token)

    def _made(self, refresh_token: str | None) -> Token:
        self.asked.append(refresh_token)
        count = len(self.asked)
        self.meanwhile()
        fails = self.refresh_fails if refresh_token and self.refresh_fails else self.fails
        if fails:
            raise fails
        return self.token_of(f"tok-{count}", self.clock(), refresh_token=f"r-{count}" if self.rotates else None)


@pytest.fixture
def mint(clock: Clock, token_of: Callable[..., Token]) -> Mint:
    return Mint(clock, token_of)


@pytest.fixture
def process_tokens(clock: Clock, seal: Seal) -> Callable[[], TokenCache]:
    """The token cache of a process by itself, which renews as it goes."""
    cache = TokenCache(open_database("none"), seal, now=clock, beside=lambda work, name: work())
    return lambda: cache


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A database of PostgreSQL's; where there is no PostgreSQL the tests that want one say so."""
    from postgresql import database

    with database("unit") as url:
        yield url


@pytest.fixture
def empty_postgresql(postgresql_url: str) -> str:
    """The same, without tables."""
    engine = sa.create_engine(postgresql_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    return postgresql_url


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Database]:
    """Open one new database, again and again, as each process of a fleet does; memory is one process's."""
    if request.param == "memory":
        database = open_database("none")
        return lambda: database
    if request.param == "postgresql":
        url = request.getfixturevalue("empty_postgresql")
    else:
        url = f"sqlite:///{tmp_path / 'sub' / 'nostro.db'}"
    return lambda: open_database(url)


@pytest.fixture(scope="session")
def at_once() -> Callable[..., list[Any]]:
    """What `work` gave, or raised, in each of `count` threads that begin together."""

    def run(count: int, work: Callable[[], Any]) -> list[Any]:
        begin, outcomes = threading.Barrier(count), []

        def one() -> None:
            begin.wait(BOUND)
            try:
                outcomes.append(work())
            except Exception as error:  # noqa: BLE001 (the test looks at it)
                outcomes.append(error)

        threads = [threading.Thread(target=one) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(BOUND)
        return outcomes

    return run


@dataclass
class Bank:
    """A bank in this process: what it was asked, and what it answers, one after the other, the last one for ever.

    An answer is a response, an error to raise, or a function from the request to either.
    """

    asked: list[httpx.Request] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        answer = answer(request) if callable(answer) else answer
        if isinstance(answer, Exception):
            raise answer
        try:
            content = httpx.ByteStream(answer.content)
        except httpx.ResponseNotRead:
            return answer
        return httpx.Response(answer.status_code, headers=answer.headers, stream=content)

    @property
    def said(self) -> list[Any]:
        """The JSON of each request."""
        return [json.loads(request.content) for request in self.asked]


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch) -> Bank:
    """All that leaves by httpx goes to this bank, and nothing to a network."""
    bank = Bank()
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda transport, request: bank(request))
    return bank


@dataclass(frozen=True)
class Issued:
    """A certificate and its key in each form that people have them."""

    certificate: x509.Certificate
    key: Any

    @property
    def certificate_pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def key_pem(self, passphrase: str = "", form: PrivateFormat = PrivateFormat.PKCS8) -> str:
        encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
        return str(self.key.private_bytes(Encoding.PEM, form, encryption).decode())

    def p12(self, passphrase: str = "", others: list[x509.Certificate] | None = None) -> str:
        encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
        data = pkcs12.serialize_key_and_certificates(b"nostro", self.key, self.certificate, others, encryption)
        return base64.b64encode(data).decode()


@pytest.fixture(scope="session")
def issue() -> Callable[..., Issued]:
    """Issue a certificate, by default self-signed, with a new EC key, and good for the years around now."""

    def make(
        key: Any = None,
        begin: datetime = datetime(2020, 1, 1),
        end: datetime = datetime(2090, 1, 1),
        name: str = "nostro",
        by: Issued | None = None,
    ) -> Issued:
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
        builder = builder.issuer_name(by.certificate.subject if by else subject)
        builder = builder.serial_number(7).not_valid_before(begin).not_valid_after(end)
        return Issued(builder.sign(by.key if by else key, hashes.SHA256()), key)

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
