"""Banking Circle's accounts and the bookings on them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from nostro.call import Caller
from nostro.money import Money, exponent, from_decimal
from nostro.reading import direction, distinct, documented, optional_text, rows_of, text, until_empty, within
from nostro.values import Account, Balance, CreditDebit, EntryStatus, StatementEntry
from nostro.wire import dig

_ACCOUNTS, _BOOKINGS = "/api/v1/accounts", "/api/v3/bookings"
_ACCOUNT_PAGE, _BOOKING_PAGE = 100, 1000
_STATUS: Mapping[str, EntryStatus | None] = {
    "pendingprocessing": "PDNG",
    "pending": "PDNG",
    "missingfunding": "PDNG",
    "rejected": None,
    "cancelled": None,
}
_SIDES: Mapping[str, CreditDebit] = {"CRDT": "CRDT", "DBIT": "DBIT"}


@dataclass(frozen=True, slots=True)
class BankingCircleApi:
    caller: Caller

    def probe(self) -> None:
        self.caller.get(_ACCOUNTS, {"PageNumber": 1, "PageSize": 1})

    def accounts(self) -> Iterator[Account]:
        for row in self._rows(_ACCOUNTS, {}, _ACCOUNT_PAGE, lambda row: text(row, "accountId")):
            with documented(self.caller, _ACCOUNTS):
                account = _account(row)
            yield account

    def statement_entries(
        self, account_id: str, start: date, end: date, include_pending: bool
    ) -> Iterator[StatementEntry]:
        params = {"AccountId": account_id, "DateFrom": start.isoformat(), "DateTo": end.isoformat()}
        return within(self._entries(account_id, params), start, end, include_pending)

    def _entries(self, account_id: str, params: dict[str, str]) -> Iterator[StatementEntry]:
        for row in self._rows(_BOOKINGS, params, _BOOKING_PAGE, lambda row: text(row, "bookingId")):
            with documented(self.caller, _BOOKINGS):
                entry = _entry(row, account_id)
            if entry:
                yield entry

    def _rows(
        self, path: str, params: dict[str, str], size: int, key: Callable[[dict[str, Any]], str]
    ) -> Iterator[dict[str, Any]]:
        used = [size]

        def page(number: int, skipped: int) -> list[dict[str, Any]]:
            answer = self.caller.get(path, {**params, "PageNumber": number + 1, "PageSize": size})
            with documented(self.caller, path):
                used.append(int(dig(answer, ["pageInfo", "pageSize"]) or size))
                return rows_of(answer["result"])

        with documented(self.caller, path):
            yield from distinct(until_empty(self.caller, path, page, lambda: used[-1]), key)


def _account(row: dict[str, Any]) -> Account:
    ibans = row.get("ibans") or []
    identifiers = row.get("accountIdentifiers") or []
    return Account(
        account_id=text(row, "accountId"),
        currency=text(row, "currency"),
        name=optional_text(row.get("accountDescription")) or "",
        iban=optional_text(ibans[0])
        if ibans
        else optional_text(dig(identifiers[0], ["account"]) if identifiers else None),
        status=optional_text(row.get("status")) or "",
        balances=tuple(map(_balance, row.get("balances") or [])),
    )


def _balance(row: dict[str, Any]) -> Balance:
    """The day's opening balance and what moved since."""
    currency = text(row, "currency")
    parts = (from_decimal(row.get(name) or 0, currency) for name in ("beginOfDayAmount", "intraDayAmount"))
    return Balance("ITBD", Money(sum(part.minor for part in parts), currency))


def _entry(row: dict[str, Any], account_id: str) -> StatementEntry | None:
    status = _STATUS.get(str(row.get("status") or "").replace(" ", "").lower(), "BOOK")  # a booking is booked
    if status is None or str(row.get("accountId") or account_id) != account_id:
        return None
    amount = from_decimal(row["amount"]["amount"], text(row["amount"], "currency"))
    return StatementEntry(
        entry_key=text(row, "bookingId"),
        account_id=account_id,
        booking_date=_day(row.get("bookingDate") or row["transactionDate"]),
        value_date=_day(row["valueDate"]) if row.get("valueDate") else None,
        credit_debit=direction(row.get("creditDebitIndicator"), _SIDES, amount.minor),
        amount=Money(abs(amount.minor), amount.currency),
        exponent=exponent(amount.currency),
        status=status,
        end_to_end_id=optional_text(row.get("endToEndId")),
        counterparty_name=optional_text(row.get("counterpartyName")),
        counterparty_account=optional_text(dig(row, ["counterpartyAccount", "account"])),
        remittance_information=optional_text(row.get("details")),
    )


def _day(value: str) -> date:
    """The bank writes a day as a time at midnight; one at another hour is some other zone's, and counts in UTC."""
    parsed = datetime.fromisoformat(value)
    return (parsed if parsed.time() == time() or parsed.tzinfo is None else parsed.astimezone(UTC)).date()
