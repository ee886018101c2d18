"""The values that all banks are translated into, in ISO 20022's words.

Between tasks travel ids, paths and plain dicts; these stay within a task.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from nostro.money import Money

CreditDebit = Literal["CRDT", "DBIT"]
EntryStatus = Literal["BOOK", "PDNG", "INFO"]
PayoutState = Literal["ACCEPTED", "PENDING", "PAID", "REJECTED", "RETURNED", "REVIEW"]


@dataclass(frozen=True, slots=True)
class Balance:
    """`type` is ISO 20022's: CLBD (booked), CLAV or ITAV (available). `amount` may be negative."""

    type: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Account:
    """An account at the bank: ours there, hence nostro.

    `currency` is "XXX" (ISO 4217's "no currency") for a wallet that holds several assets; its balances tell which.
    """

    account_id: str
    currency: str
    name: str = ""
    iban: str | None = None
    status: str = ""
    balances: tuple[Balance, ...] = ()


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """One line of a statement (camt.053 `Ntry`).

    `entry_key` is the bank's own identity of the entry, unique within the account. `amount` is never negative: it is
    the change of this account's balance, `credit_debit` its direction. `booking_date` is the execution date in the
    bank's zone, `booked_at` the instant where the bank tells it (aware). `exponent` is the number of decimals in force.
    """

    entry_key: str
    account_id: str
    booking_date: date
    value_date: date | None
    credit_debit: CreditDebit
    amount: Money
    status: EntryStatus
    end_to_end_id: str | None = None
    exponent: int = field(kw_only=True)
    booked_at: datetime | None = None
    bank_transaction_code: str = ""
    counterparty_name: str | None = None
    counterparty_account: str | None = None
    remittance_information: str | None = None


@dataclass(frozen=True, slots=True)
class Creditor:
    """Who is paid. `bank_reference` is the bank's own id of a registered creditor, where it wants one.

    `account` is an IBAN or the bank's own form, `agent` a BIC, `country` ISO 3166's two letters.
    """

    name: str
    account: str | None = None
    agent: str | None = None
    country: str | None = None
    bank_reference: str | None = None


@dataclass(frozen=True, slots=True)
class Payout:
    """One credit transfer (pain.001 `CdtTrfTxInf`). `end_to_end_id`, up to 35 characters, is its identity."""

    end_to_end_id: str
    amount: Money
    debtor_account: str
    creditor: Creditor
    remittance_information: str = ""


@dataclass(frozen=True, slots=True)
class PayoutReport:
    """What became of a payout. ACCEPTED: the bank took it; PENDING: it waits, or its status is not one we know."""

    state: PayoutState
    bank_reference: str | None = None
    reason: str | None = None
