"""The Toy Bank: client credentials as RFC 6749 has them."""

from dataclasses import dataclass, field
from datetime import timedelta

from nostro.auth.access import Access, TokensFactory, source
from nostro.auth.endpoint import TokenEndpoint
from nostro.auth.grant import Grant
from nostro.auth.lifetimes import Lifetimes
from nostro.auth.scheme import BearerAuth
from nostro.auth.tokens import Token
from nostro.connection import BankConnection
from nostro.wire import Line

_LIFETIMES = Lifetimes(documented=timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    endpoint: TokenEndpoint
    client_id: str
    client_secret: str = field(repr=False)

    def __call__(self) -> Token:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }
        answer = self.endpoint.ask("POST", "/token", data=form)
        value = self.endpoint.token_text(answer.body.get("access_token"))
        return self.endpoint.timed(value, answer.body.get("expires_in"), answer, _LIFETIMES)


def access(connection: BankConnection, tokens: TokensFactory) -> Access:
    origin = connection.origin()
    client_id = connection.require("login", "the client id")
    client_secret = connection.require("password", "the client secret")
    line = Line(connection.conn_id, origin, connection.timeout(), connection.headers())
    cache = tokens()
    endpoint = TokenEndpoint(line, "Toy Bank", "the fields 'login' and 'password'", cache.now)
    grant = Grant(ClientCredentials(endpoint, client_id, client_secret))
    token = source(cache, connection, "toy", grant, fields=(origin, client_id), secrets=(client_secret,))
    return Access(line, BearerAuth(token), "client_credentials", token)
