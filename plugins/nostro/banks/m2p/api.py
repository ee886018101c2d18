"""M2P's wallets and their transactions, by entity."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from nostro.call import Caller
from nostro.errors import ConfigurationError
from nostro.money import Money, currency_by_number, exponent, from_decimal
from nostro.reading import day_in, direction, documented, instant, optional_text, rows_of, text, until_empty, within
from nostro.values import Account, Balance, CreditDebit, EntryStatus, StatementEntry
from nostro.wire import dig

ZONE = "Asia/Kolkata"
_BALANCE = "/prepaid/customer/v1/wallets/balance"
_TRANSACTIONS = "/prepaid/customer/v1/transactions/fetch-all"
_PAGE = 100
_SIDES: dict[str, CreditDebit] = {
    "C": "CRDT",
    "CR": "CRDT",
    "CREDIT": "CRDT",
    "D": "DBIT",
    "DR": "DBIT",
    "DEBIT": "DBIT",
}
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class M2pApi:
    caller: Caller
    entity_ids: tuple[str, ...]

    def probe(self) -> None:
        for entity_id in self.entity_ids[:1]:  # without entities there is no call that only reads and names nobody
            self._wallets(entity_id)

    def accounts(self) -> Iterator[Account]:
        """The wallets of the connection's entities. Raises ConfigurationError if it names none."""
        if not self.entity_ids:
            raise self._entities_error("it is empty, and no call of M2P's lists accounts", "list the entities' ids")
        for entity_id in self.entity_ids:
            for _, account in self._wallets(entity_id):
                yield account

    def statement_entries(
        self, account_id: str, start: date, end: date, include_pending: bool
    ) -> Iterator[StatementEntry]:
        """Asks for a day more on either side: the bank's filter may cut days in another zone than its books."""
        body = {
            "entityId": self._entity_of(account_id),
            "accountId": account_id,
            "fromDate": f"{start - _DAY:%d-%m-%Y}",
            "toDate": f"{end + _DAY:%d-%m-%Y}",
        }
        return within(self._entries(account_id, body), start, end, include_pending)

    def _wallets(self, entity_id: str) -> list[tuple[str, Account]]:
        answer = self.caller.search(_BALANCE, {"entityId": entity_id})
        with documented(self.caller, _BALANCE):
            result = answer["result"]
            wallets = rows_of(result if isinstance(result, list) else [result])
            return [(entity_id, _account(wallet)) for wallet in wallets]

    def _entity_of(self, account_id: str) -> str:
        if len(self.entity_ids) == 1:
            return self.entity_ids[0]
        for entity_id in self.entity_ids:
            if any(account.account_id == account_id for _, account in self._wallets(entity_id)):
                return entity_id
        reason = f"none of these entities has the account '{account_id}'"
        raise self._entities_error(reason, "add the entity that it belongs to")

    def _entities_error(self, reason: str, advice: str) -> ConfigurationError:
        return ConfigurationError(conn_id=self.caller.conn_id, field="entity_ids", reason=reason, advice=advice)

    def _entries(self, account_id: str, body: dict[str, str]) -> Iterator[StatementEntry]:
        for row in self._rows(body):
            with documented(self.caller, _TRANSACTIONS):
                entry = _entry(row, account_id)
            if entry:
                yield entry

    def _rows(self, body: dict[str, str]) -> Iterator[dict[str, Any]]:
        """`pagination` may be null, also amid answers that have one; then only an empty page ends."""
        pages: list[int] = []

        def page(number: int, skipped: int) -> list[dict[str, Any]]:
            if pages and number >= pages[-1]:
                return []
            answer = self.caller.search(_TRANSACTIONS, body, {"pageNo": number, "pageSize": _PAGE})
            with documented(self.caller, _TRANSACTIONS):
                if (stated := dig(answer, ["pagination", "totalPages"])) is not None:
                    pages.append(int(stated))
                return rows_of(answer["result"] or [])

        return until_empty(self.caller, _TRANSACTIONS, page, lambda: _PAGE)


def _account(wallet: dict[str, Any]) -> Account:
    currency = text(wallet, "currency")
    balance = from_decimal(wallet["balance"], currency)
    return Account(
        account_id=text(wallet, "accountId"),
        currency=currency,
        status=optional_text(wallet.get("status")) or "",
        balances=(Balance("ITAV", balance),),
    )


def _entry(row: dict[str, Any], account_id: str) -> StatementEntry | None:
    if str(row.get("accountId") or account_id) != account_id or row["transactionStatus"] == "FAILURE":
        return None
    status: EntryStatus = "BOOK" if row["transactionStatus"] == "SUCCESS" else "PDNG"
    currency = _currency(row)
    amount = from_decimal(row["amount"], currency)
    made = instant(row["time"])
    return StatementEntry(
        entry_key=text(row, "externalTransactionId"),
        account_id=account_id,
        booking_date=day_in(ZONE, made),
        value_date=None,
        credit_debit=direction(row.get("crDr"), _SIDES, amount.minor),
        amount=Money(abs(amount.minor), currency),
        exponent=exponent(currency),
        status=status,
        end_to_end_id=optional_text(row.get("txnRef")),
        booked_at=made,
        bank_transaction_code=f"{row.get('transactionType') or ''}/{row.get('txnOrigin') or ''}",
        counterparty_name=optional_text(row.get("merchantName")),
        remittance_information=optional_text(row.get("description")),
    )


def _currency(row: dict[str, Any]) -> str:
    """By the letter code, or by ISO 4217's number where the name is a name indeed."""
    name = optional_text(row.get("transactionCurrencyCodeName")) or ""
    if re.fullmatch(r"[A-Z]{3}", name):
        return name
    return currency_by_number(text(row, "transactionCurrencyCode"))
