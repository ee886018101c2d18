"""M2P: JSON client credentials, a tenant, and a request id of its own on each call."""

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import httpx

from nostro.auth.access import Access, TokensFactory, source
from nostro.auth.endpoint import TokenEndpoint
from nostro.auth.grant import Grant
from nostro.auth.lifetimes import Lifetimes
from nostro.auth.scheme import BearerAuth, Resending
from nostro.auth.tokens import Token
from nostro.connection import BankConnection
from nostro.wire import Line

# "Tokens valid for expires_in seconds (typically 3600) ... Refresh 5 minutes before expiry" (M2P, Authentication).
_LIFETIMES = Lifetimes(documented=timedelta(hours=1), renew_ahead=timedelta(minutes=5))
# Searches, documented as POSTs; with and without the customer service's base path.
_SEARCHES = tuple(
    f"{base}/v1/{path}"
    for base in ("", "/prepaid/customer")
    for path in ("transactions/fetch-all", "wallets/balance", "cards/support/fetch/balance")
)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    endpoint: TokenEndpoint
    client_id: str
    client_secret: str = field(repr=False)

    def __call__(self) -> Token:
        body = {
            "clientId": self.client_id,
            "clientSecret": self.client_secret,
            "grantType": "client_credentials",
        }
        answer = self.endpoint.ask("POST", "/auth/token", json=body, headers={"X-Request-ID": str(uuid4())})
        self.endpoint.check_bearer(answer.body.get("token_type"))
        value = self.endpoint.token_text(answer.body.get("access_token"))
        stated = answer.body.get("expires_in")
        return self.endpoint.timed(value, stated, answer, _LIFETIMES)


class M2pAuth(BearerAuth):
    def dress(self, request: httpx.Request) -> None:
        """A request id of its own for each request that leaves, unless the caller has given one."""
        if "X-Request-ID" not in request.headers or "nostro.request_id" in request.extensions:
            request.headers["X-Request-ID"] = str(uuid4())
            request.extensions["nostro.request_id"] = True


def access(connection: BankConnection, tokens: TokensFactory) -> Access:
    """What `connection` (login: client id, password: client secret) needs. Raises ConfigurationError."""
    origin = connection.origin()
    client_id = connection.require("login", "the client id that M2P gave you")
    client_secret = connection.require("password", "the client secret that M2P gave you")
    tenant = connection.header("tenant_id", "your tenant identifier")
    timeout, headers = connection.timeout(), connection.headers()
    cache = tokens()
    endpoint = TokenEndpoint(
        Line(connection.conn_id, origin, timeout, headers),
        "M2P",
        "the fields 'login' (client id), 'password' (client secret) and 'tenant_id'",
        cache.now,
    )
    token = source(
        cache,
        connection,
        "m2p",
        Grant(ClientCredentials(endpoint, client_id, client_secret)),
        fields=(origin, client_id, tenant),
        secrets=(client_secret,),
    )
    headers = {**headers, "X-TENANT-ID": tenant, "Content-Type": "application/json"}
    line = Line(connection.conn_id, origin, timeout, headers)
    return Access(line, M2pAuth(token, Resending(_SEARCHES)), "client_credentials", token)
