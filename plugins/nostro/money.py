"""Amounts: integer minor units and a currency, never a float."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import MAX_PREC, Decimal, InvalidOperation, localcontext
from functools import cache

_CODE = re.compile(r"[A-Z0-9]{2,12}")
_LONGEST = 38  # digits, as in Parquet's decimal(38, 0)
_NO_ASSETS: Mapping[str, int] = {}


class AmountError(ValueError):
    """An amount or a currency that cannot be read. The message quotes nothing but a well-formed currency code."""


@dataclass(frozen=True, slots=True)
class Money:
    """`minor` units of `currency`: Money(1260, "EUR") is 12.60 euro, Money(12, "JPY") is 12 yen.

    The number of decimals is ISO 4217's; for other assets (crypto) it is that of the bank's own table.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise TypeError(f"minor units are a whole number (int), not {type(self.minor).__name__}")
        if abs(self.minor) >= 10**_LONGEST:
            raise AmountError("an amount beyond any account")

    def __str__(self) -> str:
        """In units of the currency, where ISO 4217 knows its decimals: 12.60 EUR."""
        try:
            return f"{to_decimal(self):f} {self.currency}"
        except AmountError:
            return f"{self.minor} minor units of {self.currency}"


@cache
def _iso_exponents() -> Mapping[str, int]:
    import iso4217  # noqa: PLC0415 (its table is built at import, and most processes never need it)

    return {c.code: c.exponent for c in iso4217.Currency if c.exponent is not None}


@cache
def _iso_numbers() -> Mapping[int, str]:
    import iso4217  # noqa: PLC0415 (as above)

    return {c.number: c.code for c in iso4217.Currency if c.number is not None}


def exponent(currency: str, assets: Mapping[str, int] = _NO_ASSETS) -> int:
    """Number of decimals of `currency`, by ISO 4217 or else by `assets`, the bank's own table.

    Raises AmountError for a currency that neither knows: guessing would move the decimal point.
    """
    if currency in assets:
        return assets[currency]
    try:
        return _iso_exponents()[currency]
    except KeyError:
        shown = currency if _CODE.fullmatch(currency) else "(malformed)"
        raise AmountError(f"the unknown currency or asset {shown}") from None


def currency_by_number(number: int | str) -> str:
    """ISO 4217's letter code for its number: 978 is EUR. Raises AmountError for an unknown number."""
    try:
        return _iso_numbers()[int(number)]
    except (KeyError, ValueError):
        raise AmountError("an unknown currency number") from None


def from_decimal(value: Decimal | int | str, currency: str, assets: Mapping[str, int] = _NO_ASSETS) -> Money:
    """Money from a decimal amount as banks write it: ("12.60", "EUR") is Money(1260, "EUR").

    Raises AmountError for text that is no number, for an unknown currency, and for more decimals than the currency has
    (trailing zeros are fine) or more than 38 digits; TypeError for a float and whatever else is no amount.
    """
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise TypeError("an amount is a Decimal, an int or text; a float no longer says what the bank wrote")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise AmountError("an amount that is no number") from None
    if not number.is_finite():
        raise AmountError("an amount that is no finite number")
    digits = exponent(currency, assets)
    if number.adjusted() + digits >= _LONGEST:
        raise AmountError("an amount beyond any account")
    with localcontext(prec=MAX_PREC):
        minor = number.normalize().scaleb(digits)
    if minor.as_tuple().exponent < 0:  # type: ignore[operator]  # letters stand for what is not finite
        raise AmountError(f"more than {digits} decimals in an amount of {currency}")
    return Money(int(minor), currency)


def to_decimal(money: Money, assets: Mapping[str, int] = _NO_ASSETS) -> Decimal:
    """The amount in units of its currency, with all its decimals: Money(1260, "EUR") is Decimal("12.60")."""
    digits = exponent(money.currency, assets)
    return Decimal((int(money.minor < 0), tuple(map(int, str(abs(money.minor)))), -digits))
