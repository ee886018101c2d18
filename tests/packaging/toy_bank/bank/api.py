from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from nostro.call import Caller
from nostro.money import Money, from_decimal
from nostro.reading import documented, text, within
from nostro.values import Account, Balance, StatementEntry


@dataclass(frozen=True, slots=True)
class ToyApi:
    caller: Caller

    def probe(self) -> None:
        self.caller.get("/accounts")

    def accounts(self) -> Iterator[Account]:
        for row in self.caller.get("/accounts"):
            with documented(self.caller, "/accounts"):
                balance = Balance("ITBD", from_decimal(row["balance"], row["currency"]))
                account = Account(text(row, "id"), row["currency"], balances=(balance,))
            yield account

    def statement_entries(
        self, account_id: str, start: date, end: date, include_pending: bool
    ) -> Iterator[StatementEntry]:
        return within(self._entries(f"/accounts/{account_id}/entries", account_id), start, end, include_pending)

    def _entries(self, path: str, account_id: str) -> Iterator[StatementEntry]:
        for row in self.caller.get(path):
            with documented(self.caller, path):
                amount = from_decimal(row["amount"], row["currency"])
                entry = StatementEntry(
                    entry_key=text(row, "id"),
                    account_id=account_id,
                    booking_date=date.fromisoformat(row["day"]),
                    value_date=None,
                    credit_debit="DBIT" if amount.minor < 0 else "CRDT",
                    amount=Money(abs(amount.minor), amount.currency),
                    exponent=2,
                    status="BOOK",
                )
            yield entry
