"""MANGOPAY's wallets, their transactions, and bank-wire payouts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import httpx

from nostro.banks.mangopay.auth import pending_user_action
from nostro.call import Caller
from nostro.errors import UserActionPending
from nostro.money import Money, exponent
from nostro.reading import (
    EXECUTION_HORIZON,
    day_in,
    distinct,
    documented,
    instant,
    midnight,
    optional_text,
    rows_of,
    segment,
    text,
    until_empty,
    whole,
    within,
)
from nostro.values import Account, Balance, CreditDebit, EntryStatus, StatementEntry
from nostro.wire import operation

ZONE = "Europe/Luxembourg"  # MANGOPAY is a Luxembourg institution; its API gives instants
_PAGE = 100
_STATUS: Mapping[str, EntryStatus | None] = {
    "SUCCEEDED": "BOOK",
    "CREATED": "PDNG",
    "FAILED": None,  # it never moved money
}


@dataclass(frozen=True, slots=True)
class MangopayApi:
    caller: Caller
    client_id: str

    def probe(self) -> None:
        self.read("/users", {"page": 1, "per_page": 1})

    def accounts(self) -> Iterator[Account]:
        """The users' wallets."""
        for user in self._rows("/users"):
            with documented(self.caller, self.path("/users")):
                path = f"/users/{segment(text(user, 'Id'))}/wallets"
            for wallet in self._rows(path):
                with documented(self.caller, self.path(path)):
                    account = _account(wallet)
                yield account

    def statement_entries(
        self, account_id: str, start: date, end: date, include_pending: bool
    ) -> Iterator[StatementEntry]:
        path = f"/wallets/{segment(account_id)}/transactions"
        params = {
            "Sort": "CreationDate:ASC",
            "AfterDate": int((midnight(ZONE, start) - EXECUTION_HORIZON).timestamp()) - 1,
            "BeforeDate": int(midnight(ZONE, end + timedelta(days=1)).timestamp()) + 1,
        }
        return within(self._entries(account_id, path, params), start, end, include_pending)

    def _entries(self, account_id: str, path: str, params: dict[str, Any]) -> Iterator[StatementEntry]:
        for row in self._rows(path, params):
            with documented(self.caller, self.path(path)):
                entries = _entries_of(row, account_id)
            yield from entries

    def _rows(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        pages: list[int] = []

        def page(number: int, skipped: int) -> list[dict[str, Any]]:
            if pages and number >= pages[-1]:
                return []
            response = self.read(path, {"page": number + 1, "per_page": _PAGE, **(params or {})})
            with documented(self.caller, self.path(path)):
                if stated := response.headers.get("x-number-of-pages"):
                    pages.append(int(stated))  # the latest counts: there may be more by now
                return rows_of(self.caller.json(response))

        return distinct(until_empty(self.caller, self.path(path), page, lambda: _PAGE), lambda row: str(row.get("Id")))

    def read(self, path: str, params: Mapping[str, Any] | None = None) -> httpx.Response:
        """The answer of a GET, if it is a success. Raises UserActionPending or what Caller raises."""
        return self.checked(self.caller.answer("GET", self.path(path), params=params))

    def checked(self, response: httpx.Response) -> httpx.Response:
        """`response` if it is a success. Raises UserActionPending where a wallet's owner has to confirm first."""
        if pending_user_action(response):
            advice = "have the wallet's owner confirm by strong customer authentication; it lasts 180 days"
            shown = operation(response.request)
            raise self.caller.error(UserActionPending, shown, "PendingUserAction", advice, response)
        return self.caller.checked(response)

    def path(self, path: str) -> str:
        return f"/v2.01/{self.client_id}{path}"


def _account(wallet: dict[str, Any]) -> Account:
    balance = wallet["Balance"]
    currency = text(balance, "Currency")
    exponent(currency)  # an unknown currency is an error here, not a wrong amount later
    return Account(
        account_id=text(wallet, "Id"),
        currency=text(wallet, "Currency"),
        name=optional_text(wallet.get("Description")) or "",
        status=optional_text(wallet.get("FundsType")) or "",
        balances=(Balance("ITBD", Money(whole(balance, "Amount"), currency)),),
    )


def _entries_of(row: dict[str, Any], account_id: str) -> list[StatementEntry]:
    """The entries that a transaction makes on this wallet: its wallets tell the side, whatever its Type says."""
    status = _STATUS.get(row["Status"], "PDNG")  # a status not known yet is not final
    if status is None:
        return []
    sides: list[tuple[CreditDebit, str, str]] = []
    if row.get("CreditedWalletId") == account_id:
        sides.append(("CRDT", "CreditedFunds", ""))
    if row.get("DebitedWalletId") == account_id:
        sides.append(("DBIT", "DebitedFunds", "-debit" if sides else ""))
    return [_entry(row, account_id, status, *side) for side in sides]


def _entry(
    row: dict[str, Any], account_id: str, status: EntryStatus, side: CreditDebit, funds: str, suffix: str
) -> StatementEntry:
    executed = instant(row["CreationDate"] if row.get("ExecutionDate") is None else row["ExecutionDate"])
    currency = text(row[funds], "Currency")
    return StatementEntry(
        entry_key=text(row, "Id") + suffix,
        account_id=account_id,
        booking_date=day_in(ZONE, executed),
        value_date=None,
        credit_debit=side,
        amount=Money(abs(whole(row[funds], "Amount")), currency),
        exponent=exponent(currency),
        status=status,
        end_to_end_id=optional_text(row.get("Tag")),
        booked_at=executed,
        bank_transaction_code=f"{row.get('Type', '')}/{row.get('Nature', '')}",
        remittance_information=optional_text(row.get("ResultMessage")),
    )
