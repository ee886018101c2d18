import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nostro.connection import BankConnection
from nostro.errors import ConfigurationError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def connection(**extra) -> BankConnection:
    return BankConnection("c1", extra=extra)


def refused(call) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        call()
    assert "'c1'" in str(caught.value)
    return caught.value


@pytest.mark.parametrize("value", [None, "", "   "])
def test_a_missing_field_is_named(value):
    """A field that has to be filled in and is not gives one sentence with connection, field and remedy."""
    error = refused(lambda: connection(tenant_id=value).require("tenant_id", "your tenant's identifier"))
    assert error.fields["field"] == "tenant_id"
    assert "enter your tenant's identifier" in str(error)


@pytest.mark.parametrize("value", ["*", "***", "********", " *** "])
@pytest.mark.parametrize("name", ["password", "client_secret"])
def test_a_mask_that_was_saved_is_refused(name, value):
    """A secret of asterisks is the form's mask, and is not sent to a bank."""
    given_in = {"password": value} if name == "password" else {"extra": {name: value}}
    error = refused(lambda: BankConnection("c1", **given_in).require(name, "the secret"))
    assert error.fields["field"] == name
    assert "asterisks" in str(error)


def test_asterisks_within_a_secret_are_fine():
    """Only a secret of nothing but asterisks is a mask."""
    assert BankConnection("c1", password="a*b*").require("password", "it") == "a*b*"


@pytest.mark.parametrize("value", [True, False, 1.5, [], {}, ["x"]])
def test_what_is_no_text_is_refused(value):
    """A field of another JSON type is refused, not turned into text."""
    assert "not text" in str(refused(lambda: connection(tenant_id=value).optional("tenant_id")))


def test_a_number_is_fine_as_text():
    """People write identifiers of digits without quotes."""
    assert connection(tenant_id=42).optional("tenant_id") == "42"


def test_airflows_own_fields_are_not_read_from_extra():
    """A `login` in extra does not stand in for the connection's login."""
    assert BankConnection("c1", login="anna", extra={"login": "bert"}).require("login", "it") == "anna"


def test_secrets_are_not_in_the_repr():
    """Neither password nor extra is in a connection's repr."""
    shown = repr(BankConnection("c1", password="pw-secret", extra={"client_secret": "cs-secret"}))
    assert "secret" not in shown


def test_a_choice_is_its_first_when_not_set():
    """A mode that is not set is the first one."""
    assert connection().choice("auth_mode", ("jwt", "api_key")) == "jwt"
    assert connection(auth_mode="").choice("auth_mode", ("jwt", "api_key")) == "jwt"
    assert connection(auth_mode="api_key").choice("auth_mode", ("jwt", "api_key")) == "api_key"


def test_an_unknown_choice_names_the_known_ones():
    """A mode that does not exist is refused with those that do."""
    error = refused(lambda: connection(auth_mode="magic").choice("auth_mode", ("jwt", "api_key")))
    assert "jwt, api_key" in str(error)
    assert "magic" not in str(error)


@pytest.mark.parametrize(
    ("value", "texts"),
    [(None, ()), ("", ()), ([], ()), (["a", " b "], ("a", "b")), ("a, b\nc", ("a", "b", "c")), (["", "a"], ("a",))],
)
def test_lists_are_read_as_people_type_them(value, texts):
    """A list comes as JSON or as one text with commas or line ends."""
    assert connection(entity_ids=value).texts("entity_ids") == texts


@pytest.mark.parametrize("value", [5, True, {"a": 1}, [1], [None], [["a"]]])
def test_a_list_of_other_things_is_refused(value):
    """A list field holds texts only."""
    assert refused(lambda: connection(entity_ids=value).texts("entity_ids")).fields["field"] == "entity_ids"


@pytest.mark.parametrize(
    ("host", "port", "origin"),
    [
        ("https://api.bank.example", None, "https://api.bank.example"),
        ("https://api.bank.example/", None, "https://api.bank.example"),
        ("api.bank.example", None, "https://api.bank.example"),
        ("HTTPS://API.Bank.Example:8443", None, "https://api.bank.example:8443"),
        ("https://api.bank.example", 8443, "https://api.bank.example:8443"),
        ("https://api.bank.example:9443", 8443, "https://api.bank.example:9443"),
        (" https://api.bank.example ", None, "https://api.bank.example"),
        ("http://127.0.0.1:5000", None, "http://127.0.0.1:5000"),
        ("http://localhost:5000", None, "http://localhost:5000"),
        ("http://[::1]:5000", None, "http://[::1]:5000"),
        ("https://[2001:db8::1]", 8443, "https://[2001:db8::1]:8443"),
    ],
)
def test_an_origin_is_scheme_host_and_port(host, port, origin):
    """The bank's address is its origin; the port may stand in it or in its own field."""
    assert BankConnection("c1", host=host, port=port).origin() == origin


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("https://api.bank.example/v1", "not an origin"),
        ("https://api.bank.example?x=1", "not an origin"),
        ("https://api.bank.example#x", "not an origin"),
        ("https://anna:pw@api.bank.example", "not an origin"),
        ("https://", "not an origin"),
        ("https://:8443", "not an origin"),
        ("http://api.bank.example", "plain http"),
        ("http://127.0.0.1.bank.example", "plain http"),
        ("http://localhost.bank.example", "plain http"),
        ("http://10.0.0.1", "plain http"),
        ("ftp://api.bank.example", "scheme"),
        ("https://api.bank.example:eighty", "port"),
        ("https://api.bank.example:99999", "port"),
        ("", "empty"),
        (None, "empty"),
        ("***", "asterisks"),
    ],
)
def test_what_is_no_origin_is_refused(host, reason):
    """An address with a path, credentials, another scheme or a malformed port is refused by a sentence that says so."""
    error = refused(lambda: BankConnection("c1", host=host).origin())
    assert reason in str(error)
    assert error.fields["field"] == "host"


@pytest.mark.parametrize("host", ["https://[bad", "https://[x]", "https://ex℀mple.com", "https://:pw@api.bank.example"])
def test_a_malformed_address_is_a_configuration_error(host):
    """An address that no parser can read is refused like any other, by a sentence that names the field."""
    assert refused(lambda: BankConnection("c1", host=host).origin()).fields["field"] == "host"


@example(host="https://ä..b")
@example(host="https://xn--ä")
@given(host=st.text(max_size=40) | st.text(max_size=40).map("https://{}".format))
def test_any_text_is_an_origin_for_the_client_or_refused(host):
    """Whatever is typed as an address is either one that the client takes, or a ConfigurationError."""
    try:
        origin = BankConnection("c1", host=host).origin()
    except ConfigurationError:
        return
    assert httpx.URL(origin).scheme in ("https", "http")


@pytest.mark.parametrize("port", [-1, 65_536, 70_000])
def test_a_port_that_does_not_exist_is_refused(port):
    """A port beyond the range is told before a socket chokes on it, also where it comes from its own field."""
    refused(lambda: BankConnection("c1", host="https://api.bank.example", port=port).origin())


def test_the_other_origin_does_not_take_the_ports_field():
    """The port's field belongs to `host` alone."""
    fields = BankConnection("c1", port=8443, extra={"authorization_url": "https://auth.bank.example"})
    assert fields.origin("authorization_url") == "https://auth.bank.example"


@pytest.mark.parametrize(("value", "seconds"), [(None, 30), ("", 30), (5, 5), ("12.5", 12.5), (600, 600)])
def test_a_timeout_is_a_number_of_seconds(value, seconds):
    """The timeout is the connection's own, 30 seconds if it is not set."""
    assert connection(timeout=value).timeout() == seconds


@given(value=JSON)
def test_any_other_timeout_is_refused(value):
    """Whatever stands in `timeout` gives seconds between nought and ten minutes, or a ConfigurationError."""
    try:
        seconds = connection(timeout=value).timeout()
    except ConfigurationError as error:
        assert error.fields["field"] == "timeout"  # noqa: PT017 (either outcome is fine)
    else:
        assert 0 < seconds <= 600


@pytest.mark.parametrize(
    "value", [0, -1, 601, "soon", True, [], {}, float("nan"), float("inf"), "1e999", pytest.param(10**400, id="huge")]
)
def test_a_timeout_without_sense_is_refused(value):
    """No timeout is endless, negative, or of another type."""
    assert refused(lambda: connection(timeout=value).timeout()).fields["field"] == "timeout"


def test_headers_are_an_object_of_texts():
    """More headers come as an object."""
    assert connection(headers={"X-Client": "acme"}).headers() == {"X-Client": "acme"}
    assert connection(headers="").headers() == connection().headers() == {}


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "X-TENANT-ID",
        "tenantId",
        "Fineract-Platform-TenantId",
        "merchant_id",
        "Idempotency-Key",
        "Api-key",
        "JWT-Token",
        "Fineract-Platform-TFA-Token",
        "Host",
        "Cookie",
        "Content-Type",
        "X-Request-ID",
        "x-messagereference",
    ],
)
@pytest.mark.parametrize("case", [str.lower, str.upper, str])
def test_what_signs_addresses_or_guards_a_request_is_no_ones_to_set(name, case):
    """A header that nostro sets is refused, however it is written."""
    error = refused(lambda: connection(headers={case(name): "x"}).headers())
    assert "remove it" in str(error)


@pytest.mark.parametrize(
    "value",
    [
        "X-Client: acme",
        ["X-Client"],
        5,
        {"X Client": "acme"},
        {"": "acme"},
        {"X-Client": 5},
        {"X-Client": None},
        {"X-Client": "a\r\nX-Evil: b"},
        {"X-Client": "grüß"},
        {"X-Cliént": "x"},
    ],
)
def test_malformed_headers_are_refused(value):
    """Headers that are no object of plain texts are refused, injected lines among them."""
    assert refused(lambda: connection(headers=value).headers()).fields["field"] == "headers"
