"""Mbanq's rows: three shapes of a date, decimals with six places, errors in Fineract's manner."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from starlette.requests import Request

from nostro_sandbox.books import BOOK, CRDT, FAIL, PDNG, Account, Book, Line, Movement
from nostro_sandbox.wire import JsonObject, WireError, decimal_text, number, query_int

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Mbanq's transaction types: the name in our books to (id, code, value).
_TYPES = {
    "deposit": (1, "savingsAccountTransactionType.deposit", "Deposit"),
    "withdrawal": (2, "savingsAccountTransactionType.withdrawal", "Withdrawal"),
    "interestPosting": (3, "savingsAccountTransactionType.interestPosting", "Interest posting"),
    "feeDeduction": (7, "savingsAccountTransactionType.payCharge", "Pay Charge"),
}
_ACTIVE = {"id": 300, "code": "savingsAccountStatusType.active", "value": "Active", "active": True}
_FLAGS = ("deposit", "withdrawal", "interestPosting", "feeDeduction")


def transaction(book: Book, line: Line) -> JsonObject:
    account, movement = line.account, line.movement
    booked = book.booking_date(movement)
    # Three shapes of one date stand side by side, as Mbanq's rows have them.
    form = (plain_date, date_parts, date_object)[int(movement.key) % 3]
    undone = movement.status == FAIL
    row = {
        "id": int(movement.key),
        "transactionType": transaction_type(movement),
        "accountId": int(account.account_id),
        "accountNo": account.details["account_no"],
        "date": form(booked),
        "bookingDate": form(booked),
        "submittedOnDate": form(booked),
        "currency": currency(account),
        "paymentDetailData": {"id": int(movement.key), "reference": movement.text},
        "amount": decimals(line.amount_minor, account.exponent),
        "runningBalance": decimals(0 if undone else line.balance_after, account.exponent),
        "reversed": undone,
        "isReversal": False,
        "interestedPostedAsOn": False,
    }
    if movement.end_to_end_id is not None:
        row["transfer"] = transfer(book, line)
    return row


def transfer_id(movement: Movement) -> int:
    return 900_000 + int(movement.key)


def transfer(book: Book, line: Line) -> JsonObject:
    movement = line.movement
    theirs = {"identifier": "ACC-77", "name": movement.counterparty, "country": "DE"}
    ours = {"identifier": line.account.details["account_no"], "name": "Nostro Trading", "country": "US"}
    incoming = line.credit_debit == CRDT
    return {
        "id": transfer_id(movement),
        "amount": decimals(line.amount_minor, line.account.exponent),
        "correlationId": movement.details.get("correlation_id", f"corr-{movement.key}"),
        "creditor": ours if incoming else theirs,
        "debtor": theirs if incoming else ours,
        "externalId": movement.end_to_end_id,
        "reference": [movement.text],
        "status": {BOOK: "EXECUTION_SUCCESS", PDNG: "AML_SCREENING", FAIL: "RETURNED"}[movement.status],
        "type": "CREDIT" if incoming else "DEBIT",
        "valueDate": plain_date(book.certain_value_date(movement)),
        "executedAt": plain_date(book.booking_date(movement)),
    }


def pending(book: Book, line: Line) -> JsonObject:
    movement, amount = line.movement, decimals(line.amount_minor, line.account.exponent)
    row = {
        "id": int(movement.key),
        "typeOf": "PENDING_CREDIT" if line.credit_debit == CRDT else "PENDING_DEBIT",
        "type": "CREDIT" if line.credit_debit == CRDT else "DEBIT",
        "valueDate": plain_date(book.certain_value_date(movement)),
        "amount": amount,
        "pendingAmount": amount,
        "createdAt": plain_date(book.booking_date(movement)),
        "manual": False,
        "active": True,
    }
    return {**row, "transfer": transfer(book, line)}


def fineract_error(status: int, message: str, code: str) -> JsonObject:
    detail = {
        "developerMessage": message,
        "defaultUserMessage": message,
        "userMessageGlobalisationCode": code,
        "parameterName": "id",
        "args": [],
    }
    return {
        "developerMessage": message,
        "httpStatusCode": str(status),
        "defaultUserMessage": message,
        "userMessageGlobalisationCode": code,
        "errors": [detail],
    }


def domain_rule_error(message: str, code: str) -> JsonObject:
    """Fineract's answer to what it understood but does not allow: only the inner error says what that is."""
    outer = {
        "developerMessage": "Request was understood but caused a domain rule violation.",
        "defaultUserMessage": "Errors contain reason for domain rule violation.",
        "userMessageGlobalisationCode": "validation.msg.domain.rule.violation",
    }
    return {**fineract_error(403, message, code), **outer}


def page(request: Request, items: Sequence[Any], row: Any = lambda item: item, size: int = 200) -> JsonObject:
    """One page; a limit of nothing or less means all."""
    offset, limit = query_int(request, "offset", 0, low=0), query_int(request, "limit", size)
    found = items[offset : offset + limit] if limit > 0 else items[offset:]
    return {"totalFilteredRecords": len(items), "pageItems": [row(item) for item in found]}


def date_parameter(request: Request, name: str) -> date | None:
    """``dd MMM yyyy`` and nothing else; month names are English whatever the locale."""
    text = request.query_params.get(name)
    if text is None:
        return None
    match = re.fullmatch(r"(\d{2}) ([A-Z][a-z]{2}) (\d{4})", text)
    if match is None or match[2] not in _MONTHS:
        raise WireError(f"The parameter '{name}' is not a date of the form 'dd MMM yyyy'")
    try:
        return date(int(match[3]), _MONTHS.index(match[2]) + 1, int(match[1]))
    except ValueError:
        raise WireError(f"The parameter '{name}' is no date") from None


def decimals(minor: int, exponent: int) -> str:
    # Six decimals whatever the currency, as the bank's own database has them.
    text = decimal_text(minor, exponent)
    return number(text + ("." if exponent == 0 else "") + "0" * (6 - exponent))


def currency(account: Account) -> JsonObject:
    return {
        "code": account.currency,
        "name": account.details["currency_name"],
        "decimalPlaces": account.exponent,
        "inMultiplesOf": 0,
        "displaySymbol": account.currency,
        "nameCode": f"currency.{account.currency}",
        "displayLabel": account.details["currency_name"],
    }


def transaction_type(movement: Movement) -> JsonObject:
    type_id, code, value = _TYPES[movement.kind]
    return {"id": type_id, "code": code, "value": value, **{name: name == movement.kind for name in _FLAGS}}


def plain_date(day: date) -> str:
    return day.isoformat()


def date_parts(day: date) -> list[int]:
    return [day.year, day.month, day.day]


def date_object(day: date) -> JsonObject:
    return moment(datetime(day.year, day.month, day.day, tzinfo=UTC))


def moment(at: datetime) -> JsonObject:
    clock = {"hour": at.hour, "minute": at.minute, "second": at.second, "nano": 0}
    return {"date": [at.year, at.month, at.day], "time": clock}


def client(client_id: str) -> JsonObject:
    return {
        "id": int(client_id),
        "accountNo": f"{int(client_id):09d}",
        "displayName": f"Nostro Trading {client_id}",
        "active": True,
        "officeId": 1,
    }


def client_account(account: Account) -> JsonObject:
    return {
        "id": int(account.account_id),
        "accountNo": account.details["account_no"],
        "productName": "Nostro account",
        "status": dict(_ACTIVE),
        "currency": currency(account),
        "accountBalance": decimals(account.balance, account.exponent),
    }


def savings_account(account: Account) -> JsonObject:
    balance = decimals(account.balance, account.exponent)
    return {
        "id": int(account.account_id),
        "accountNo": account.details["account_no"],
        "clientId": int(account.owner),
        "savingsProductName": "Nostro account",
        "status": dict(_ACTIVE),
        "currency": currency(account),
        "savingsAmountOnHold": decimals(0, account.exponent),
        "summary": {"currency": currency(account), "accountBalance": balance, "availableBalance": balance},
    }
