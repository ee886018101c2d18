"""Mbanq: OAuth password grant, a second factor, statements in the manner of Apache Fineract."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

from starlette.requests import Request

from nostro_sandbox import credentials
from nostro_sandbox.bank import Bank, Endpoint, Kind, Refused, Setup
from nostro_sandbox.banks.mbanq import rows
from nostro_sandbox.banks.mbanq.login import Login
from nostro_sandbox.banks.mbanq.payments import Payments
from nostro_sandbox.banks.mbanq.second_factor import CODE_LIFETIME, METHODS, TOKEN_LIFETIME, SecondFactor
from nostro_sandbox.books import BOOK, CRDT, DBIT, FAIL, PDNG, Account
from nostro_sandbox.faults import Check, flag, seconds
from nostro_sandbox.history import History
from nostro_sandbox.history import Kind as Sort
from nostro_sandbox.payouts import Payout
from nostro_sandbox.wire import (
    JsonObject,
    WireError,
    authorization,
    json_body,
    oauth_error,
    require_fields,
)

_CURRENCIES = (("USD", 2, "US Dollar"), ("EUR", 2, "Euro"), ("JPY", 0, "Yen"), ("KWD", 3, "Kuwaiti Dinar"))
_FIRST_KEY = 700_001

_HISTORY = History(
    kinds=(
        # FAIL stands for a transaction that was undone: it is listed as `reversed` and counts for nothing.
        Sort("deposit", CRDT, 10, (BOOK,) * 18 + (PDNG, FAIL)),
        Sort("withdrawal", DBIT, 8, (BOOK,) * 18 + (PDNG, FAIL)),
        Sort("feeDeduction", DBIT, 1),
        Sort("interestPosting", CRDT, 1),
    ),
    new_key=lambda rng, index, movement: str(_FIRST_KEY + index),
    value_days=(0, 0, 0, 1, 2),
)


def _offered(value: Any) -> bool:
    return value is False or (isinstance(value, list) and bool(value) and all(item in METHODS for item in value))


class Mbanq(Bank):
    conn_type = "mbanq"
    own_faults: ClassVar[Mapping[str, Check]] = {
        "second_factor": _offered,
        "revoke_second_factor": flag,
        "password_expired": flag,
        "self_service": flag,
        "rotate_refresh": flag,  # a refresh token is for one use
        "code_lifetime": seconds,  # of a code by e-mail or SMS
        "second_factor_lifetime": seconds,  # of the token that a code is changed for
    }

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.login = Login(self)
        self.totp_secret = credentials.base32(setup.seed, "mbanq totp")
        self.second_factor = SecondFactor(self.totp_secret)
        self._write_books(setup)
        self.payouts: Payments = Payments(self.book, self.now, _FIRST_KEY + len(self.book.movements))

    def _write_books(self, setup: Setup) -> None:
        for index in range(setup.accounts):
            currency, exponent, name = _CURRENCIES[index % len(_CURRENCIES)]
            details = {"account_no": f"0000{48100 + index:05d}", "currency_name": name}
            self.book.open(Account(str(101 + index), currency, exponent, str(1 + index // 2), details))
        _HISTORY.write(self.book, self.rng, setup.entries, setup.today)
        for movement in self.book.movements.values():
            if movement.kind not in ("deposit", "withdrawal"):
                movement.end_to_end_id = None
            if movement.end_to_end_id is None and movement.status != PDNG:
                # It stands in the transfer object, which such a row lacks.
                movement.value_days = None

    def connection(self, urls: Mapping[str, str]) -> JsonObject:
        extra = {
            "tenant_id": self.login.tenant,
            "client_id": self.login.client_id,
            "client_secret": self.login.client_secret,
            "totp_secret": self.totp_secret,
            "jwt_secret": self.login.jwt_secret,
            "signee": self.login.signee,
        }
        return {"login": self.login.username, "password": self.login.password, "extra": extra}

    def endpoints(self) -> Mapping[str, Sequence[Endpoint]]:
        account = "/v1/savingsaccounts/{account_id}"
        return {
            self.conn_type: (
                Endpoint("POST", "/oauth/token", self.login.token, Kind.TOKEN),
                Endpoint("GET", "/v1/userdetails", self._user_details, Kind.PERSON),
                Endpoint("GET", "/v1/twofactor", self._methods, Kind.PERSON),
                Endpoint("POST", "/v1/twofactor", self._send_code, Kind.PERSON),
                Endpoint("POST", "/v1/twofactor/validate", self._validate, Kind.PERSON),
                Endpoint("GET", "/v1/clients", self._clients),
                Endpoint("GET", "/v1/clients/{client_id}/accounts", self._client_accounts),
                Endpoint("GET", account, self._account),
                Endpoint("GET", account + "/transactions", self._transactions),
                Endpoint("GET", account + "/transactions/{key}", self._transaction),
                Endpoint("GET", account + "/pendingTransaction", self._pending),
                Endpoint("POST", "/v1/payments", self._create_payment),
                Endpoint("GET", "/v1/payments", self._payments),
                Endpoint("POST", "/v1/payments/{payment_id}", self._command_payment),
                Endpoint("GET", "/v1/payments/{payment_id}", self._payment),
            )
        }

    def error(self, kind: Kind, status: int, message: str) -> Any:
        if kind is Kind.TOKEN:
            return oauth_error(status, message)
        return rows.fineract_error(status, message, "error.msg.platform.request")

    def truth(self) -> JsonObject:
        return {**super().truth(), "one_time_passwords": self.second_factor.deliveries}

    def revoke(self, fault: str) -> None:
        if fault == "revoke_second_factor":
            self.second_factor.revoke()
        else:
            super().revoke(fault)

    def forget(self) -> None:
        super().forget()
        self.second_factor.forget()

    # The user and the second factor

    async def authenticate(self, request: Request) -> None:
        self.login.mode(request)

    def _second_factor_methods(self) -> list[str]:
        methods = self.faults.get("second_factor", list(METHODS))
        return methods or []

    def _enter(self, request: Request, what: str) -> None:
        """Let the caller at the data, or say why not."""
        mode = self.login.mode(request)
        if self.faults.get("password_expired"):
            message = "The password of the user has expired, please reset it"
            raise Refused(403, rows.fineract_error(403, message, "error.msg.password.outdated"))
        if mode == "jwt" or not self._second_factor_methods():
            return
        if not self.second_factor.lets_in(request.headers.get("fineract-platform-tfa-token", "")):
            message = f"Access to type '{what}' is restricted"
            extensions = {"code": "RESTRICTED", "classification": "DataFetchingException"}
            body = {"code": "RESTRICTED", "message": message, "extensions": extensions}
            raise Refused(403, body, ["unauthorized"])

    async def _user_details(self, request: Request) -> Any:
        mode = self.login.mode(request)
        return {
            "username": self.login.username,
            "userId": 1,
            "accessToken": authorization(request)[1],
            "authenticated": True,
            "officeId": 1,
            "officeName": "Head Office",
            "roles": [{"id": 3, "name": "Treasury", "description": "Treasury", "disabled": False}],
            "permissions": ["READ_SAVINGSACCOUNT", "READ_CLIENT"],
            "shouldRenewPassword": bool(self.faults.get("password_expired")),
            "isTwoFactorAuthenticationRequired": mode != "jwt" and bool(self._second_factor_methods()),
            "isSelfServiceUser": bool(self.faults.get("self_service")),
        }

    async def _methods(self, request: Request) -> Any:
        self.login.mode(request)
        targets = {"EMAIL": "t******y@nostro-sandbox.example", "SMS": "+44******34", "TOTP": ""}
        return [{"name": method, "target": targets[method]} for method in self._second_factor_methods()]

    async def _send_code(self, request: Request) -> Any:
        self.login.mode(request)
        body = await json_body(request)
        require_fields(body, {"deliveryMethod": str}, {"extendedToken": bool})
        method = body["deliveryMethod"].upper()
        if method not in METHODS:
            raise WireError(f"There is no delivery method {method}")
        if method == "TOTP" or method not in self._second_factor_methods():
            message = f"The one-time password cannot be delivered by {method}"
            raise Refused(403, rows.domain_rule_error(message, "error.msg.twofactor.otp.delivery.invalid"))
        self.stats.count("one_time_passwords")
        lifetime, now = float(self.faults.get("code_lifetime", CODE_LIFETIME)), self.stated_time()
        self.second_factor.send(method, lifetime)
        until = now + timedelta(seconds=lifetime)
        return {"requestTime": rows.moment(now), "expirationTime": rows.moment(until)}

    async def _validate(self, request: Request) -> Any:
        self.login.mode(request)
        body = await json_body(request)
        require_fields(body, {"token": str, "deliveryMethod": str})
        method = body["deliveryMethod"].upper()
        self.stats.count("one_time_passwords", "validations")
        if method not in self._second_factor_methods() or not self.second_factor.accepts(method, body["token"]):
            refusal = rows.domain_rule_error(
                "The one-time password is not valid", "error.msg.twofactor.otp.token.invalid"
            )
            raise Refused(403, refusal, ["refused_codes"])
        lifetime, now = float(self.faults.get("second_factor_lifetime", TOKEN_LIFETIME)), self.stated_time()
        token, until = self.second_factor.grant(lifetime), now + timedelta(seconds=lifetime)
        # Neither says which zone it is in.
        return {"token": token, "validTo": f"{until:%Y-%m-%d %H:%M:%S}", "validFrom": f"{now:%Y-%m-%d %H:%M:%S}"}

    # Statements

    def _found(self, request: Request) -> Account:
        account_id = request.path_params["account_id"]
        if account_id not in self.book.accounts:
            raise Refused(404, self._not_found(f"Savings account with identifier {account_id} does not exist"))
        return self.book.accounts[account_id]

    def _not_found(self, message: str) -> JsonObject:
        return rows.fineract_error(404, message, "error.msg.resource.not.found")

    def _owners(self) -> list[str]:
        return sorted({account.owner for account in self.book.accounts.values()}, key=int)

    async def _clients(self, request: Request) -> Any:
        self._enter(request, "Client")
        return rows.page(request, self._owners(), rows.client)

    async def _client_accounts(self, request: Request) -> Any:
        self._enter(request, "Client")
        client_id = request.path_params["client_id"]
        if client_id not in self._owners():
            raise Refused(404, self._not_found(f"Client with identifier {client_id} does not exist"))
        accounts = [account for account in self.book.accounts.values() if account.owner == client_id]
        return {"savingsAccounts": [rows.client_account(account) for account in accounts]}

    async def _account(self, request: Request) -> Any:
        self._enter(request, "SavingsAccount")
        return rows.savings_account(self._found(request))

    async def _transactions(self, request: Request) -> Any:
        self._enter(request, "SavingsAccountTransaction")
        account = self._found(request)
        start, end = rows.date_parameter(request, "startDate"), rows.date_parameter(request, "endDate")
        booked = self.book.booked_between(account.account_id, start, end)
        lines = [line for line in booked if line.movement.status != PDNG]
        if request.query_params.get("sortOrder", "DESC").upper() == "DESC":
            lines.reverse()
        return rows.page(request, lines, partial(rows.transaction, self.book))

    async def _transaction(self, request: Request) -> Any:
        self._enter(request, "SavingsAccountTransaction")
        for line in self.book.lines(self._found(request).account_id):
            if line.movement.key == request.path_params["key"]:
                return rows.transaction(self.book, line)
        raise Refused(404, self._not_found("The transaction does not exist"))

    async def _pending(self, request: Request) -> Any:
        self._enter(request, "SavingsAccountTransaction")
        lines = [line for line in self.book.lines(self._found(request).account_id) if line.movement.status == PDNG]
        return rows.page(request, lines[::-1], partial(rows.pending, self.book))

    # Payments

    async def _create_payment(self, request: Request) -> Any:
        self._enter(request, "Payment")
        command = request.query_params.get("command")
        if command not in (None, "create"):
            raise WireError(f"Unknown command '{command}'")
        payout = self.payouts.create(await json_body(request))
        # With the command a draft only; without, made and executed.
        if command is None:
            self._submit(payout)
        return self.payouts.answer(payout)

    async def _command_payment(self, request: Request) -> Any:
        self._enter(request, "Payment")
        if request.query_params.get("command") != "execute":
            raise WireError("The command is not 'execute'")
        payout = self._found_payment(request)
        self._submit(payout)
        return self.payouts.answer(payout)

    def _submit(self, payout: Payout) -> None:
        self.payouts.submit(payout)
        self.stats.count("payouts")

    async def _payments(self, request: Request) -> Any:
        self._enter(request, "Payment")
        return rows.page(request, self.payouts.search(request.query_params), self.payouts.row, size=20)

    async def _payment(self, request: Request) -> Any:
        self._enter(request, "Payment")
        return self.payouts.row(self._found_payment(request))

    def _found_payment(self, request: Request) -> Payout:
        payment_id = request.path_params["payment_id"]
        payout = self.payouts.find(payment_id)
        if payout is None:
            raise Refused(404, self._not_found(f"Payment with identifier {payment_id} does not exist"))
        return payout
