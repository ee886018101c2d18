"""Mbanq: OAuth password grant, a second factor, statements in the manner of Apache Fineract."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

import jwt
from starlette.requests import Request

from nostro_sandbox import credentials, tokens
from nostro_sandbox.bank import Bank, Endpoint, Kind, Refused, Setup
from nostro_sandbox.banks.mbanq import rows
from nostro_sandbox.banks.mbanq.second_factor import METHODS, SecondFactor
from nostro_sandbox.books import BOOK, CRDT, DBIT, FAIL, PDNG, Account
from nostro_sandbox.faults import Check, flag
from nostro_sandbox.history import History
from nostro_sandbox.history import Kind as Sort
from nostro_sandbox.wire import (
    JsonObject,
    WireError,
    authorization,
    form_body,
    json_body,
    oauth_error,
    require_fields,
    require_header,
)

_CURRENCIES = (("USD", 2, "US Dollar"), ("EUR", 2, "Euro"), ("JPY", 0, "Yen"), ("KWD", 3, "Kuwaiti Dinar"))
_REFRESH_LIFETIME = 30 * 86400

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
    return value is False or (isinstance(value, list) and bool(value) and all(item in METHODS for item in value))


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
        self.second_factor = SecondFactor(self.totp_secret)
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
        raise Refused(401, rows.fineract_error(401, f"Invalid tenant identifier: {tenant}", "error.msg.invalid.tenant"))

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

    async def authenticate(self, request: Request) -> None:
        self._mode(request)

    def _mode(self, request: Request) -> str:
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
        return rows.fineract_error(401, message, "error.msg.not.authenticated")

    def _second_factor_methods(self) -> list[str]:
        methods = self.faults.get("second_factor", list(METHODS))
        return methods or []

    def _enter(self, request: Request, what: str) -> None:
        """Let the caller at the data, or say why not."""
        mode = self._mode(request)
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
        mode = self._mode(request)
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
        self._mode(request)
        targets = {"EMAIL": "t******y@nostro-sandbox.example", "SMS": "+44******34", "TOTP": ""}
        return [{"name": method, "target": targets[method]} for method in self._second_factor_methods()]

    async def _send_code(self, request: Request) -> Any:
        self._mode(request)
        body = await json_body(request)
        require_fields(body, {"deliveryMethod": str}, {"extendedToken": bool})
        method = body["deliveryMethod"].upper()
        if method not in ("EMAIL", "SMS") or method not in self._second_factor_methods():
            raise WireError(f"No code can be sent by {method}")
        self.stats.count("one_time_passwords")
        lifetime = timedelta(seconds=self.second_factor.send(method))
        now = self.stated_time()
        return {"requestTime": rows.moment(now), "expirationTime": rows.moment(now + lifetime)}

    async def _validate(self, request: Request) -> Any:
        self._mode(request)
        body = await json_body(request)
        require_fields(body, {"token": str, "deliveryMethod": str})
        method = body["deliveryMethod"].upper()
        self.stats.count("one_time_passwords")
        if method not in self._second_factor_methods() or not self.second_factor.accepts(method, body["token"]):
            message = "The one-time password is not valid"
            raise Refused(403, rows.fineract_error(403, message, "error.msg.twofactor.otp.token.invalid"))
        token, lifetime = self.second_factor.grant()
        now = self.stated_time()
        until = now + timedelta(seconds=lifetime)
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
        found = [
            {
                "id": int(owner),
                "accountNo": f"{int(owner):09d}",
                "displayName": f"Nostro Trading {owner}",
                "active": True,
                "officeId": 1,
            }
            for owner in self._owners()
        ]
        return rows.page(request, found)

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
                    "currency": rows.currency(account),
                    "accountBalance": rows.decimals(account.balance, account.exponent),
                }
                for account in accounts
            ]
        }

    async def _account(self, request: Request) -> Any:
        self._enter(request, "SavingsAccount")
        account = self._found(request)
        balance = rows.decimals(account.balance, account.exponent)
        return {
            "id": int(account.account_id),
            "accountNo": account.details["account_no"],
            "clientId": int(account.owner),
            "savingsProductName": "Nostro account",
            "status": {"id": 300, "code": "savingsAccountStatusType.active", "value": "Active", "active": True},
            "currency": rows.currency(account),
            "savingsAmountOnHold": rows.decimals(0, account.exponent),
            "summary": {"currency": rows.currency(account), "accountBalance": balance, "availableBalance": balance},
        }

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
