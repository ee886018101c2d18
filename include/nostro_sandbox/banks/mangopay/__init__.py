"""MANGOPAY: Basic or OAuth, wallets in minor units, payouts under idempotency keys."""

import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from nostro_sandbox import tokens
from nostro_sandbox.bank import Bank, Endpoint, Kind, Refused, Setup
from nostro_sandbox.banks.mangopay import rows
from nostro_sandbox.banks.mangopay.payouts import Payouts
from nostro_sandbox.books import BOOK, CRDT, DBIT, FAIL, PDNG, Account, Movement
from nostro_sandbox.faults import Check, flag
from nostro_sandbox.history import History
from nostro_sandbox.history import Kind as Sort
from nostro_sandbox.wire import (
    JsonObject,
    WireError,
    authorization,
    basic,
    form_body,
    json_body,
    json_response,
    oauth_error,
    query_int,
    require_content_type,
)

_CURRENCIES = (("EUR", 2), ("EUR", 2), ("USD", 2), ("JPY", 0), ("GBP", 2))
_RATE_LIMITS = ((900, 2300), (1800, 4500), (3600, 8800), (86400, 105600))
_PREFIXES = {"PAYIN": "wt", "TRANSFER": "xfer_m", "PAYOUT": "po_m"}


def _new_key(rng: Random, index: int, movement: Movement) -> str:
    prefix = "refund_m" if movement.undoes else _PREFIXES[movement.kind]
    return f"{prefix}_{rows.ulid(rng)}"


_HISTORY = History(
    kinds=(
        Sort("PAYIN", CRDT, 8, (BOOK,) * 14 + (PDNG, FAIL), fee_permille=20),
        Sort("TRANSFER", "between", 5, (BOOK,) * 15 + (FAIL,), fee_permille=10),
        # Executed as much as two days after it was asked for.
        Sort("PAYOUT", DBIT, 4, (BOOK,) * 15 + (FAIL,), delays=(1, 3600, 86400, 2 * 86400)),
        Sort("", "undo", 2),
    ),
    new_key=_new_key,
)


class Mangopay(Bank):
    conn_type = "mangopay"
    zone = ZoneInfo("Europe/Luxembourg")
    slash_optional = True
    token_lifetime = 1200
    own_faults: ClassVar[Mapping[str, Check]] = {"sca_required": flag}

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.client_id = "nostrosandbox"
        self.api_key = self.secret("api key", 50)
        self.creditors: dict[str, str] = {}
        self.payouts: Payouts = Payouts(self.book, self.now)
        for index in range(setup.accounts):
            currency, exponent = _CURRENCIES[index % len(_CURRENCIES)]
            if index % 2 == 0:
                user = f"user_m_{rows.ulid(self.rng)}"
                self.creditors[f"bankacc_m_{rows.ulid(self.rng)}"] = user
            self.book.open(Account(f"wlt_m_{rows.ulid(self.rng)}", currency, exponent, user))
        _HISTORY.write(self.book, self.rng, setup.entries, setup.today)

    def connection(self, urls: Mapping[str, str]) -> JsonObject:
        return {"login": self.client_id, "password": self.api_key, "extra": {}}

    def endpoints(self) -> Mapping[str, Sequence[Endpoint]]:
        home = "/v2.01/{client_id}"
        return {
            self.conn_type: (
                Endpoint("POST", "/v2.01/oauth/token", self._token, Kind.TOKEN),
                Endpoint("GET", home + "/clients", self._client),
                Endpoint("GET", home + "/users", self._users),
                Endpoint("GET", home + "/users/{user_id}", self._user),
                Endpoint("GET", home + "/users/{user_id}/wallets", self._wallets),
                Endpoint("GET", home + "/users/{user_id}/bankaccounts", self._bank_accounts),
                Endpoint("GET", home + "/users/{user_id}/transactions", self._user_transactions),
                Endpoint("GET", home + "/wallets/{wallet_id}", self._wallet),
                Endpoint("GET", home + "/wallets/{wallet_id}/transactions", self._wallet_transactions),
                Endpoint("POST", home + "/payouts/bankwire", self._create_payout),
                Endpoint("GET", home + "/payouts/bankwire/{key}", self._payout),
                Endpoint("GET", home + "/payouts/{key}", self._payout),
                Endpoint("GET", home + "/responses/{key}", self._response),
            )
        }

    def error(self, kind: Kind, status: int, message: str) -> Any:
        if kind is Kind.TOKEN:
            return oauth_error(status, message)
        types = {404: "ressource_not_found", 429: "rate_limit", 409: "idempotent_creation_conflict"}
        return self._error(types.get(status, "param_error" if status < 500 else "internal_error"), message)

    def _error(self, name: str, message: str, errors: Mapping[str, str] | None = None) -> JsonObject:
        return rows.error(name, message, self.now(), errors)

    def decorate(self, response: Response, kind: Kind) -> None:
        if kind is Kind.DATA:
            made, now = self.stats["calls"], int(self.now())
            response.headers["x-ratelimit"] = ", ".join(str(made) for _ in _RATE_LIMITS)
            response.headers["x-ratelimit-remaining"] = ", ".join(str(max(0, top - made)) for _, top in _RATE_LIMITS)
            response.headers["x-ratelimit-reset"] = ", ".join(str(now + length) for length, _ in _RATE_LIMITS)

    def truth(self) -> JsonObject:
        creditors = [{"bank_reference": key, "user_id": user} for key, user in self.creditors.items()]
        return {**super().truth(), "creditors": creditors}

    # Authentication

    async def _token(self, request: Request) -> Any:
        self._check_basic(request)
        if self._grant(await self._token_form(request)) != "client_credentials":
            raise WireError("The grant_type is not supported")
        token, left = self.access_token(lambda lifetime: self.access_tokens.issue(tokens.opaque(), lifetime))
        return {"access_token": token.value, "token_type": "bearer", "expires_in": self.stated_seconds(left)}

    async def _token_form(self, request: Request) -> Mapping[str, Any]:
        # The bank's own Python SDK sends JSON text under the form's content type.
        require_content_type(request, "application/x-www-form-urlencoded")
        try:
            body = json.loads(await request.body())
        except ValueError:
            return await form_body(request)
        return body if isinstance(body, dict) else {}

    def _grant(self, form: Mapping[str, Any]) -> Any:
        if set(form) != {"grant_type"}:
            raise WireError("The body holds grant_type and nothing else")
        return form["grant_type"]

    def _check_basic(self, request: Request) -> None:
        given = basic(request)
        description = "The authorization header was malformed or not recognized"
        malformed = {"error": "invalid_client", "error_description": description}
        if given is None:
            raise Refused(401, malformed, ["protocol_errors"])
        if given != (self.client_id, self.api_key):
            raise Refused(401, malformed, ["refused_logins"])
        if self.faults.get("locked"):
            description = "This account has been temporarily locked because of too many failed attempts"
            raise Refused(400, {"error": "unauthorized_client", "error_description": description}, ["refused_logins"])

    async def authenticate(self, request: Request) -> None:
        scheme, value = authorization(request)
        if scheme == "basic":
            self._check_basic(request)
        elif scheme != "bearer" or not value:
            raise self._invalid_credentials(["protocol_errors"])
        elif self.live_token(value) is None:
            raise self._invalid_credentials([])

    async def _enter(self, request: Request) -> None:
        await self.authenticate(request)
        if request.path_params["client_id"] != self.client_id:
            raise WireError("The client in the path is not the one authenticated", 403)

    def _invalid_credentials(self, counts: Sequence[str]) -> Refused:
        body = self._error("invalid_credentials", "The authorization credentials are not valid")
        return Refused(401, body, counts)

    async def _enter_list(self, request: Request) -> None:
        """As `_enter`, for what a user may have to consent to."""
        await self._enter(request)
        if self.faults.get("sca_required"):
            where = f"https://sca.sandbox.mangopay.com/?token={tokens.opaque()}"
            raise Refused(401, None, headers={"www-authenticate": f"PendingUserAction redirectUrl={where}"})

    # Users and wallets

    def _missing(self, what: str) -> Refused:
        errors = {"RessourceNotFound": f"Cannot found the ressource {what}"}
        return Refused(404, self._error("ressource_not_found", "The ressource does not exist", errors))

    def _found_wallet(self, wallet_id: str) -> Account:
        if wallet_id not in self.book.accounts:
            raise self._missing(f"Wallet with the id={wallet_id}")
        return self.book.accounts[wallet_id]

    def _user_ids(self) -> list[str]:
        return list(dict.fromkeys(account.owner for account in self.book.accounts.values()))

    def _found_user(self, request: Request) -> str:
        user_id: str = request.path_params["user_id"]
        if user_id not in self._user_ids():
            raise self._missing(f"User with the id={user_id}")
        return user_id

    async def _client(self, request: Request) -> Any:
        await self._enter(request)
        return {"PlatformType": "OTHER", "ClientId": self.client_id, "Name": "Nostro", "RegisteredName": "Nostro"}

    async def _users(self, request: Request) -> Any:
        await self._enter(request)
        return rows.page(request, [rows.user_row(user_id) for user_id in self._user_ids()])

    async def _user(self, request: Request) -> Any:
        await self._enter(request)
        return rows.user_row(self._found_user(request))

    async def _wallets(self, request: Request) -> Any:
        await self._enter_list(request)
        user_id = self._found_user(request)
        return rows.page(
            request, [item for item in self.book.accounts.values() if item.owner == user_id], rows.wallet_row
        )

    async def _wallet(self, request: Request) -> Any:
        await self._enter_list(request)
        return rows.wallet_row(self._found_wallet(request.path_params["wallet_id"]))

    async def _bank_accounts(self, request: Request) -> Any:
        await self._enter(request)
        user_id = self._found_user(request)
        accounts = [rows.bank_account_row(key, user) for key, user in self.creditors.items() if user == user_id]
        return rows.page(request, accounts)

    # Transactions

    async def _wallet_transactions(self, request: Request) -> Any:
        await self._enter_list(request)
        account = self._found_wallet(request.path_params["wallet_id"])
        return self._listed(request, [line.movement for line in self.book.lines(account.account_id)])

    async def _user_transactions(self, request: Request) -> Any:
        await self._enter_list(request)
        user_id = self._found_user(request)
        return self._listed(request, [m for m in self.book.movements.values() if user_id in rows.parties(m)])

    def _listed(self, request: Request, movements: list[Movement]) -> Response:
        """Filtered, sorted and paged; the books already stand in the order of creation."""
        query = request.query_params
        after = query_int(request, "AfterDate", -1)
        before = query_int(request, "BeforeDate", 2**62)
        sort = query.get("Sort", "CreationDate:DESC")
        if sort.upper() not in ("CREATIONDATE:ASC", "CREATIONDATE:DESC"):
            raise WireError("Sort must be CreationDate:ASC or CreationDate:DESC")
        wanted = {name: set(query[name].split(",")) for name in ("Status", "Type", "Nature") if query.get(name)}
        found = [
            movement
            for movement in movements
            if after < movement.created.timestamp() < before
            and all(rows.facet(movement, name) in values for name, values in wanted.items())
        ]
        if sort.upper().endswith("DESC"):
            found.reverse()
        return rows.page(request, found, rows.transaction_row)

    # Payouts

    async def _create_payout(self, request: Request) -> Any:
        await self._enter(request)
        key = request.headers.get("idempotency-key")
        if key is not None:
            # With the body in hand nothing comes between the check of the key and its use.
            await request.body()
            self.payouts.check_key(key)
        try:
            response = json_response(self.payouts.pay(await json_body(request), key))
            self.stats.count("payouts")
        except WireError as error:
            self.stats.count("protocol_errors")
            response = json_response(self.error(Kind.DATA, error.status, error.message), error.status)
        except Refused as refused:
            self.stats.count(*refused.counts)
            response = refused.response
        if key is not None:
            self.payouts.keep(key, request, response)
        return response

    async def _response(self, request: Request) -> Any:
        await self._enter(request)
        recorded = self.payouts.kept(request.path_params["key"])
        if recorded is None:
            raise self._missing("Response")
        return recorded

    async def _payout(self, request: Request) -> Any:
        await self._enter(request)
        movement = self.book.movements.get(request.path_params["key"])
        if movement is None or movement.kind != "PAYOUT" or movement.undoes:
            raise self._missing("Payout")
        return rows.payout_row(movement)
