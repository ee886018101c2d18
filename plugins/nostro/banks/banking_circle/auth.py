"""Banking Circle: a token by Basic over mutual TLS, from the authorization host, every five minutes."""

from dataclasses import dataclass, field
from datetime import timedelta

from nostro.auth.access import Access, TokensFactory, source
from nostro.auth.certificates import authorities, client_certificate
from nostro.auth.endpoint import TokenEndpoint
from nostro.auth.grant import Grant
from nostro.auth.lifetimes import Lifetimes
from nostro.auth.scheme import BearerAuth, Resending, basic
from nostro.auth.tokens import Token
from nostro.connection import BankConnection
from nostro.wire import Line, environment

# "Tokens expire after 5 minutes"; the bank wants a new one requested "only if the previous token has expired".
_LIFETIMES = Lifetimes(documented=timedelta(minutes=5), renew_ahead=timedelta(seconds=20))
_DOMAIN = ".bankingcircleconnect.com"
_RESENDING = Resending(idempotency_header="Idempotency-Key")


@dataclass(frozen=True, slots=True)
class BasicOverMutualTls:
    endpoint: TokenEndpoint
    authorization: str = field(repr=False)

    def __call__(self) -> Token:
        headers = {"Authorization": self.authorization, "Content-Type": "application/json"}
        answer = self.endpoint.ask("GET", "/api/v1/authorizations/authorize", headers=headers)
        self.endpoint.check_bearer(answer.body.get("token_type"))
        value = self.endpoint.token_text(answer.body.get("access_token"))
        return self.endpoint.timed(value, answer.body.get("expires_in"), answer, _LIFETIMES)


def _refuse_mixed(connection: BankConnection, origin: str, authorization_origin: str) -> None:
    """Refuse, before any login, addresses of two environments: each has credentials of its own."""
    both_the_banks = all(address.endswith(_DOMAIN) for address in (origin, authorization_origin))
    if both_the_banks and environment(origin) != environment(authorization_origin):
        reason = f"it is a {environment(authorization_origin)} address, and 'host' a {environment(origin)} one"
        raise connection.error("authorization_url", reason, "enter both addresses of the same environment")


def access(connection: BankConnection, tokens: TokensFactory) -> Access:
    """What `connection` needs. Raises ConfigurationError, CertificateError among them."""
    origin, authorization_origin = connection.origin(), connection.origin("authorization_url")
    _refuse_mixed(connection, origin, authorization_origin)
    username = connection.require("login", "the username of the machine user")
    password = connection.require("password", "the machine user's password")
    timeout, headers = connection.timeout(), connection.headers()
    cache = tokens()
    certificate = client_certificate(connection, cache.now())
    tls = certificate.context(connection, authorities(connection))
    authorization = basic(username, password)
    connection.mask(authorization.removeprefix("Basic "))
    endpoint = TokenEndpoint(
        Line(connection.conn_id, authorization_origin, timeout, headers, tls),
        "Banking Circle",
        f"the fields 'login' and 'password', that {certificate} is this user's, and that this machine's address is "
        "on the bank's list",
        cache.now,
        "authorization_url",
    )
    token = source(
        cache,
        connection,
        "banking_circle",
        Grant(BasicOverMutualTls(endpoint, authorization)),
        fields=(origin, authorization_origin, username, certificate.thumbprint),
        secrets=(password,),
    )
    line = Line(connection.conn_id, origin, timeout, headers, tls)

    def remarks(token: Token) -> list[str]:
        return [f"using {certificate}", *filter(None, [certificate.ending(cache.now())])]

    return Access(line, BearerAuth(token, _RESENDING), "basic_mtls", token, remarks=remarks)
