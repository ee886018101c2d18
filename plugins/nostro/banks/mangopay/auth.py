"""MANGOPAY: OAuth 2.0 client credentials with Basic (RFC 6749 4.4), or Basic on every call."""

from dataclasses import dataclass, field
from datetime import timedelta

import httpx

from nostro.auth.access import Access, TokensFactory, source
from nostro.auth.endpoint import TokenEndpoint
from nostro.auth.grant import Grant
from nostro.auth.lifetimes import Lifetimes
from nostro.auth.scheme import BearerAuth, HeaderAuth, Resending, basic
from nostro.auth.tokens import Token
from nostro.connection import BankConnection
from nostro.wire import Line

# An hour, twenty minutes in the bank's sandbox; the shorter one where an answer does not say.
_LIFETIMES = Lifetimes(documented=timedelta(minutes=20))
_RESENDING = Resending(idempotency_header="Idempotency-Key")


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    endpoint: TokenEndpoint
    authorization: str = field(repr=False)

    def __call__(self) -> Token:
        form = {"grant_type": "client_credentials"}
        headers = {"Authorization": self.authorization}
        answer = self.endpoint.ask("POST", "/v2.01/oauth/token", data=form, headers=headers)
        self.endpoint.check_bearer(answer.body.get("token_type"))
        value = self.endpoint.token_text(answer.body.get("access_token"))
        return self.endpoint.timed(value, answer.body.get("expires_in"), answer, _LIFETIMES)


class MangopayAuth(BearerAuth):
    def suspects(self, request: httpx.Request, response: httpx.Response) -> bool:
        return super().suspects(request, response) and not pending_user_action(response)


def pending_user_action(response: httpx.Response) -> bool:
    """Whether the bank wants the owner of a wallet to confirm (strong customer authentication), not another token."""
    challenge = response.headers.get("www-authenticate", "")
    return response.status_code == httpx.codes.UNAUTHORIZED and "pendinguseraction" in challenge.lower()


def access(connection: BankConnection, tokens: TokensFactory) -> Access:
    """What `connection` (login: ClientId, password: API key) needs. Raises ConfigurationError."""
    origin = connection.origin()
    client_id = connection.require("login", "your ClientId")
    api_key = connection.require("password", "your API key")
    mode = connection.choice("auth_mode", ("oauth2", "basic"))
    line = Line(connection.conn_id, origin, connection.timeout(), connection.headers())
    authorization = basic(client_id, api_key)
    if mode == "basic":
        return Access(line, HeaderAuth("Authorization", authorization), mode)
    cache = tokens()
    connection.mask(authorization.removeprefix("Basic "))
    endpoint = TokenEndpoint(
        line, "MANGOPAY", "the fields 'login' (ClientId), 'password' (API key) and 'host'", cache.now
    )
    token = source(
        cache,
        connection,
        "mangopay",
        Grant(ClientCredentials(endpoint, authorization)),
        fields=(origin, client_id, mode),
        secrets=(api_key,),
    )
    return Access(line, MangopayAuth(token, _RESENDING), mode, token)
