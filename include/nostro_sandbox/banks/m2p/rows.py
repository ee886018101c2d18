"""M2P's rows and errors: amounts with a sign in the list and none in the status, problems by RFC 7807."""

import re
from datetime import UTC, date, datetime

from nostro_sandbox.books import BOOK, CRDT, FAIL, PDNG, Line
from nostro_sandbox.wire import JsonObject, WireError, decimal_text

STATUS = {BOOK: "SUCCESS", FAIL: "FAILURE", PDNG: "PENDING"}


def transaction(line: Line, signed: bool) -> JsonObject:
    """Amounts carry a sign in the list and none in the status."""
    account, movement = line.account, line.movement
    booked = movement.status == BOOK
    before = line.balance_after - line.signed_minor
    return {
        "amount": decimal_text(line.signed_minor if signed else line.amount_minor, account.exponent),
        "preBalance": decimal_text(before, account.exponent) if booked else None,
        "postBalance": decimal_text(line.balance_after, account.exponent) if booked else None,
        "transactionType": movement.kind,
        "txnOrigin": movement.details.get("origin", "WEB" if line.credit_debit == CRDT else "POS"),
        "transactionStatus": STATUS[movement.status],
        "time": movement.instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "merchantName": movement.counterparty,
        "externalTransactionId": movement.key,
        "retrievalReferenceNo": movement.key[-12:].zfill(12),
        "crDr": "C" if line.credit_debit == CRDT else "D",
        "txnRef": movement.end_to_end_id,
        "accountId": account.account_id,
        "entityId": account.owner,
        "transactionCurrencyCode": account.details["number"],
        "transactionCurrencyCodeName": account.currency,
    }


def problem(status: int, detail: str, message: str, business_code: str | None = None) -> JsonObject:
    found = {
        "type": "https://www.m2pfintech.com/problem/problem-with-message",
        "title": "Request refused",
        "status": status,
        "detail": detail,
        "message": message,
    }
    return {**found, "business.code": business_code} if business_code else found


def date_field(body: JsonObject, name: str) -> date | None:
    text = body.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"\d{2}-\d{2}-\d{4}", text):
        raise WireError(f"'{name}' is not of the form dd-mm-yyyy")
    try:
        return datetime.strptime(text, "%d-%m-%Y").replace(tzinfo=UTC).date()
    except ValueError:
        raise WireError(f"'{name}' is no date") from None
