"""Banking Circle Connect: mutual TLS on two origins, five-minute tokens bound to the certificate."""

import hashlib
import ssl
import uuid
from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from nostro_sandbox import credentials, tokens
from nostro_sandbox.bank import Bank, Endpoint, Kind, Refused, Setup
from nostro_sandbox.banks.banking_circle import rows
from nostro_sandbox.banks.banking_circle.payments import Payments
from nostro_sandbox.books import BOOK, CRDT, DBIT, Account, Line
from nostro_sandbox.history import History
from nostro_sandbox.history import Kind as Sort
from nostro_sandbox.payouts import Payout
from nostro_sandbox.wire import JsonObject, WireError, authorization, basic, json_body, number, trimmed

_COUNTERPARTY = {"account": "DE89370400440532013000", "financialInstitution": "COBADEFF", "country": "DE"}
_CURRENCIES = (("EUR", 2), ("USD", 2), ("JPY", 0), ("KWD", 3))

_SINGLES = "/api/v1/payments/singles"

_HISTORY = History(
    kinds=(Sort("Incoming", CRDT, 6), Sort("Outgoing", DBIT, 5), Sort("Fee", DBIT, 1)),
    new_key=lambda rng, index, movement: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
    value_days=(0, 0, 0, 1, 2),
)


class BankingCircle(Bank):
    conn_type = "banking_circle"
    mutual_tls = True
    token_lifetime = 300

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.username = "m2m-nostro@nostro-sandbox.example"
        # A Basic header is split at the first colon only.
        self.password = self.secret("password") + ":+/"
        self.company = credentials.unique_id(setup.seed, "banking_circle company")
        for index in range(setup.accounts):
            currency, exponent = _CURRENCIES[index % len(_CURRENCIES)]
            account_id = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
            iban = f"LU{self.rng.randrange(10, 99)}401{self.rng.randrange(10**13):013d}"
            self.book.open(Account(account_id, currency, exponent, self.company, {"iban": iban}))
        _HISTORY.write(self.book, self.rng, setup.entries, setup.today)
        self.payouts: Payments = Payments(self.book, self.now)

    @classmethod
    def listeners(cls) -> Sequence[str]:
        return (cls.conn_type, "banking_circle_authorization")

    def connection(self, urls: Mapping[str, str]) -> JsonObject:
        pki = self.setup.pki
        extra = {
            "authorization_url": urls["banking_circle_authorization"],
            "private_key_p12": pki.p12,
            "private_key_passphrase": pki.passphrase,
            "ca_certificates_pem": pki.ca_pem,
        }
        return {"login": self.username, "password": self.password, "extra": extra}

    def endpoints(self) -> Mapping[str, Sequence[Endpoint]]:
        return {
            self.conn_type: (
                Endpoint("GET", "/api/v1/accounts", self._accounts),
                Endpoint("GET", "/api/v1/accounts/{account_id}", self._account),
                Endpoint("GET", "/api/v1/accounts/{account_id}/balances", self._balances),
                Endpoint("GET", "/api/v3/bookings", self._bookings),
                Endpoint("POST", _SINGLES, self._pay),
                Endpoint("GET", _SINGLES, self._payments),
                Endpoint("GET", _SINGLES + "/{payment_id}", self._payment),
                Endpoint("GET", _SINGLES + "/{payment_id}/status", self._payment_status),
            ),
            "banking_circle_authorization": (
                Endpoint("GET", "/api/v1/authorizations/authorize", self._authorize, Kind.TOKEN),
            ),
        }

    def error(self, kind: Kind, status: int, message: str) -> Any:
        return rows.errors(str(status), message)

    def address_refused(self, message: str) -> Response:
        # The firewall before the bank speaks, not the bank.
        page = f"<html><head><title>403 Forbidden</title></head><body><h1>403 Forbidden</h1><p>{escape(message)}</p>"
        return HTMLResponse(page + "</body></html>", 403)

    async def _authorize(self, request: Request) -> Any:
        given = basic(request)
        if given is None:
            raise Refused(401, rows.errors("401", "Basic authentication is required"), ["protocol_errors"])
        if given != (self.username, self.password):
            raise Refused(401, rows.errors("401", "Wrong username or password"), ["refused_logins"])
        if self.faults.get("locked"):
            raise Refused(403, rows.errors("403", "The user is locked"), ["refused_logins"])
        thumbprint = _thumbprint(request)
        token, left = self.access_token(partial(self._new_token, thumbprint), bound=thumbprint)
        # A duration, but as a string.
        return {"access_token": token.value, "expires_in": self.stated_lifetime(trimmed(str(left)))}

    def _new_token(self, thumbprint: str, lifetime: float) -> tokens.Token:
        now = int(self.now())
        claims = {
            "iss": "https://nostro-sandbox.example/v2.0/",
            "exp": int(now + lifetime),
            "nbf": now,
            "iat": now,
            "aud": self.company,
            "sub": self.username,
            "userType": "4",
            "thumbprint": thumbprint,
            "jti": tokens.opaque(),
        }
        value = tokens.signed(claims, self.setup.pki.signing_key, "RS256")
        return self.access_tokens.issue(value, lifetime, bound=thumbprint)

    async def authenticate(self, request: Request) -> None:
        scheme, value = authorization(request)
        if scheme != "bearer" or not value:
            raise Refused(401, rows.errors("401", "A bearer token is required"), ["protocol_errors"])
        token = self.live_token(value)
        if token is None:
            raise Refused(401, rows.errors("401", "The token is invalid or expired"))
        if token.bound != _thumbprint(request):
            raise Refused(401, rows.errors("401", "The token belongs to another certificate"))

    def _found(self, account_id: str) -> Account:
        account = self.book.accounts.get(account_id)
        if account is None:
            raise Refused(404, rows.errors("404", "Account not found"))
        return account

    async def _accounts(self, request: Request) -> Any:
        await self.authenticate(request)
        return rows.page(request, [self._account_row(account) for account in self.book.accounts.values()], high=5000)

    async def _account(self, request: Request) -> Any:
        await self.authenticate(request)
        return self._account_row(self._found(request.path_params["account_id"]))

    async def _balances(self, request: Request) -> Any:
        await self.authenticate(request)
        return {"result": [self._balance(self._found(request.path_params["account_id"]))]}

    def _account_row(self, account: Account) -> JsonObject:
        iban = account.details["iban"]
        return {
            "accountId": account.account_id,
            "accountDescription": f"Nostro {account.currency}",
            "accountIdentifiers": [{"account": iban, "financialInstitution": "BCIRLULL", "country": "LU"}],
            "ibans": [iban],
            "status": "Open",
            "currency": account.currency,
            "openingDate": "2020-12-06T00:00:00+00:00",
            "ownedByCompanyId": self.company,
            "protectionType": "None",
            "balances": [self._balance(account)],
        }

    def _balance(self, account: Account) -> JsonObject:
        """What the account began the day with, and what the day has brought."""
        today = self.setup.today
        intraday = sum(
            line.signed_minor
            for line in self.book.lines(account.account_id)
            if line.movement.status == BOOK and self.book.booking_date(line.movement) == today
        )
        return {
            "type": "CurrentBalance",
            "currency": account.currency,
            "beginOfDayAmount": rows.decimal(account.balance - intraday, account.exponent),
            "financialDate": rows.midnight(today),
            "intraDayAmount": rows.decimal(intraday, account.exponent),
            "lastTransactionTimestamp": rows.midnight(today),
            "blockedBalanceAmount": number("0"),
        }

    async def _bookings(self, request: Request) -> Any:
        await self.authenticate(request)
        for name in ("AccountId", "DateFrom"):
            if not request.query_params.get(name):
                raise WireError(f"{name} is required")
        account = self._found(request.query_params["AccountId"])
        start, end = rows.date_parameter(request, "DateFrom"), rows.date_parameter(request, "DateTo")
        assert start is not None
        if start < date(self.setup.today.year - 1, 1, 1):
            raise WireError("DateFrom reaches back beyond the previous year")
        lines = self.book.booked_between(account.account_id, start, end)
        return rows.page(request, lines, high=5000, row=self._booking)

    def _booking(self, line: Line) -> JsonObject:
        account, movement = line.account, line.movement
        booked = rows.midnight(self.book.booking_date(movement))
        return {
            "bookingId": movement.key,
            "accountId": account.account_id,
            "paymentId": movement.details.get("payment_id") or str(uuid.uuid5(uuid.NAMESPACE_OID, movement.key)),
            "transactionReference": movement.key.replace("-", "")[:16].upper(),
            "transactionDate": booked,
            "bookingDate": booked,
            "valueDate": rows.midnight(self.book.certain_value_date(movement)),
            "amount": {"currency": account.currency, "amount": rows.decimal(line.signed_minor, account.exponent)},
            "creditDebitIndicator": line.credit_debit,
            "details": movement.text,
            "endToEndId": movement.end_to_end_id,
            "counterpartyName": movement.counterparty,
            "counterpartyAccount": movement.details.get("creditor_account", _COUNTERPARTY),
            "status": "Booked",
        }

    # Payments

    async def _pay(self, request: Request) -> Any:
        await self.authenticate(request)
        # With the body in hand nothing comes between the check of the key and its use.
        body = await json_body(request)
        if len(request.headers.get("x-messagereference", "")) > 35:
            raise WireError("X-MessageReference has more than 35 characters")
        payout = self.payouts.pay(body, request.headers.get("idempotency-key"))
        self.stats.count("payouts")
        return {"paymentId": payout.payout_id, "status": self.payouts.status(payout)}

    async def _payments(self, request: Request) -> Any:
        await self.authenticate(request)
        return rows.page(request, self.payouts.search(request.query_params), high=5000, row=self.payouts.row)

    async def _payment(self, request: Request) -> Any:
        await self.authenticate(request)
        return self.payouts.row(self._found_payment(request))

    async def _payment_status(self, request: Request) -> Any:
        await self.authenticate(request)
        return {"status": self.payouts.status(self._found_payment(request))}

    def _found_payment(self, request: Request) -> Payout:
        payout = self.payouts.find(request.path_params["payment_id"])
        if payout is None:
            raise Refused(404, rows.errors("404", "Payment not found"))
        return payout


def _thumbprint(request: Request) -> str:
    certificate = request.scope["extensions"]["tls"]["client_cert_chain"][0]
    return hashlib.sha1(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest().upper()
