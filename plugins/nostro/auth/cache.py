"""What all token sources of a process share: its memory, nostro's database, the keys."""

import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from nostro.auth.codes import Codes
from nostro.auth.failures import Failures
from nostro.auth.seal import Seal
from nostro.auth.store import TokenStore
from nostro.auth.tokens import Token
from nostro.clock import utc_now
from nostro.database.database import Database
from nostro.errors import SecondFactorDue

# Longer than a token request may take (wire.TOKEN_SECONDS), so that who waits sees the holder's outcome.
WAIT_SECONDS = 60.0
_THREADS = "nostro renews "


def in_thread(work: Callable[[], None], name: str) -> None:
    """Do `work` beside the caller. Not as a daemon: a refresh that is cut off costs a login."""
    threading.Thread(target=work, name=f"{_THREADS}{name}", daemon=False).start()


def finish_renewals(seconds: float) -> None:
    """Wait for what `in_thread` has begun: for processes that end without waiting for their threads."""
    for thread in threading.enumerate():
        if thread.name.startswith(_THREADS):
            thread.join(seconds)


@dataclass(eq=False)
class TokenCache:
    """One for all connections of a database.

    `mask` is called with each secret that is handed out. `due` is raised where a person has to hand in a code. `beside`
    does work that nobody waits for.
    """

    database: Database
    seal: Seal
    mask: Callable[[str], None] = lambda secret: None
    now: Callable[[], datetime] = utc_now
    due: type[SecondFactorDue] = SecondFactorDue
    beside: Callable[[Callable[[], None], str], None] = in_thread
    wait_seconds: float = WAIT_SECONDS

    def __post_init__(self) -> None:
        self.store = TokenStore(self.database, self.seal, self.now)
        self.failures = Failures(self.database, self.now)
        self.codes = Codes(self.database, self.seal, self.now)
        self.forget()
        _caches.add(self)

    def forget(self) -> None:
        """After a fork: what the parent knew may be old by the time it is used, and its threads are not here."""
        self.memory: dict[str, Token] = {}
        self.renewing: set[str] = set()  # identities; set operations are atomic enough: twice is no harm


_caches: weakref.WeakSet[TokenCache] = weakref.WeakSet()


def _forget() -> None:
    for cache in _caches:
        cache.database.forget()
        cache.forget()


os.register_at_fork(after_in_child=_forget)
