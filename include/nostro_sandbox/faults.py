"""The faults a bank can be told to have.

One table names them and says which values each takes; a bank adds its own
in ``own_faults``. Most are applied by `nostro_sandbox.bank` for every bank alike.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]

SHAPES = ("html", "empty", "truncated", "list", "missing_access_token", "error_200")


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def seconds(value: Any) -> bool:
    return is_number(value) and value >= 0


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def anything(value: Any) -> bool:
    return True


def times(value: Any, **more: Check) -> bool:
    """An object; ``times`` (for ever when left out) and the named extras, nothing else."""
    return _fields(value, {"times": lambda n: isinstance(n, int) and n >= 0, **more})


def _fields(value: Any, checks: Mapping[str, Check]) -> bool:
    if not isinstance(value, dict):
        return False
    return all(name in checks and checks[name](item) for name, item in value.items())


def rate(value: Any) -> bool:
    """``per_minute``, and ``minute_lasts`` in seconds for those who will not wait for a real one."""
    checks: dict[str, Check] = {"per_minute": lambda n: isinstance(n, int) and n >= 1, "minute_lasts": seconds}
    return _fields(value, checks) and "per_minute" in value


def throttle(value: Any) -> bool:
    return times(value, retry_after=lambda v: v == "http-date" or seconds(v), seconds=seconds)


def failure(value: Any) -> bool:
    return times(value, status=lambda v: isinstance(v, int) and 400 <= v <= 599)


def loss(value: Any) -> bool:
    return times(value, path_contains=lambda v: isinstance(v, str))


def shape(value: Any) -> bool:
    return value in SHAPES or (times(value, shape=lambda v: v in SHAPES) and "shape" in value)


# name: which values it takes
COMMON: Mapping[str, Check] = {
    "token_lifetime": seconds,  # stated and true
    "token_lifetime_raw": anything,  # put in expires_in as it stands; the true one stays
    "refresh_lifetime": seconds,
    "revoke": flag,
    "revoke_refresh": flag,
    "locked": flag,
    "address_refused": flag,  # at the token endpoint, whoever asks
    "same_token": flag,  # the last access token that is alive, as long as one is
    "throttle_token": throttle,
    "throttle_calls": throttle,
    "token_rate": rate,  # more than that in any minute are throttled
    "fail_token": failure,
    "fail_calls": failure,
    "lose_token_response": times,
    "lose_response": loss,
    "delay_token": seconds,
    "delay_calls": seconds,
    "drip_token": seconds,  # between two bytes of the token endpoint's answer
    "wrong_shape": shape,
    "clock_offset": is_number,
    "hold_payouts": flag,  # none is executed as long as it is set
}

# Done once when they are set, and not in force afterwards.
ONE_OFF = frozenset({"revoke", "revoke_refresh", "revoke_second_factor"})


class Faults:
    """The faults of one bank that are in force."""

    def __init__(self, own: Mapping[str, Check]) -> None:
        self._checks = {**COMMON, **own}
        self._set: dict[str, Any] = {}
        self._let_in: deque[float] = deque()

    def problems(self, wanted: Any) -> list[str]:
        if not isinstance(wanted, dict):
            return ["not an object"]
        unknown = [f"unknown fault {name}" for name in wanted if name not in self._checks]
        wrong = [
            f"wrong value for {name}"
            for name, value in wanted.items()
            if name in self._checks and not self._checks[name](value)
        ]
        return unknown + wrong

    def replace(self, wanted: Mapping[str, Any]) -> list[str]:
        """Put these in force instead of what was; returns the one-off faults to do now."""
        self._set = {
            name: dict(value) if isinstance(value, dict) else value
            for name, value in wanted.items()
            if name not in ONE_OFF
        }
        self._let_in.clear()
        return [name for name in wanted if name in ONE_OFF and wanted[name]]

    def in_force(self) -> dict[str, Any]:
        return dict(self._set)

    def __contains__(self, name: str) -> bool:
        return name in self._set

    def get(self, name: str, default: Any = None) -> Any:
        return self._set.get(name, default)

    def over_rate(self, name: str) -> float:
        """How many seconds one more has to wait; nought lets it in, and only those let in count."""
        rate = self._set.get(name)
        if rate is None:
            return 0
        now, minute = time.monotonic(), float(rate.get("minute_lasts", 60))
        while self._let_in and self._let_in[0] + minute <= now:
            self._let_in.popleft()
        if len(self._let_in) >= rate["per_minute"]:
            return self._let_in[0] + minute - now
        self._let_in.append(now)
        return 0

    def take(self, name: str, path: str = "") -> dict[str, Any] | None:
        """One use of a fault that counts down; None when it is not in force."""
        value = self._set.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            return {name: value}
        if value.get("path_contains", "") not in path:
            return None
        if "times" in value:
            if value["times"] <= 1:
                del self._set[name]
            if value["times"] <= 0:
                return None
            value["times"] -= 1
        return value
