"""Where sealed tokens are kept, found by any of a connection's identities."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from nostro.auth.seal import Seal
from nostro.auth.tokens import Token
from nostro.clock import utc_now
from nostro.database.database import Database
from nostro.database.schema import SEAL, TOKEN
from nostro.errors import SealBroken

# Long enough for any refresh token; a row that nobody renewed for so long belongs to credentials no longer in use.
_KEEP = timedelta(days=30)


@dataclass
class TokenStore:
    """Tokens in `database`, sealed by `seal`. A connection has one identity per seal key, the sealing key's first."""

    database: Database
    seal: Seal
    now: Callable[[], datetime] = utc_now
    _keys_fit: int = field(default=-1, repr=False)  # which making of the database they were compared with

    def load(self, identities: Sequence[str]) -> Token | None:
        """The token now in force; None if there is none. Raises SealBroken if this process's keys are foreign ones."""
        query = sa.select(TOKEN).where(TOKEN.c.identity.in_(identities)).order_by(TOKEN.c.updated_at.desc())
        row = self.database.first(query)
        if row is None:
            self._compare_keys()
            return None
        token = self.seal.open(row.sealed, identities, what="A token in nostro's store")
        if row.identity != identities[0]:
            self._seal_again(row, identities, token)
        return replace(token, generation=row.generation)

    def save(self, identities: Sequence[str], token: Token, *, replaces: int) -> Token | None:
        """Keep `token`, durably, in place of generation `replaces`; 0 if there is none.

        Gives `token` with its generation; None if another worker has replaced that generation already.
        """
        self._compare_keys()
        kept = replace(token, generation=replaces + 1)
        mine = TOKEN.c.identity.in_(identities)
        with self.database.begin() as connection:
            if replaces:
                won = connection.execute(sa.delete(TOKEN).where(mine & (TOKEN.c.generation == replaces))).rowcount > 0
                if won:  # of two rows, one for each ring in use while keys are changed, the other is older
                    connection.execute(sa.delete(TOKEN).where(mine))
                    connection.execute(sa.insert(TOKEN).values(self._row(identities[0], kept)))
            else:
                insert = self.database.insert(TOKEN).values(self._row(identities[0], kept)).on_conflict_do_nothing()
                won = connection.execute(insert.returning(TOKEN.c.generation)).first() is not None
            connection.execute(sa.delete(TOKEN).where(TOKEN.c.updated_at < self._naive_now() - _KEEP))
        # Committed: from here on a crash loses nothing, whoever comes next finds the new token.
        return kept if won else None

    def check_writable(self) -> None:
        """Raise StoreUnavailable or SettingError rather than let a login be made whose token could not be kept."""
        self._compare_keys()
        with self.database.begin() as connection:
            connection.execute(sa.update(SEAL).values(id=SEAL.c.id))

    def _row(self, identity: str, token: Token) -> dict[str, Any]:
        return {
            "identity": identity,
            "generation": token.generation,
            "sealed": self.seal.seal(identity, token),
            "updated_at": self._naive_now(),
        }

    def _naive_now(self) -> datetime:
        return self.now().replace(tzinfo=None)

    def _seal_again(self, row: sa.Row[Any], identities: Sequence[str], token: Token) -> None:
        """Put a token that an older key sealed under the newest one, so that the older can leave the ring."""
        self._compare_keys()
        found = (TOKEN.c.identity == row.identity) & (TOKEN.c.generation == row.generation)
        older = TOKEN.c.identity.in_(identities) & (TOKEN.c.updated_at <= row.updated_at)
        moved = self._row(identities[0], replace(token, generation=row.generation))
        with self.database.begin() as connection:
            if connection.execute(sa.delete(TOKEN).where(found)).rowcount:  # else another process has just done it
                connection.execute(sa.delete(TOKEN).where(older))
                connection.execute(self.database.insert(TOKEN).values(moved).on_conflict_do_nothing())

    def _compare_keys(self) -> None:
        """Once per process and database: refuse to work beside processes that hold other keys."""
        self.database.prepare()
        if self._keys_fit == self.database.makings:
            return
        with self.database.begin() as connection:
            first = self.database.insert(SEAL).values(id=1, check_value=self.seal.check_value())
            connection.execute(first.on_conflict_do_nothing())
            check_value = connection.execute(sa.select(SEAL.c.check_value)).scalar_one()
            if not self.seal.fits(check_value):
                raise SealBroken(
                    what="nostro's store",
                    advice="give this process the same [nostro] seal_keys as the others (a worker may hold an Airflow "
                    "Fernet key of its own), or empty the store if the keys are lost: tokens can be asked for again",
                )
            if not self.seal.is_current(check_value):
                # The newest key takes over, so that the older ones can leave the ring later.
                connection.execute(sa.update(SEAL).values(check_value=self.seal.check_value()))
        self._keys_fit = self.database.makings
