"""Mbanq: OAuth password grant, a second factor, statements in the manner of Apache Fineract."""

import re
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar

import jwt
from starlette.requests import Request

from nostro_sandbox import credentials, tokens, totp
from nostro_sandbox.bank import Bank, Endpoint, Kind, Refused, Setup
from nostro_sandbox.books import BOOK, CRDT, DBIT, FAIL, PDNG, Account, Line, Movement
from nostro_sandbox.faults import Check, flag
from nostro_sandbox.history import History
from nostro_sandbox.history import Kind as Sort
from nostro_sandbox.wire import (
    JsonObject,
    WireError,
    authorization,
    decimal_text,
    form_body,
    json_body,
    number,
    oauth_error,
    query_int,
    require_fields,
    require_header,
)

_CURRENCIES = (("USD", 2, "US Dollar"), ("EUR", 2, "Euro"), ("JPY", 0, "Yen"), ("KWD", 3, "Kuwaiti Dinar"))
_METHODS = ("EMAIL", "SMS", "TOTP")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_REFRESH_LIFETIME = 30 * 86400
_OTP_LIFETIME = 300
_SECOND_FACTOR_LIFETIME = 86400

# Mbanq's transaction types: the name in our books to (id, code, value).
_TYPES = {
    "deposit": (1, "savingsAccountTransactionType.deposit", "Deposit"),
    "withdrawal": (2, "savingsAccountTransactionType.withdrawal", "Withdrawal"),
    "interestPosting": (3, "savingsAccountTransactionType.interestPosting", "Interest posting"),
    "feeDeduction": (7, "savingsAccountTransactionType.payCharge", "Pay Charge"),
}
_FLAGS = ("deposit", "withdrawal", "interestPosting", "feeDeduction")

_HISTORY = History(
    kinds=(
        # FAIL stands for a transaction that was undone: it is listed as `reversed` and counts for nothing.
        Sort("deposit", CRDT, 10, (BOOK,) * 18 + (PDNG, FAIL)),
        Sort("withdrawal", DBIT, 8, (BOOK,) * 18 + (PDNG, FAIL)),
        Sort("feeDeduction", DBIT, 1),
        Sort("interestPosting", CRDT, 1),
    ),
    new_key=lambda rng, index, movement: str(700_001 + index),
    value_days=(0, 0, 0, 1, 2),
)


def _offered(value: Any) -> bool:
    return value is False or (isinstance(value, list) and bool(value) and all(item in _METHODS for item in value))


class Mbanq(Bank):
    conn_type = "mbanq"
    own_faults: ClassVar[Mapping[str, Check]] = {
        "second_factor": _offered,
        "revoke_second_factor": flag,
        "password_expired": flag,
        "self_service": flag,
    }

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.tenant = "nostro-sandbox"
        self.client_id = "nostro-airflow"
        self.client_secret = self.secret("client secret", 48)
        self.username = "treasury@nostro-sandbox.example"
        # A form has to escape these.
        self.password = self.secret("password") + "+&=%"
        self.jwt_secret = self.secret("jwt secret", 64)
        self.signee = "NOSTRO"
        self.totp_secret = credentials.base32(setup.seed, "mbanq totp")
        self.second_factors = tokens.Tokens()
        self.deliveries: list[dict[str, Any]] = []
        self._used_steps: set[int] = set()
        self._write_books(setup)

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
            "tenant_id": self.tenant,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "totp_secret": self.totp_secret,
            "jwt_secret": self.jwt_secret,
            "signee": self.signee,
        }
        return {"login": self.username, "password": self.password, "extra": extra}

    def endpoints(self) -> Mapping[str, Sequence[Endpoint]]:
        account = "/v1/savingsaccounts/{account_id}"
        return {
            self.conn_type: (
                Endpoint("POST", "/oauth/token", self._token, Kind.TOKEN),
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
            )
        }

    def error(self, kind: Kind, status: int, message: str) -> Any:
        if kind is Kind.TOKEN:
            return oauth_error(status, message)
        return _fineract_error(status, message, "error.msg.platform.request")

    def truth(self) -> JsonObject:
        return {**super().truth(), "one_time_passwords": self.deliveries}

    def revoke(self, fault: str) -> None:
        if fault == "revoke_second_factor":
            self.second_factors.revoke_all()
        else:
            super().revoke(fault)

    def forget(self) -> None:
        super().forget()
        self.second_factors.forget()
        self.deliveries.clear()
        self._used_steps.clear()

    # Token

    async def _token(self, request: Request) -> Any:
        form = await form_body(request)
        self._check_tenant(request, login=True)
        grant = form.get("grant_type", "")
        wanted = {
            "password": ("username", "password"),
            "refresh_token": ("refresh_token",),
        }.get(grant)
        if wanted is None:
            raise WireError(f"Unsupported grant type: {grant}")
        require_fields(form, dict.fromkeys(("grant_type", "client_id", "client_secret", *wanted), str))
        if (form["client_id"], form["client_secret"]) != (self.client_id, self.client_secret):
            raise self._refused_login(401, "invalid_client", "Bad client credentials")
        if self.faults.get("locked"):
            raise self._refused_login(400, "invalid_grant", "User account is locked")
        if grant == "refresh_token":
            return self._refreshed(form["refresh_token"])
        if (form["username"], form["password"]) != (self.username, self.password):
            raise self._refused_login(400, "invalid_grant", "Bad credentials")
        return self._granted(self._new_refresh_token())

    def _check_tenant(self, request: Request, login: bool) -> None:
        tenant = request.query_params.get("tenantIdentifier") or require_header(request, "tenantId")
        if tenant == self.tenant:
            return
        if login:
            raise self._refused_login(401, "unauthorized", f"Invalid tenant identifier: {tenant}")
        raise Refused(401, _fineract_error(401, f"Invalid tenant identifier: {tenant}", "error.msg.invalid.tenant"))

    def _refused_login(self, status: int, error: str, description: str) -> Refused:
        return Refused(status, {"error": error, "error_description": description}, ["refused_logins"])

    def _new_refresh_token(self) -> tokens.Token:
        claims = {"sub": self.username, "isAccessToken": False, "jti": tokens.opaque()}
        lifetime = float(self.faults.get("refresh_lifetime", _REFRESH_LIFETIME))
        return self.refresh_tokens.issue(tokens.signed(claims, self.jwt_secret, "HS512"), lifetime)

    def _refreshed(self, value: str) -> JsonObject:
        self.stats.count("refreshes")
        token = self.refresh_tokens.find(value)
        if token is None or not token.alive:
            raise Refused(400, {"error": "invalid_grant", "error_description": "Invalid refresh token"})
        # Not rotated: the same one comes back.
        return self._granted(token)

    def _granted(self, refresh_token: tokens.Token) -> JsonObject:
        lifetime, now = self.lifetime(), int(self.now())
        claims = {
            "sub": self.username,
            "isAccessToken": True,
            "userId": 1,
            "iat": now,
            "exp": int(now + lifetime),
            "jti": tokens.opaque(),
        }
        token = self.access_tokens.issue(tokens.signed(claims, self.jwt_secret, "HS512"), lifetime)
        return {
            "scope": "all",
            "access_token": token.value,
            "refresh_token": refresh_token.value,
            "token_type": "bearer",
            "expires_in": self.stated_lifetime(lifetime if lifetime % 1 else int(lifetime)),
        }

    # The user and the second factor

    def _authenticate(self, request: Request) -> str:
        """Who calls: "jwt" for the signed mode, else "bearer"."""
        self._check_tenant(request, login=False)
        if "jwt-token" in request.headers:
            self._check_signed(request.headers["jwt-token"])
            return "jwt"
        scheme, value = authorization(request)
        if scheme != "bearer" or not value:
            raise Refused(401, self._unauthorized("Full authentication is required"), ["protocol_errors"])
        if self.live_token(value) is None:
            raise Refused(401, self._unauthorized("Invalid or expired access token"))
        return "bearer"

    def _check_signed(self, value: str) -> None:
        try:
            claims = jwt.decode(value, self.jwt_secret, ["HS512"], options={"require": ["exp", "signee"]})
        except jwt.InvalidTokenError:
            claims = {}
        if claims.get("signee") != self.signee:
            raise Refused(401, self._unauthorized("Invalid JWT-Token"), ["refused_logins"])

    def _unauthorized(self, message: str) -> JsonObject:
        return _fineract_error(401, message, "error.msg.not.authenticated")

    def _second_factor_methods(self) -> list[str]:
        methods = self.faults.get("second_factor", list(_METHODS))
        return methods or []

    def _enter(self, request: Request, what: str) -> None:
        """Let the caller at the data, or say why not."""
        mode = self._authenticate(request)
        if self.faults.get("password_expired"):
            message = "The password of the user has expired, please reset it"
            raise Refused(403, _fineract_error(403, message, "error.msg.password.outdated"))
        if mode == "jwt" or not self._second_factor_methods():
            return
        token = self.second_factors.find(request.headers.get("fineract-platform-tfa-token", ""))
        if token is None or not token.alive:
            message = f"Access to type '{what}' is restricted"
            extensions = {"code": "RESTRICTED", "classification": "DataFetchingException"}
            body = {"code": "RESTRICTED", "message": message, "extensions": extensions}
            raise Refused(403, body, ["unauthorized"])

    async def _user_details(self, request: Request) -> Any:
        mode = self._authenticate(request)
        return {
            "username": self.username,
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
        self._authenticate(request)
        targets = {"EMAIL": "t******y@nostro-sandbox.example", "SMS": "+44******34", "TOTP": ""}
        return [{"name": method, "target": targets[method]} for method in self._second_factor_methods()]

    async def _send_code(self, request: Request) -> Any:
        self._authenticate(request)
        body = await json_body(request)
        require_fields(body, {"deliveryMethod": str}, {"extendedToken": bool})
        method = body["deliveryMethod"].upper()
        if method not in ("EMAIL", "SMS") or method not in self._second_factor_methods():
            raise WireError(f"No code can be sent by {method}")
        self.stats.count("one_time_passwords")
        now = self.stated_time()
        code = "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(5))
        sent = {"delivery_method": method, "token": code, "sent_at": time.time(), "used": False}
        self.deliveries.append(sent)
        return {"requestTime": _moment(now), "expirationTime": _moment(now + timedelta(seconds=_OTP_LIFETIME))}

    async def _validate(self, request: Request) -> Any:
        self._authenticate(request)
        body = await json_body(request)
        require_fields(body, {"token": str, "deliveryMethod": str})
        method = body["deliveryMethod"].upper()
        self.stats.count("one_time_passwords")
        if method not in self._second_factor_methods() or not self._is_right_code(method, body["token"]):
            message = "The one-time password is not valid"
            raise Refused(403, _fineract_error(403, message, "error.msg.twofactor.otp.token.invalid"))
        token = self.second_factors.issue(tokens.opaque(), _SECOND_FACTOR_LIFETIME)
        now = self.stated_time()
        until = now + timedelta(seconds=_SECOND_FACTOR_LIFETIME)
        return {"token": token.value, "validTo": f"{until:%Y-%m-%d %H:%M:%S}", "validFrom": f"{now:%Y-%m-%d %H:%M:%S}"}

    def _is_right_code(self, method: str, code: str) -> bool:
        if method == "TOTP":
            step = totp.matching_step(self.totp_secret, code)
            if step is None or step in self._used_steps:
                return False
            self._used_steps.add(step)
            return True
        for sent in self.deliveries:
            fresh = not sent["used"] and time.time() < sent["sent_at"] + _OTP_LIFETIME
            if fresh and (sent["delivery_method"], sent["token"]) == (method, code.upper()):
                sent["used"] = True
                return True
        return False

    # Statements

    def _found(self, request: Request) -> Account:
        account_id = request.path_params["account_id"]
        if account_id not in self.book.accounts:
            raise Refused(404, self._not_found(f"Savings account with identifier {account_id} does not exist"))
        return self.book.accounts[account_id]

    def _not_found(self, message: str) -> JsonObject:
        return _fineract_error(404, message, "error.msg.resource.not.found")

    def _owners(self) -> list[str]:
        return sorted({account.owner for account in self.book.accounts.values()}, key=int)

    async def _clients(self, request: Request) -> Any:
        self._enter(request, "Client")
        rows = [
            {
                "id": int(owner),
                "accountNo": f"{int(owner):09d}",
                "displayName": f"Nostro Trading {owner}",
                "active": True,
                "officeId": 1,
            }
            for owner in self._owners()
        ]
        return _page(request, rows)

    async def _client_accounts(self, request: Request) -> Any:
        self._enter(request, "Client")
        client_id = request.path_params["client_id"]
        if client_id not in self._owners():
            raise Refused(404, self._not_found(f"Client with identifier {client_id} does not exist"))
        accounts = [account for account in self.book.accounts.values() if account.owner == client_id]
        return {
            "savingsAccounts": [
                {
                    "id": int(account.account_id),
                    "accountNo": account.details["account_no"],
                    "productName": "Nostro account",
                    "status": {"id": 300, "code": "savingsAccountStatusType.active", "value": "Active", "active": True},
                    "currency": _currency(account),
                    "accountBalance": _number(account.balance, account.exponent),
                }
                for account in accounts
            ]
        }

    async def _account(self, request: Request) -> Any:
        self._enter(request, "SavingsAccount")
        account = self._found(request)
        balance = _number(account.balance, account.exponent)
        return {
            "id": int(account.account_id),
            "accountNo": account.details["account_no"],
            "clientId": int(account.owner),
            "savingsProductName": "Nostro account",
            "status": {"id": 300, "code": "savingsAccountStatusType.active", "value": "Active", "active": True},
            "currency": _currency(account),
            "savingsAmountOnHold": _number(0, account.exponent),
            "summary": {"currency": _currency(account), "accountBalance": balance, "availableBalance": balance},
        }

    async def _transactions(self, request: Request) -> Any:
        self._enter(request, "SavingsAccountTransaction")
        account = self._found(request)
        start, end = _date_parameter(request, "startDate"), _date_parameter(request, "endDate")
        booked = self.book.booked_between(account.account_id, start, end)
        lines = [line for line in booked if line.movement.status != PDNG]
        if request.query_params.get("sortOrder", "DESC").upper() == "DESC":
            lines.reverse()
        return _page(request, lines, self._row)

    async def _transaction(self, request: Request) -> Any:
        self._enter(request, "SavingsAccountTransaction")
        for line in self.book.lines(self._found(request).account_id):
            if line.movement.key == request.path_params["key"]:
                return self._row(line)
        raise Refused(404, self._not_found("The transaction does not exist"))

    def _row(self, line: Line) -> JsonObject:
        account, movement = line.account, line.movement
        booked = self.book.booking_date(movement)
        # Three shapes of one date stand side by side, as Mbanq's rows have them.
        form = (_plain_date, _date_parts, _date_object)[int(movement.key) % 3]
        undone = movement.status == FAIL
        row = {
            "id": int(movement.key),
            "transactionType": _transaction_type(movement),
            "accountId": int(account.account_id),
            "accountNo": account.details["account_no"],
            "date": form(booked),
            "bookingDate": form(booked),
            "submittedOnDate": form(booked),
            "currency": _currency(account),
            "paymentDetailData": {"id": int(movement.key), "reference": movement.text},
            "amount": _number(line.amount_minor, account.exponent),
            "runningBalance": _number(0 if undone else line.balance_after, account.exponent),
            "reversed": undone,
            "isReversal": False,
            "interestedPostedAsOn": False,
            "submittedByUsername": self.username,
        }
        if movement.end_to_end_id is not None:
            row["transfer"] = self._transfer(line)
        return row

    def _transfer(self, line: Line) -> JsonObject:
        movement = line.movement
        theirs = {"identifier": "ACC-77", "name": movement.counterparty, "country": "DE"}
        ours = {"identifier": line.account.details["account_no"], "name": "Nostro Trading", "country": "US"}
        incoming = line.credit_debit == CRDT
        return {
            "id": 900_000 + int(movement.key),
            "amount": _number(line.amount_minor, line.account.exponent),
            "correlationId": f"corr-{movement.key}",
            "creditor": ours if incoming else theirs,
            "debtor": theirs if incoming else ours,
            "externalId": movement.end_to_end_id,
            "reference": [movement.text],
            "status": {BOOK: "EXECUTION_SUCCESS", PDNG: "AML_SCREENING", FAIL: "RETURNED"}[movement.status],
            "type": "CREDIT" if incoming else "DEBIT",
            "valueDate": _plain_date(self.book.certain_value_date(movement)),
            "executedAt": _plain_date(self.book.booking_date(movement)),
        }

    async def _pending(self, request: Request) -> Any:
        self._enter(request, "SavingsAccountTransaction")
        lines = [line for line in self.book.lines(self._found(request).account_id) if line.movement.status == PDNG]
        return _page(request, lines[::-1], self._pending_row)

    def _pending_row(self, line: Line) -> JsonObject:
        movement, amount = line.movement, _number(line.amount_minor, line.account.exponent)
        row = {
            "id": int(movement.key),
            "typeOf": "PENDING_CREDIT" if line.credit_debit == CRDT else "PENDING_DEBIT",
            "type": "CREDIT" if line.credit_debit == CRDT else "DEBIT",
            "valueDate": _plain_date(self.book.certain_value_date(movement)),
            "amount": amount,
            "pendingAmount": amount,
            "createdAt": _plain_date(self.book.booking_date(movement)),
            "manual": False,
            "active": True,
        }
        return {**row, "transfer": self._transfer(line)}


def _fineract_error(status: int, message: str, code: str) -> JsonObject:
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


def _page(request: Request, items: Sequence[Any], row: Any = lambda item: item) -> JsonObject:
    """One page; a limit of nothing or less means all."""
    offset, limit = query_int(request, "offset", 0, low=0), query_int(request, "limit", 200)
    page = items[offset : offset + limit] if limit > 0 else items[offset:]
    return {"totalFilteredRecords": len(items), "pageItems": [row(item) for item in page]}


def _date_parameter(request: Request, name: str) -> date | None:
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


def _number(minor: int, exponent: int) -> str:
    # Six decimals whatever the currency, as the bank's own database has them.
    text = decimal_text(minor, exponent)
    return number(text + ("." if exponent == 0 else "") + "0" * (6 - exponent))


def _currency(account: Account) -> JsonObject:
    return {
        "code": account.currency,
        "name": account.details["currency_name"],
        "decimalPlaces": account.exponent,
        "inMultiplesOf": 0,
        "displaySymbol": account.currency,
        "nameCode": f"currency.{account.currency}",
        "displayLabel": account.details["currency_name"],
    }


def _transaction_type(movement: Movement) -> JsonObject:
    type_id, code, value = _TYPES[movement.kind]
    return {"id": type_id, "code": code, "value": value, **{name: name == movement.kind for name in _FLAGS}}


def _plain_date(day: date) -> str:
    return day.isoformat()


def _date_parts(day: date) -> list[int]:
    return [day.year, day.month, day.day]


def _date_object(day: date) -> JsonObject:
    return _moment(datetime(day.year, day.month, day.day, tzinfo=UTC))


def _moment(moment: datetime) -> JsonObject:
    clock = {"hour": moment.hour, "minute": moment.minute, "second": moment.second, "nano": 0}
    return {"date": [moment.year, moment.month, moment.day], "time": clock}
