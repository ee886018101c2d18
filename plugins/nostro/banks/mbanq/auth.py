"""Mbanq: password grant with a tenant, refresh token, second factor; or a JWT of our own on each call."""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt

from nostro.auth.access import Access, TokensFactory, account, source
from nostro.auth.cache import TokenCache
from nostro.auth.endpoint import TokenEndpoint
from nostro.auth.grant import Grant
from nostro.auth.lifetimes import Lifetimes
from nostro.auth.scheme import BankAuth, Renewals, sent_token
from nostro.auth.source import TokenSource
from nostro.auth.tokens import Token
from nostro.banks.mbanq.second_factor import (
    HEADER,
    SecondFactor,
    secret_of_totp,
    verification_ended,
)
from nostro.connection import BankConnection
from nostro.errors import AuthError, BankError, PasswordExpired
from nostro.wire import Line

log = logging.getLogger(__name__)

_LIFETIMES = Lifetimes(documented=timedelta(hours=1))
_GRAPHQL = "/graphql"
_SECOND_FACTOR = "second factor"


@dataclass(frozen=True, slots=True)
class PasswordGrant:
    """OAuth 2.0 password grant (RFC 6749 4.3), then the refresh token while the bank takes it."""

    endpoint: TokenEndpoint
    client_id: str
    username: str
    client_secret: str = field(repr=False)
    password: str = field(repr=False)

    def login(self) -> Token:
        token = self._ask({"grant_type": "password", "username": self.username, "password": self.password})
        return self._with_user_details(token)

    def refresh(self, previous: Token) -> Token:
        assert previous.refresh_token is not None
        token = self._ask({"grant_type": "refresh_token", "refresh_token": previous.refresh_token})
        # A bank that does not rotate sends no new refresh token: the old one goes on.
        return replace(token, refresh_token=token.refresh_token or previous.refresh_token, notes=previous.notes)

    def _ask(self, grant: dict[str, str]) -> Token:
        form = {"client_id": self.client_id, "client_secret": self.client_secret, **grant}
        answer = self.endpoint.ask("POST", "/oauth/token", data=form)
        self.endpoint.check_bearer(answer.body.get("token_type"))
        value = self.endpoint.token_text(answer.body.get("access_token"))
        refresh = answer.body.get("refresh_token") or None
        if refresh is not None:
            refresh = self.endpoint.token_text(refresh, "refresh token")
        return self.endpoint.timed(value, answer.body.get("expires_in"), answer, _LIFETIMES, refresh_token=refresh)

    def _with_user_details(self, token: Token) -> Token:
        """`token` with what its user's details say: the seed's isMFARequired, isPasswordExpired, isSelfServiceUser."""
        line = self.endpoint.line
        try:
            headers = {"Authorization": f"Bearer {token.value}"}
            details = self.endpoint.ask("GET", "/v1/userdetails", headers=headers).body
        except (AuthError, BankError) as error:
            # They only tell early what the first call tells too: RESTRICTED, or a refusal.
            log.info("Connection %r: no user details (%s)", line.conn_id, type(error).__name__)
            return token
        if _flag(details, "shouldRenewPassword", "isPasswordExpired"):
            raise PasswordExpired(conn_id=line.conn_id, bank="Mbanq")
        notes = {}
        if _flag(details, "isTwoFactorAuthenticationRequired", "isMFARequired"):
            notes["second_factor"] = "yes"
        if _flag(details, "isSelfServiceUser"):
            notes["self_service"] = "yes"
            log.warning("Connection %r: %s", line.conn_id, SELF_SERVICE)
        return replace(token, notes=notes)


SELF_SERVICE = (
    "this is a self-service user, a customer of the bank who sees own accounts only; "
    "ask the bank for a back-office API user if accounts are missing"
)


def _flag(details: dict[str, Any], *names: str) -> bool:
    return any(details.get(name) is True for name in names)


@dataclass
class PasswordAuth(BankAuth):
    """Two tokens on each call: the login's, and the second factor's where the user has one."""

    login: TokenSource
    second_factor: TokenSource
    renewals: Renewals = field(default_factory=Renewals, repr=False)
    second_factor_renewals: Renewals = field(default_factory=Renewals, repr=False)
    _restricted: bool = False

    def quick(self) -> bool:
        return self.login.at_hand() and (self.second_factor.at_hand() or not self._needs_second_factor())

    def _needs_second_factor(self) -> bool:
        return self._restricted or "second_factor" in self.login.get().notes

    def sign(self, request: httpx.Request) -> None:
        token = self.login.get()
        request.headers["Authorization"] = f"Bearer {token.value}"
        if self._restricted or "second_factor" in token.notes:
            request.headers[HEADER] = self.second_factor.get().value

    def suspects(self, request: httpx.Request, response: httpx.Response) -> bool:
        # GraphQL answers a refusal with status 200.
        return response.status_code in (400, 401, 403) or request.url.path.rstrip("/").endswith(_GRAPHQL)

    def renewed(self, request: httpx.Request, response: httpx.Response) -> bool:
        ended = verification_ended(response)
        if not ended and response.status_code != httpx.codes.UNAUTHORIZED:
            self.settled(request)
            return False
        self._restricted = self._restricted or ended
        source = self.second_factor if ended else self.login
        sent: str = request.headers.get(HEADER, "") if ended else sent_token(request)
        renewals = self.second_factor_renewals if ended else self.renewals
        return renewals.made(source, request, sent)

    def settled(self, request: httpx.Request) -> None:
        self.renewals.note_success(request, sent_token(request))
        if HEADER in request.headers:
            self.second_factor_renewals.note_success(request, request.headers[HEADER])


@dataclass
class SignedJwtAuth(BankAuth):
    """The header JWT-Token: signed by us (HS512) for a day, naming the signee. No bank token, no second factor."""

    signee: str
    secret: str = field(repr=False)
    mask: Callable[[str], None] = field(repr=False)
    _signed: tuple[str, datetime] | None = field(default=None, repr=False)

    def sign(self, request: httpx.Request) -> None:
        request.headers["JWT-Token"] = self._token(datetime.now(UTC))

    def _token(self, now: datetime) -> str:
        signed = self._signed
        if signed and now < signed[1]:
            return signed[0]
        claims = {"signee": self.signee, "iat": now, "exp": now + timedelta(days=1)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)  # the bank chooses the secret's length
            value = jwt.encode(claims, self.secret, algorithm="HS512")
        self.mask(value)
        self._signed = value, now + timedelta(hours=12)
        return value


def access(connection: BankConnection, tokens: TokensFactory) -> Access:
    """What `connection` needs. Raises ConfigurationError."""
    origin = connection.origin()
    mode = connection.choice("auth_mode", ("password", "signed_jwt"))
    tenant = connection.header("tenant_id", "your tenant's identifier")
    headers = {**connection.headers(), "tenantId": tenant}
    line = Line(connection.conn_id, origin, connection.timeout(), headers)
    if mode == "signed_jwt":
        signee = connection.require("signee", "the signee that Mbanq knows you by")
        secret = connection.require("jwt_secret", "the secret that JWTs are signed with")
        return Access(line, SignedJwtAuth(signee, secret, connection.mask), mode)
    username = connection.require("login", "the username")
    password = connection.require("password", "the user's password")
    client_id = connection.require("client_id", "the client id that Mbanq gave you")
    client_secret = connection.require("client_secret", "the client secret that Mbanq gave you")
    cache = tokens()
    fields = (origin, client_id, username, tenant, mode)
    secrets = (client_secret, password)
    to_check = "the fields 'login', 'password', 'client_id', 'client_secret' and 'tenant_id'"
    grant = PasswordGrant(
        TokenEndpoint(line, "Mbanq", to_check, cache.now), client_id, username, client_secret, password
    )
    login = source(cache, connection, "mbanq", Grant(grant.login, grant.refresh), fields=fields, secrets=secrets)
    factor = _second_factor(connection, cache, line, login, (origin, username, tenant))
    # The verification's token is kept apart from the access token, under a name and with an end of its own.
    verification = source(
        cache,
        connection,
        "mbanq",
        Grant(factor.verify),
        fields=(*fields, _SECOND_FACTOR),
        secrets=(*secrets, connection.optional("totp_secret") or ""),
    )
    # A person is not asked for a code again and again for a call that is restricted for another reason.
    verification = replace(verification, account=factor.account, patience=timedelta(hours=1))
    auth = PasswordAuth(login, verification)
    send_code = None if factor.totp_secret else factor.send_code
    return Access(line, auth, mode, login, verification, send_code, _remarks)


def _remarks(token: Token) -> list[str]:
    remarks = ["a second factor is due with the first call"] if "second_factor" in token.notes else []
    return remarks + ([SELF_SERVICE] if "self_service" in token.notes else [])


def _second_factor(
    connection: BankConnection, cache: TokenCache, line: Line, login: TokenSource, person: tuple[str, ...]
) -> SecondFactor:
    """`person` names whose codes they are, whatever client asks."""
    totp = secret_of_totp(connection)
    to_check = (
        "the field 'totp_secret', and this machine's clock"
        if totp
        else "the field 'otp_delivery_method', and that this user may ask for codes"
    )
    return SecondFactor(
        TokenEndpoint(line, "Mbanq", to_check, cache.now, after_login=True),
        login,
        cache.codes,
        account(("mbanq", *person, _SECOND_FACTOR)),
        cache.due,
        totp,
        connection.choice("otp_delivery_method", ("", "EMAIL", "SMS")),
    )
