"""The access token as callers see it, and the token as the store keeps it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

_REFUSAL = "an access token is not serialized, so that it never lies in clear in XCom; pass get_sealed_token() on"


class AccessToken:
    """The access token now in force: `value` and the aware `expires_at`.

    Its repr and str hide the value; pickle, JSON and Airflow's serialization of it raise TypeError.
    """

    __slots__ = ("expires_at", "value")

    def __init__(self, value: str, expires_at: datetime) -> None:
        self.value = value
        self.expires_at = expires_at

    def __repr__(self) -> str:
        return f"<AccessToken until {self.expires_at.isoformat()}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(_REFUSAL)

    def serialize(self) -> NoReturn:
        """Refuse Airflow's serde, which asks for this method first."""
        raise TypeError(_REFUSAL)


# The name is all that json, orjson, msgpack and pydantic print of a type they cannot serialize.
AccessToken.__name__ = "AccessToken (pass get_sealed_token() on instead)"


@dataclass(frozen=True, slots=True)
class Token:
    """What a grant gave, as it is kept sealed in the store. All datetimes are aware.

    From `renew_at` on a renewal is welcome; from `spent_at` on the token is not sent any more; `expires_at` is the
    bank's word, a day ahead at most. `notes` are what a bank wants to remember beside it: small strings, no secrets.
    """

    value: str = field(repr=False)
    issued_at: datetime
    renew_at: datetime
    spent_at: datetime
    expires_at: datetime
    refresh_token: str | None = field(default=None, repr=False)
    refresh_expires_at: datetime | None = None
    notes: dict[str, str] = field(default_factory=dict)
    generation: int = 0

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(_REFUSAL)

    def serialize(self) -> NoReturn:
        """Refuse Airflow's serde, which would write a dataclass's fields in clear."""
        raise TypeError(_REFUSAL)

    def fresh(self, now: datetime) -> bool:
        """Usable, and no renewal is due."""
        return now < self.renew_at

    def usable(self, now: datetime) -> bool:
        return now < self.spent_at
