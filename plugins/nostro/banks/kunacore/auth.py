"""Kuna Core: a JWT by login, renewed by refresh token for two days; or an API key."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from nostro.auth.access import Access, TokensFactory, source
from nostro.auth.endpoint import Answer, TokenEndpoint
from nostro.auth.grant import Grant
from nostro.auth.lifetimes import Lifetimes
from nostro.auth.scheme import BearerAuth, HeaderAuth, Resending
from nostro.auth.tokens import Token
from nostro.connection import BankConnection
from nostro.wire import Line, dig

_LIFETIMES = Lifetimes(documented=timedelta(minutes=30))
_REFRESH_LIFE = timedelta(days=2)
_SEARCHES = ("/v2/customer/find", "/v2/operation/find", "/v2/balance")
_RESENDING = Resending(_SEARCHES)


@dataclass(frozen=True, slots=True)
class Login:
    """By e-mail and password, then by the refresh token while it lives."""

    endpoint: TokenEndpoint
    email: str
    password: str = field(repr=False)
    merchant_id: str

    def login(self) -> Token:
        return self._ask("/v2/auth/login", {"token": self.email, "password": self.password}, None)

    def refresh(self, previous: Token) -> Token:
        return self._ask("/v2/auth/refresh", {"refreshToken": previous.refresh_token}, previous)

    def _ask(self, path: str, body: dict[str, Any], previous: Token | None) -> Token:
        # The bank's pages disagree on whether a refresh carries merchant_id; with it, both are satisfied.
        headers = {"accept": "application/json", "merchant_id": self.merchant_id}
        answer = self.endpoint.ask("POST", path, json=body, headers=headers)
        return self._token(answer, previous)

    def _token(self, answer: Answer, previous: Token | None) -> Token:
        data = answer.body.get("data")
        value = self.endpoint.token_text(dig(data, ["accessToken"]))
        refresh, life = dig(data, ["refreshToken"]) or None, _REFRESH_LIFE
        if refresh is not None:
            refresh = self.endpoint.token_text(refresh, "refresh token")
        elif previous and previous.refresh_expires_at:  # the old one goes on, and ends when it would have ended
            refresh, life = previous.refresh_token, previous.refresh_expires_at - self.endpoint.now()
        return self.endpoint.timed(
            value, dig(data, ["expiresIn"]), answer, _LIFETIMES, refresh_token=refresh, refresh_life=life
        )


def access(connection: BankConnection, tokens: TokensFactory) -> Access:
    """What `connection` (login: e-mail) needs. Raises ConfigurationError."""
    origin = connection.origin()
    mode = connection.choice("auth_mode", ("jwt", "api_key"))
    headers, timeout = connection.headers(), connection.timeout()
    json_only = {**headers, "accept": "application/json", "Content-Type": "application/json"}
    line = Line(connection.conn_id, origin, timeout, json_only)
    if mode == "api_key":
        return Access(line, HeaderAuth("Api-key", connection.header("api_key", "your API key")), mode)
    email = connection.require("login", "the e-mail address of the user")
    password = connection.require("password", "the user's password")
    merchant = connection.header("merchant_id", "your merchant ID")
    cache = tokens()
    endpoint = TokenEndpoint(
        Line(connection.conn_id, origin, timeout, headers),
        "Kuna Core",
        "the fields 'login' (e-mail), 'password' and 'merchant_id'",
        cache.now,
    )
    grant = Login(endpoint, email, password, merchant)
    token = source(
        cache,
        connection,
        "kunacore",
        Grant(grant.login, grant.refresh),
        fields=(origin, email, merchant, mode),
        secrets=(password,),
    )
    return Access(line, BearerAuth(token, _RESENDING), mode, token)
