"""Mbanq's savings accounts and their transactions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any

import httpx

from nostro.banks.mbanq.second_factor import verification_ended
from nostro.call import Caller
from nostro.errors import Rejected
from nostro.money import Money, exponent, from_decimal
from nostro.reading import distinct, documented, optional_text, rows_of, segment, text, within
from nostro.values import Account, Balance, CreditDebit, EntryStatus, StatementEntry
from nostro.wire import dig

_PAGE = 200
_MONTHS = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
]  # English, whatever the worker's locale
_STATUS: Mapping[str, EntryStatus | None] = {"PROCESSED": "BOOK", "PROCESSING": "PDNG", "REJECTED": None}
# Apache Fineract's SavingsAccountTransactionType, on which Mbanq's numbers rest.
_CREDITS = frozenset({1, 3, 8, 24})  # deposit, interest, dividend, charge reversal
_DEBITS = frozenset({2, 4, 5, 7, 16, 17, 18, 19, 25})  # withdrawal, fees, write-off, overdraft interest, tax, ...
# Waived charges, account hand-overs, holds and releases, accruals, fund allocations: no booked balance moves.
_NO_MOVE = frozenset({6, 12, 13, 14, 15, 20, 21, 22, 23, 30, 31})


@dataclass(frozen=True, slots=True)
class MbanqApi:
    caller: Caller

    def probe(self) -> None:
        """RESTRICTED says that the token is good and the second factor due; and not every release has the details."""
        response = self.caller.answer("GET", "/v1/userdetails")
        if not verification_ended(response) and response.status_code != httpx.codes.NOT_FOUND:
            self.caller.checked(response)

    def accounts(self) -> Iterator[Account]:
        """All clients' savings accounts."""
        for client in self._rows("/v1/clients", {}):
            with documented(self.caller, "/v1/clients"):
                path = f"/v1/clients/{segment(text(client, 'id'))}/accounts"
            overview = self.caller.get(path)
            with documented(self.caller, path):
                ids = [text(row, "id") for row in rows_of(overview.get("savingsAccounts") or [])]
            for account_id in ids:
                yield self._account(account_id)

    def statement_entries(
        self, account_id: str, start: date, end: date, include_pending: bool
    ) -> Iterator[StatementEntry]:
        pending = self._pending(account_id) if include_pending else ()
        entries = chain(self._entries(account_id, start, end), pending)
        return within(entries, start, end, include_pending)

    def _account(self, account_id: str) -> Account:
        path = f"/v1/savingsaccounts/{segment(account_id)}"
        row = self.caller.get(path)
        with documented(self.caller, path):
            currency = text(row["currency"], "code")
            summary = row["summary"]
            amounts = (("ITBD", summary.get("accountBalance")), ("ITAV", summary.get("availableBalance")))
            return Account(
                account_id=account_id,
                currency=currency,
                name=optional_text(row.get("accountNo")) or "",
                status=optional_text(dig(row, ["status", "value"])) or "",
                balances=tuple(Balance(kind, from_decimal(a, currency)) for kind, a in amounts if a is not None),
            )

    def _entries(self, account_id: str, start: date, end: date) -> Iterator[StatementEntry]:
        path = f"/v1/savingsaccounts/{segment(account_id)}/transactions"
        params = {"showEnrichedTransactions": "true", "startDate": _written(start), "endDate": _written(end)}
        currency = ""
        for row in self._rows(path, params):
            with documented(self.caller, path):
                own = _currency(row)
            if own is None and not currency:
                currency = self._account(account_id).currency
            with documented(self.caller, path):
                entry = _entry(row, account_id, own or currency)
            if entry:
                yield entry

    def _pending(self, account_id: str) -> Iterator[StatementEntry]:
        """What is under way, which the bank lists apart; its rows name no currency, so the account's is asked for."""
        path = f"/v1/savingsaccounts/{segment(account_id)}/pendingTransaction"
        currency = self._account(account_id).currency
        try:
            for row in self._rows(path, {}):
                with documented(self.caller, path):
                    entry = _pending_entry(row, account_id, currency)
                yield entry
        except Rejected as rejected:
            if rejected.fields["status"] != httpx.codes.NOT_FOUND:  # not every release has this list
                raise

    def _rows(self, path: str, params: dict[str, str]) -> Iterator[dict[str, Any]]:
        return distinct(self._all_rows(path, params), lambda row: str(row.get("id")))

    def _all_rows(self, path: str, params: dict[str, str]) -> Iterator[dict[str, Any]]:
        offset, total = 0, 1
        while offset < total:
            answer = self.caller.get(path, {"offset": offset, "limit": _PAGE, **params})
            with documented(self.caller, path):
                rows = rows_of(answer["pageItems"])
                total = int(answer["totalFilteredRecords"])
            if not rows and offset < total:
                raise self.caller.unexpected(path, "an empty page before the last row")
            yield from rows
            offset += len(rows)


def _currency(row: dict[str, Any]) -> str | None:
    """The row's currency, an object or its code; None where the row leaves it to the account."""
    value = row.get("currency")
    code = value["code"] if isinstance(value, dict) else value
    if code is not None and not isinstance(code, str):
        raise TypeError("currency")
    return code or None


def _entry(row: dict[str, Any], account_id: str, currency: str) -> StatementEntry | None:
    """The entry of a transaction; None where no booked balance moved.

    A reversed transaction and its reversal both count for nothing in the balance (Fineract zeroes the two).
    """
    status = _STATUS.get(_word(row.get("status")) or "PROCESSED", "PDNG")
    kind = _kind(row["transactionType"])
    side = _side(kind)
    if status is None or side is None or row.get("reversed") is True or row.get("isReversal") is True:
        return None
    transfer = row.get("transfer") or row.get("transferData") or {}
    party = transfer.get("debtor" if side == "CRDT" else "creditor")
    return StatementEntry(
        entry_key=text(row, "id"),
        account_id=account_id,
        booking_date=_day(row.get("bookingDate") or row["date"]),
        value_date=_day(transfer["valueDate"]) if transfer.get("valueDate") else None,
        credit_debit=side,
        amount=Money(abs(from_decimal(row["amount"], currency).minor), currency),
        exponent=exponent(currency),
        status=status,
        end_to_end_id=_reference(row, transfer),
        bank_transaction_code=optional_text(kind.get("code")) or "",
        counterparty_name=optional_text(dig(party, ["name"])),
        counterparty_account=optional_text(dig(party, ["identifier"])),
        remittance_information=_remittance(row, transfer),
    )


def _pending_entry(row: dict[str, Any], account_id: str, currency: str) -> StatementEntry:
    transfer = row.get("transfer") or {}
    side: CreditDebit = "CRDT" if row["type"] == "CREDIT" else "DBIT"
    return StatementEntry(
        entry_key=text(row, "id"),
        account_id=account_id,
        booking_date=_day(row.get("createdAt") or row["valueDate"]),
        value_date=_day(row["valueDate"]) if row.get("valueDate") else None,
        credit_debit=side,
        amount=Money(abs(from_decimal(row["amount"], currency).minor), currency),
        exponent=exponent(currency),
        status="PDNG",
        end_to_end_id=_reference(row, transfer),
        bank_transaction_code=optional_text(row.get("typeOf")) or "",
        counterparty_name=optional_text(dig(transfer, ["debtor" if side == "CRDT" else "creditor", "name"])),
        remittance_information=_remittance(row, transfer),
    )


def _word(value: Any) -> str:
    """An enumerated value in upper case: Fineract writes some as text, some as {"id", "code", "value"}."""
    if isinstance(value, dict):
        value = value.get("value") or str(value.get("code") or "").rpartition(".")[2]
    return str(value or "").upper()


def _kind(value: Any) -> dict[str, Any]:
    """A transaction type as an object, from the object itself, its number or its name."""
    if isinstance(value, dict):
        return value if value.get("code") else {**value, "code": _word(value)}
    return {"id": value} if isinstance(value, int) else {"code": str(value)}


def _side(kind: dict[str, Any]) -> CreditDebit | None:
    """The direction of a transaction type; None if it moves nothing. `transfer.type` is the payment's, not this."""
    number = kind.get("id")
    if number in _NO_MOVE:
        return None
    if isinstance(kind.get("isDebit"), bool):
        return "DBIT" if kind["isDebit"] else "CRDT"
    if kind.get("deposit") is True or number in _CREDITS:
        return "CRDT"
    if kind.get("withdrawal") is True or number in _DEBITS:
        return "DBIT"
    code = text(kind, "code").replace(" ", "").replace("_", "").lower()
    if code.endswith(("deposit", "interestposting", "dividendpayout")):
        return "CRDT"
    if code.endswith(("withdrawal", "withdrawalfee", "annualfee", "paycharge")):
        return "DBIT"
    raise ValueError("a transaction of unknown type")


def _reference(row: dict[str, Any], transfer: dict[str, Any]) -> str | None:
    """The payer's own reference, wherever the bank keeps it."""
    candidates = (transfer.get("externalId"), row.get("externalId"), transfer.get("correlationId"))
    return next(filter(None, map(optional_text, candidates)), None)


def _remittance(row: dict[str, Any], transfer: dict[str, Any]) -> str | None:
    noted = optional_text(dig(row, ["paymentDetailData", "reference"])) or optional_text(row.get("note"))
    return _first_text(transfer.get("reference")) or noted


def _first_text(value: Any) -> str | None:
    if isinstance(value, list):
        return " ".join(filter(None, map(optional_text, value))) or None
    return optional_text(value)


def _day(value: Any) -> date:
    """A day in any of the bank's three shapes: "2024-01-31", [2024, 1, 31], {"date": [2024, 1, 31], "time": {...}}."""
    if isinstance(value, dict):
        value = value["date"]
    if isinstance(value, list):
        year, month, day = value[:3]
        return date(year, month, day)
    return date.fromisoformat(value[:10])


def _written(day: date) -> str:
    """A day as the bank's filters want it: 31 Jan 2024."""
    return f"{day.day:02d} {_MONTHS[day.month - 1]} {day.year}"
