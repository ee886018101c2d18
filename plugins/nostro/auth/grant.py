"""How a bank gives tokens (RFC 6749 4 and 6): what a bank's `auth` module offers to the token source."""

from collections.abc import Callable
from dataclasses import dataclass

from nostro.auth.tokens import Token


@dataclass(frozen=True, slots=True)
class Grant:
    """`login` asks with the credentials, `refresh` with the given token's refresh token, where the bank has one.

    Both raise AuthError or UnexpectedAnswer. They are called by one worker at a time in the whole fleet.
    """

    login: Callable[[], Token]
    refresh: Callable[[Token], Token] | None = None
