"""What each bank's scheme puts on a request, and what it takes for a refused token; the flows are driven by hand."""

import httpx
import jwt
import pytest

from nostro.auth.grant import Grant
from nostro.banks.kunacore import auth as kunacore
from nostro.banks.m2p import auth as m2p
from nostro.banks.mangopay import auth as mangopay
from nostro.banks.mbanq import auth as mbanq
from nostro.banks.mbanq.second_factor import HEADER


def request(method: str = "GET", path: str = "/v1/x", **more) -> httpx.Request:
    return httpx.Request(method, f"https://bank.example{path}", **more)


@pytest.fixture
def auth_of(fields_of, process_tokens, mint):
    """A bank's scheme, its grants replaced by one that counts."""

    def make(bank, name: str, **extra):
        access = bank.access(fields_of(name, extra=extra), process_tokens)
        if access.source:
            access.source.grant = mint.grant
        return access.auth

    return make


def answers(auth, sent: httpx.Request, *responses: httpx.Response) -> list[httpx.Headers]:
    """The headers of each request that leaves while the bank answers so."""
    flow, left = auth.sync_auth_flow(sent), []
    leaving = next(flow)
    for response in responses:
        left.append(httpx.Headers(leaving.headers))
        response.request = leaving
        try:
            leaving = flow.send(response)
        except StopIteration:
            return left
    return left


def test_m2p_gives_each_call_an_id_of_its_own(auth_of):
    """Every request to M2P, a repeated one too, bears a fresh X-Request-ID."""
    auth = auth_of(m2p, "m2p")
    left = answers(auth, request(), httpx.Response(401), httpx.Response(200))
    left += answers(auth, request(), httpx.Response(200))
    assert len({headers["X-Request-ID"] for headers in left}) == 3


@pytest.mark.parametrize(
    "path",
    ["/v1/transactions/fetch-all", "/prepaid/customer/v1/transactions/fetch-all?pageNo=0", "/v1/wallets/balance"],
)
def test_m2ps_searches_are_sent_again(auth_of, path):
    """A POST that M2P documents as a search may be sent again like a GET."""
    assert (
        len(answers(auth_of(m2p, "m2p"), request("POST", path, json={}), httpx.Response(401), httpx.Response(200))) == 2
    )


@pytest.mark.parametrize("path", ["/prepaid/customer/v1/transactions/", "/v1/load/", "/v1/transactions"])
def test_m2ps_writes_are_sent_once(auth_of, path):
    """A POST that moves money at M2P is not sent again: no header protects it."""
    write = request("POST", path, json={}, headers={"Idempotency-Key": "k", "X-Request-ID": "k"})
    assert len(answers(auth_of(m2p, "m2p"), write, httpx.Response(401), httpx.Response(200))) == 1


@pytest.mark.parametrize("path", ["/v2/operation/find", "/v2/customer/find", "/v2/balance"])
def test_kunas_searches_are_sent_again(auth_of, path):
    """Kuna Core's searches are POSTs that only read."""
    auth = auth_of(kunacore, "kunacore")
    assert len(answers(auth, request("POST", path, json={}), httpx.Response(401), httpx.Response(200))) == 2


@pytest.mark.parametrize("path", ["/v2/transfer", "/v2/withdraw/crypto", "/v2/customer/create"])
def test_kunas_writes_are_sent_once(auth_of, path):
    """Kuna Core knows no idempotency header."""
    auth = auth_of(kunacore, "kunacore")
    write = request("POST", path, json={}, headers={"Idempotency-Key": "k"})
    assert len(answers(auth, write, httpx.Response(401), httpx.Response(200))) == 1


def test_kunas_api_key_goes_into_its_header(auth_of):
    """With an API key there is neither token nor merchant_id."""
    auth = auth_of(kunacore, "kunacore", auth_mode="api_key", api_key="k-1")
    (headers,) = answers(auth, request(), httpx.Response(401))
    assert headers["Api-key"] == "k-1"
    assert "authorization" not in headers


def test_mangopays_payout_with_a_key_is_sent_again(auth_of, mint):
    """A payout under an Idempotency-Key may be sent again with a new token, one without may not."""
    auth = auth_of(mangopay, "mangopay")
    path = "/v2.01/c/payouts/bankwire"
    with_key = request("POST", path, json={}, headers={"Idempotency-Key": "k" * 32})
    assert len(answers(auth, with_key, httpx.Response(401), httpx.Response(201))) == 2
    assert len(answers(auth, request("POST", path, json={}), httpx.Response(401), httpx.Response(201))) == 1


@pytest.mark.parametrize(
    "word", ["PendingUserAction redirectUrl=https://sca/?token=x", "pendinguseraction RedirectUrl=x"]
)
def test_mangopays_pending_user_action_is_no_expired_token(auth_of, mint, word):
    """A 401 that asks the wallet's owner to confirm costs no token request, and is not sent again."""
    auth = auth_of(mangopay, "mangopay")
    pending = httpx.Response(401, headers={"WWW-Authenticate": word})
    assert len(answers(auth, request(), pending, httpx.Response(200))) == 1
    assert len(mint.asked) == 1


def test_mangopays_basic_mode_sends_the_key_itself(auth_of):
    """In basic mode every call bears ClientId and API key, as the seed shows it."""
    (headers,) = answers(auth_of(mangopay, "mangopay", auth_mode="basic"), request(), httpx.Response(401))
    assert headers["Authorization"] == "Basic YW5uYTpwdy0x"


def test_mbanqs_signed_jwt_names_the_signee_for_a_day(auth_of):
    """In signed_jwt mode each call bears a JWT of ours, HS512, valid for a day, and no Authorization."""
    secret = "testing123" * 7
    auth = auth_of(mbanq, "mbanq", auth_mode="signed_jwt", jwt_secret=secret, signee="TESTING")
    (headers,) = answers(auth, request(), httpx.Response(401))
    claims = jwt.decode(headers["JWT-Token"], secret, algorithms=["HS512"])
    assert claims["signee"] == "TESTING"
    assert claims["exp"] - claims["iat"] == 86400
    assert "authorization" not in headers
    assert secret not in repr(auth)


@pytest.fixture
def mbanq_auth(auth_of, mint, clock, token_of):
    """Mbanq's scheme with a login and a second factor that count."""
    auth = auth_of(mbanq, "mbanq")
    verified = []

    def verify():
        verified.append(clock())
        return token_of(f"tfa-{len(verified)}", clock())

    auth.second_factor.grant = Grant(verify)
    auth.verified = verified
    return auth


RESTRICTED = {"code": "RESTRICTED", "message": "Access to type 'Payments' is restricted"}


def test_mbanqs_restricted_means_verify_again_not_log_in_again(mbanq_auth, mint):
    """RESTRICTED costs one verification and no login; the call is sent again with the second factor's header."""
    left = answers(mbanq_auth, request(), httpx.Response(403, json=RESTRICTED), httpx.Response(200))
    assert [headers.get(HEADER) for headers in left] == [None, "tfa-1"]
    assert {headers["Authorization"] for headers in left} == {"Bearer tok-1"}
    assert (len(mint.asked), len(mbanq_auth.verified)) == (1, 1)


def test_mbanqs_verification_goes_along_from_then_on(mbanq_auth):
    """Once the bank wanted a second factor, the next call brings it at once."""
    answers(mbanq_auth, request(), httpx.Response(403, json=RESTRICTED), httpx.Response(200))
    (headers,) = answers(mbanq_auth, request(), httpx.Response(200))
    assert headers[HEADER] == "tfa-1"
    assert len(mbanq_auth.verified) == 1


def test_mbanqs_ended_verification_is_replaced(mbanq_auth):
    """A verification that the bank takes no longer is renewed once, and only once for a call."""
    answers(mbanq_auth, request(), httpx.Response(403, json=RESTRICTED), httpx.Response(200))
    left = answers(mbanq_auth, request(), *(httpx.Response(403, json=RESTRICTED) for _ in range(3)))
    assert [headers[HEADER] for headers in left] == ["tfa-1", "tfa-2"]


def test_mbanqs_401_means_log_in_again(mbanq_auth, mint):
    """A refused access token is renewed, and no code is spent."""
    left = answers(mbanq_auth, request(), httpx.Response(401, json={"error": "invalid_token"}), httpx.Response(200))
    assert [headers["Authorization"] for headers in left] == ["Bearer tok-1", "Bearer tok-2"]
    assert mbanq_auth.verified == []


def test_mbanqs_403_of_another_kind_is_the_callers(mbanq_auth, mint):
    """A right that is lacking is neither a login's nor a verification's matter."""
    left = answers(mbanq_auth, request(), httpx.Response(403, json={"httpStatusCode": "403"}), httpx.Response(200))
    assert len(left) == 1
    assert (len(mint.asked), mbanq_auth.verified) == (1, [])


def test_mbanqs_graphql_says_it_with_200(mbanq_auth):
    """RESTRICTED in a GraphQL answer verifies again, but an operation that may write is not sent again."""
    body = {"errors": [{"message": "Access to type 'X' is restricted", "extensions": {"code": "RESTRICTED"}}]}
    left = answers(
        mbanq_auth, request("POST", "/graphql", json={}), httpx.Response(200, json=body), httpx.Response(200)
    )
    assert len(left) == 1
    (headers,) = answers(mbanq_auth, request("POST", "/graphql", json={}), httpx.Response(200, json={"data": {}}))
    assert headers[HEADER] == "tfa-1"


def test_mbanq_knows_from_the_login_that_a_second_factor_is_due(mbanq_auth, token_of, clock):
    """Where the user's details ask for a second factor, the first call already brings it."""
    mbanq_auth.login.grant = Grant(lambda: token_of("tok-1", clock(), notes={"second_factor": "yes"}))
    (headers,) = answers(mbanq_auth, request(), httpx.Response(200))
    assert headers[HEADER] == "tfa-1"
