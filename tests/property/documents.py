"""JSON as no bank should send it for a token: close to what the banks document, one thing or several amiss, or far off.

Whatever comes first in a list is the sound case, to which a failing example shrinks.
"""

import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import canaries
from hypothesis import strategies as st

NOW = int(time.time())


@dataclass(frozen=True)
class Raw:
    """JSON text as it stands, for what no Python value gives: a number of a thousand digits, NaN, open brackets."""

    text: str


class Members(list[tuple[str, Any]]):
    """An object's members in their order; a name may come twice."""


_OAUTH = Members([("access_token", canaries.TOKEN), ("token_type", "Bearer"), ("expires_in", 3600)])
_KUNA = [("accessToken", canaries.TOKEN), ("expiresIn", NOW + 1800), ("refreshToken", canaries.REFRESH_TOKEN)]
RIGHT = {
    "mbanq": Members([("scope", "all"), *_OAUTH, ("refresh_token", canaries.REFRESH_TOKEN)]),
    "m2p": _OAUTH,
    "mangopay": _OAUTH,
    "kunacore": Members([("data", Members(_KUNA))]),
    "banking_circle": Members([("access_token", canaries.TOKEN), ("expires_in", "300")]),
    "mbanq user details": Members(
        [
            ("username", canaries.LOGIN),
            ("shouldRenewPassword", False),
            ("isTwoFactorAuthenticationRequired", False),
            ("isSelfServiceUser", True),
        ]
    ),
}
"""The documented answers, by bank; Mbanq asks twice for each login."""


def written(value: Any, ascii_only: bool = True) -> str:
    """`value` as JSON text, with Python's NaN and lone surrogates in it if it has them."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        value = Members(value.items())
    if isinstance(value, Members):
        inside = (f"{json.dumps(name, ensure_ascii=ascii_only)}: {written(item, ascii_only)}" for name, item in value)
        return "{" + ", ".join(inside) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(item, ascii_only) for item in value) + "]"
    return json.dumps(value, ensure_ascii=ascii_only)


@st.composite
def mostly(draw: st.DrawFn, usual: st.SearchStrategy[Any], *odd: st.SearchStrategy[Any], times: int) -> Any:
    """`usual`, `times` as often as each of `odd`; one_of counts the same strategy once."""
    number = draw(st.integers(0, times + len(odd) - 1))
    return draw(usual if number < times else odd[number - times])


often = st.sampled_from([True, True, True, False])
sometimes = st.sampled_from([False, False, True])
rarely = st.sampled_from([False] * 19 + [True])


# Values

echoes = st.sampled_from([*canaries.ALL, f"Basic {canaries.BASIC}", f"Bearer {canaries.TOKEN}"])
characters = st.text(st.characters(), max_size=12)  # all of them: control characters and lone surrogates too
_odd_texts = st.sampled_from(
    ["", " ", "\x00", "\x7f", "\ufeff", "a b", "a\r\nX-Smuggled: 1", "a\tb", "\u202eb", "ä", "😀", "\ud800", "%s {0}"]
)
_long_texts = st.sampled_from([300, 32_768, 32_769, 200_000]).map(lambda length: (canaries.TOKEN * 7_000)[:length])
texts = st.one_of(
    echoes, characters, _odd_texts, st.builds("{} {} {}".format, characters, echoes, _odd_texts), _long_texts
)


def _nested(depth: int, opening: str, closed: bool) -> Raw:
    closing = {"[": "]", '{"data":': "}", '{"access_token":[': "]}"}[opening]
    return Raw(opening * depth + ("1" + closing * depth if closed else ""))


nestings = st.builds(
    _nested,
    st.integers(1, 1200) | st.sampled_from([5_000, 100_000]),  # Python's own recursion ends at about a thousand
    st.sampled_from(["[", '{"data":', '{"access_token":[']),
    st.booleans(),
)

_near_now = st.integers(-(10**6), 10**6).map(lambda seconds: NOW + seconds)
_around_powers = st.builds(
    lambda sign, power, off: sign * 10**power + off, st.sampled_from([1, -1]), st.integers(0, 40), st.integers(-2, 2)
)
_LITERALS = ["NaN", "Infinity", "-Infinity", "-0", "1e400", "-1e400", "1e-400", "1E+9", "0.1e1", "0x10", "01"]
_LITERALS += [
    "1" * 5000,
    "-" + "9" * 4299,
    "0." + "0" * 5000 + "1",
    "9" * 400 + ".5",
    "1e" + "9" * 21,
    "1e-" + "9" * 21,
]
_LITERALS += ["1e1000000", "-1e999999", "1e-1000000", "3600.", ".5", "+1", "1_000", "1e", "tru", "None", "undefined"]
_numbers = st.one_of(
    st.integers(-5, 10_000),
    st.integers(80_000, 10**9),
    _around_powers,
    _near_now,
    _near_now.map(lambda instant: instant * 1000),
    st.floats(),
    st.sampled_from(_LITERALS).map(Raw),
)
_numeric_texts = st.one_of(
    _numbers.map(written),
    st.builds("{}{} ".format, st.sampled_from(["", " ", "\n", "+", "-", "\u0663"]), _numbers.map(written)),
    st.sampled_from(["3_600", "\uff11\uff12", "sNaN", "-sNaN12", "nan123", "inf", "1e9", "3600s", "PT1H", "1,5"]),
    st.datetimes().map(datetime.isoformat),
)
_lifetimes = _numbers | _numeric_texts

_simple = st.one_of(st.none(), st.booleans(), _numbers, _numeric_texts, texts)
values = st.one_of(
    _simple,
    st.recursive(
        _simple, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
    ),
    nestings,
)


# Around the documented answers

_TOKENS = {"access_token", "accessToken", "refresh_token", "refreshToken"}
_TIMES = {"expires_in", "expiresIn"}
_other_token, _other_time = mostly(texts, values, times=3), mostly(_lifetimes, values, times=4)
_other_rest = st.booleans() | values


def _other_names(name: str) -> list[str]:
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return [name.upper(), name.title(), name.replace("_", ""), snake, f" {name}", f"{name}\x00"]


def _wrapped(name: str, value: Any) -> list[Any]:
    return [[value], {name: value}, {"value": value}, written([value])]


@st.composite
def _touched(draw: st.DrawFn, name: str, right: Any) -> list[tuple[str, Any]]:
    """What may stand in a member's place: another value, most of all; or it is gone, renamed, repeated or wrapped."""
    other = draw(_other_token if name in _TOKENS else _other_time if name in _TIMES else _other_rest)
    way = draw(st.sampled_from(["other"] * 6 + ["gone", "renamed", "twice", "wrapped"]))
    if way == "renamed":
        return [(draw(st.sampled_from(_other_names(name))), right)]
    if way == "twice":
        return draw(st.permutations([(name, right), (name, other)]))
    if way == "wrapped":
        return [(name, draw(st.sampled_from(_wrapped(name, right))))]
    return [] if way == "gone" else [(name, other)]


_more_members = st.lists(st.tuples(texts, values), min_size=1, max_size=2)


@st.composite
def _changed(draw: st.DrawFn, right: Members) -> Members:
    """`right` with one or more of its members touched, and sometimes with members that nobody asked for."""
    one = draw(often) and draw(st.sampled_from([name for name, _ in right]))
    found = Members()
    for name, value in right:
        if isinstance(value, Members) and (name == one or draw(often)):
            found.append((name, draw(_changed(value))))
        elif name == one or (not one and draw(sometimes)):
            found += draw(_touched(name, value))
        else:
            found.append((name, value))
    return Members([*found, *(draw(_more_members) if draw(rarely) else [])])


@st.composite
def _misplaced(draw: st.DrawFn, right: Members) -> Any:
    """A token, or nearly one, that is an error at the same time or lies deeper than it should."""
    token = draw(_changed(right))
    with_error = Members([*token, ("error", canaries.TOKEN)])
    return draw(st.sampled_from([with_error, [token], [token] * 2, {"data": token}, {"result": token}, written(token)]))


# Around the documented errors

_codes = st.sampled_from(
    ["invalid_grant", "invalid_client", "unauthorized_client", "UNAUTHORIZED", "server_error", "RESTRICTED", "unknown"]
)
_said = st.one_of(st.sampled_from(["User account is LOCKED", "Bad credentials"]), texts, values)
_ERROR_MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "error": _codes | values,
    "error_description": _said,
    "error_uri": texts,
    "errors": st.lists(st.fixed_dictionaries({"code": _codes | values, "message": _said}), max_size=2) | values,
    "Message": _said,
    "Type": _codes | values,
    "Id": texts,
    "errorCode": _codes,
    "errorText": _said,
    "developerMessage": _said,
    "httpStatusCode": st.just("401") | values,
    "userMessageGlobalisationCode": _codes | values,
    "status": values,
    "detail": _said,
    "code": _codes | values,
    "data": values,
}
_SHAPES = [
    ("error", "error_description"),
    ("errors",),
    ("Message", "Type", "Id", "errors"),
    ("developerMessage", "httpStatusCode", "userMessageGlobalisationCode", "errors"),
    ("status", "detail", "Message"),
    ("errorCode", "errorText"),
]


@st.composite
def _refusals(draw: st.DrawFn) -> Any:
    """An error in the shape of OAuth or of one of the banks, or in parts of several."""
    names = draw(st.sampled_from(_SHAPES) | st.lists(st.sampled_from(sorted(_ERROR_MEMBERS)), max_size=5))
    error = Members([(name, draw(_ERROR_MEMBERS[name])) for name in names])
    return draw(st.sampled_from([error, error, error, [error], {"error": error}, {"data": error}]))


def documents(wanted: str) -> st.SearchStrategy[Any]:
    """Around the document that is `wanted`, a name in RIGHT."""
    right = RIGHT[wanted]
    return mostly(_changed(right), _refusals(), _refusals(), _misplaced(right), values, times=12)
