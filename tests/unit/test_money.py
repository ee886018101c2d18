import tracemalloc
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nostro.money import AmountError, Money, currency_by_number, exponent, from_decimal, to_decimal

ASSETS = {"ETH": 18, "BTC": 8}
CURRENCIES = st.sampled_from(["JPY", "EUR", "KWD", "ETH"])
MINOR = st.integers(-(10**38) + 1, 10**38 - 1)


@given(minor=MINOR, currency=CURRENCIES)
def test_money_survives_the_way_to_decimal_and_back(minor, currency):
    """No amount changes on its way to a decimal and back, whatever the number of decimals."""
    money = Money(minor, currency)
    assert from_decimal(to_decimal(money, ASSETS), currency, ASSETS) == money


@given(minor=MINOR, currency=CURRENCIES)
def test_money_survives_the_way_over_text(minor, currency):
    """An amount written out as banks write it reads as the same amount."""
    money = Money(minor, currency)
    assert from_decimal(f"{to_decimal(money, ASSETS):f}", currency, ASSETS) == money


@given(minor=MINOR, currency=CURRENCIES)
def test_a_decimal_shows_all_decimals_of_its_currency(minor, currency):
    """A decimal amount has exactly as many decimals as its currency."""
    assert -to_decimal(Money(minor, currency), ASSETS).as_tuple().exponent == exponent(currency, ASSETS)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.60", "EUR", 1260),
        ("12.6", "EUR", 1260),
        ("-500.00", "INR", -50000),
        ("12", "JPY", 12),
        ("12.000", "JPY", 12),
        ("1.234", "KWD", 1234),
        ("0.000000000000000001", "ETH", 1),
        ("1e3", "EUR", 100000),
        (Decimal("9900.4"), "DKK", 990040),
        (7, "USD", 700),
        ("-0.00", "EUR", 0),
    ],
)
def test_amounts_are_read_as_banks_write_them(text, currency, minor):
    """Text, decimals and whole numbers become minor units by the currency's own decimals."""
    assert from_decimal(text, currency, ASSETS) == Money(minor, currency)


@pytest.mark.parametrize(("text", "currency"), [("0.001", "EUR"), ("1.5", "JPY"), ("1.0001", "KWD"), ("1e-19", "ETH")])
def test_more_decimals_than_the_currency_has_are_refused(text, currency):
    """An amount that would have to be rounded is an error, never a rounded amount."""
    with pytest.raises(AmountError, match="decimals"):
        from_decimal(text, currency, ASSETS)


@pytest.mark.parametrize("text", ["", "twelve", "1,20", "12.60 EUR", "NaN", "sNaN", "Infinity", "-Infinity", "0x10"])
def test_text_that_is_no_number_is_refused(text):
    """What is no finite number is no amount."""
    with pytest.raises(AmountError):
        from_decimal(text, "EUR")


@pytest.mark.parametrize("value", [12.6, 0.0, float("nan")])
def test_a_float_is_never_an_amount(value):
    """A float is refused: it no longer says what the bank wrote."""
    with pytest.raises(TypeError, match="float"):
        from_decimal(value, "EUR")


@pytest.mark.parametrize("value", [True, False, [0, [1, 2], -1], (0, (1, 2), -1), None, {}, b"12"])
def test_json_that_is_neither_number_nor_text_is_never_an_amount(value):
    """true, null, lists and objects are no amounts, even where Decimal could make something of them."""
    with pytest.raises((TypeError, AmountError)):
        from_decimal(value, "EUR")


@pytest.mark.parametrize("value", ["1E39", "1" * 39, "9" * 5000, "1E60", "1E999999"])
def test_an_amount_beyond_any_account_is_refused(value):
    """What does not fit the lake's decimal(38,0) is refused where it is read, not where it is written."""
    with pytest.raises(AmountError):
        from_decimal(value, "JPY")


def test_a_tiny_amount_costs_no_memory():
    """A bank cannot make a worker compute a number of millions of digits by a short amount."""
    tracemalloc.start()
    try:
        with pytest.raises(AmountError):
            from_decimal("1E-400000", "EUR")
        assert tracemalloc.get_traced_memory()[1] < 50_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("currency", ["", "eur", "EURO", "XXX", "XAU", "SHIB", "<script>"])
def test_an_unknown_currency_is_an_error(currency):
    """Nobody guesses the decimals of a currency that neither ISO 4217 nor the bank's table knows."""
    with pytest.raises(AmountError):
        exponent(currency, ASSETS)


def test_a_malformed_currency_is_not_quoted():
    """What a bank wrote in a currency's place becomes no part of a message, unless it looks like a code."""
    with pytest.raises(AmountError) as unknown:
        exponent("<b>hello</b>")
    assert "hello" not in str(unknown.value)
    with pytest.raises(AmountError, match="SHIB"):
        exponent("SHIB")


def test_the_banks_table_goes_before_iso_4217():
    """An asset in the bank's table has the decimals that the bank gives it."""
    assert exponent("EUR", {"EUR": 4}) == 4


@pytest.mark.parametrize("minor", [1.0, Decimal(1), "1", True, None])
def test_minor_units_are_whole_numbers(minor):
    """Money takes nothing but an int."""
    with pytest.raises(TypeError):
        Money(minor, "EUR")


@pytest.mark.parametrize(("number", "code"), [("978", "EUR"), (392, "JPY"), ("356", "INR"), ("036", "AUD")])
def test_currency_numbers_are_iso_4217s(number, code):
    """A currency's number gives its letters."""
    assert currency_by_number(number) == code


@pytest.mark.parametrize("number", ["0", "12345", "EUR", ""])
def test_an_unknown_currency_number_is_an_error(number):
    """A number that ISO 4217 does not know is an error."""
    with pytest.raises(AmountError):
        currency_by_number(number)
