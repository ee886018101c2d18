"""MANGOPAY: Basic or OAuth, wallets in minor units, payouts under idempotency keys."""

import json
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from nostro_sandbox import tokens
from nostro_sandbox.bank import Bank, Endpoint, Kind, Refused, Setup
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
_SETTLING_SECONDS = 0.3
_KEY_LIFETIME = 86400
_FOUNDED = 1700000000  # when the users and wallets were made
_KEY = re.compile(r"[A-Za-z0-9-]{16,36}")
# An id of the bank's own, today's or the older numeric sort: never an IBAN.
_CREDITOR = re.compile(r"(bankacc|rec)_[A-Za-z0-9_]+|\d{5,}")
_MODES = (None, "STANDARD", "INSTANT_PAYMENT", "INSTANT_PAYMENT_ONLY", "RTGS_PAYMENT")
_STATUS = {BOOK: "SUCCEEDED", PDNG: "CREATED", FAIL: "FAILED"}
_RATE_LIMITS = ((900, 2300), (1800, 4500), (3600, 8800), (86400, 105600))
_PREFIXES = {"PAYIN": "wt", "TRANSFER": "xfer_m", "PAYOUT": "po_m"}
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def _new_key(rng: Random, index: int, movement: Movement) -> str:
    prefix = "refund_m" if movement.undoes else _PREFIXES[movement.kind]
    return f"{prefix}_{_ulid(rng)}"


def _ulid(rng: Random) -> str:
    return "01" + "".join(rng.choice(_CROCKFORD) for _ in range(24))


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
    own_faults: ClassVar[Mapping[str, Check]] = {"sca_required": flag, "hold_payouts": flag}

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.client_id = "nostrosandbox"
        self.api_key = self.secret("api key", 50)
        self.creditors: dict[str, str] = {}
        self._due: dict[str, float] = {}
        self._payouts: list[JsonObject] = []
        self._responses: dict[str, tuple[float, JsonObject]] = {}
        for index in range(setup.accounts):
            currency, exponent = _CURRENCIES[index % len(_CURRENCIES)]
            if index % 2 == 0:
                user = f"user_m_{_ulid(self.rng)}"
                self.creditors[f"bankacc_m_{_ulid(self.rng)}"] = user
            self.book.open(Account(f"wlt_m_{_ulid(self.rng)}", currency, exponent, user))
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
        return {"Message": message, "Type": name, "Id": str(uuid.uuid4()), "Date": int(self.now()), "errors": errors}

    def decorate(self, response: Response, kind: Kind) -> None:
        if kind is Kind.DATA:
            made, now = self.stats["calls"], int(self.now())
            response.headers["x-ratelimit"] = ", ".join(str(made) for _ in _RATE_LIMITS)
            response.headers["x-ratelimit-remaining"] = ", ".join(str(max(0, top - made)) for _, top in _RATE_LIMITS)
            response.headers["x-ratelimit-reset"] = ", ".join(str(now + length) for length, _ in _RATE_LIMITS)

    def truth(self) -> JsonObject:
        self._settle()
        payouts = [
            {**payout, "status": _STATUS[self.book.movements[payout["payout_id"]].status]} for payout in self._payouts
        ]
        creditors = [{"bank_reference": key, "user_id": user} for key, user in self.creditors.items()]
        return {**super().truth(), "payouts": payouts, "creditors": creditors}

    # Authentication

    async def _token(self, request: Request) -> Any:
        self._check_basic(request)
        if self._grant(await self._token_form(request)) != "client_credentials":
            raise WireError("The grant_type is not supported")
        lifetime = self.lifetime()
        token = self.access_tokens.issue(tokens.opaque(), lifetime)
        expires_in = self.stated_lifetime(lifetime if lifetime % 1 else int(lifetime))
        return {"access_token": token.value, "token_type": "bearer", "expires_in": expires_in}

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

    def _enter(self, request: Request) -> None:
        scheme, value = authorization(request)
        if scheme == "basic":
            self._check_basic(request)
        elif scheme != "bearer" or not value:
            raise self._invalid_credentials(["protocol_errors"])
        elif self.live_token(value) is None:
            raise self._invalid_credentials([])
        if request.path_params["client_id"] != self.client_id:
            raise WireError("The client in the path is not the one authenticated", 403)
        self._settle()

    def _invalid_credentials(self, counts: Sequence[str]) -> Refused:
        body = self._error("invalid_credentials", "The authorization credentials are not valid")
        return Refused(401, body, counts)

    def _enter_list(self, request: Request) -> None:
        """As `_enter`, for what a user may have to consent to."""
        self._enter(request)
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
        self._enter(request)
        return {"PlatformType": "OTHER", "ClientId": self.client_id, "Name": "Nostro", "RegisteredName": "Nostro"}

    async def _users(self, request: Request) -> Any:
        self._enter(request)
        return _page(request, [_user_row(user_id) for user_id in self._user_ids()])

    async def _user(self, request: Request) -> Any:
        self._enter(request)
        return _user_row(self._found_user(request))

    async def _wallets(self, request: Request) -> Any:
        self._enter_list(request)
        user_id = self._found_user(request)
        return _page(request, [item for item in self.book.accounts.values() if item.owner == user_id], _wallet_row)

    async def _wallet(self, request: Request) -> Any:
        self._enter_list(request)
        return _wallet_row(self._found_wallet(request.path_params["wallet_id"]))

    async def _bank_accounts(self, request: Request) -> Any:
        self._enter(request)
        user_id = self._found_user(request)
        return _page(request, [_bank_account_row(key, user) for key, user in self.creditors.items() if user == user_id])

    # Transactions

    async def _wallet_transactions(self, request: Request) -> Any:
        self._enter_list(request)
        account = self._found_wallet(request.path_params["wallet_id"])
        return self._listed(request, [line.movement for line in self.book.lines(account.account_id)])

    async def _user_transactions(self, request: Request) -> Any:
        self._enter_list(request)
        user_id = self._found_user(request)
        return self._listed(request, [m for m in self.book.movements.values() if user_id in _parties(m)])

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
            and all(_facet(movement, name) in values for name, values in wanted.items())
        ]
        if sort.upper().endswith("DESC"):
            found.reverse()
        return _page(request, found, _transaction_row)

    # Payouts

    async def _create_payout(self, request: Request) -> Any:
        self._enter(request)
        key = request.headers.get("idempotency-key")
        if key is not None:
            self._check_key(key)
        try:
            response = json_response(self._pay(await json_body(request), key))
        except WireError as error:
            self.stats.count("protocol_errors")
            response = json_response(self.error(Kind.DATA, error.status, error.message), error.status)
        except Refused as refused:
            self.stats.count(*refused.counts)
            response = refused.response
        if key is not None:
            # Kept whatever came of it: the key is used up even by a failure.
            self._responses[key] = (time.time(), self._recorded(request, response))
        return response

    def _check_key(self, key: str) -> None:
        if not _KEY.fullmatch(key):
            raise WireError("The Idempotency-Key must have 16 to 36 characters of A-Z, a-z, 0-9 and -")
        if self._kept(key) is not None:
            message = "A resource has already been created with this Idempotency Key"
            raise Refused(409, self._error("idempotent_creation_conflict", message))

    def _kept(self, key: str) -> JsonObject | None:
        at, recorded = self._responses.get(key, (0.0, {}))
        return recorded if time.time() < at + _KEY_LIFETIME else None

    def _recorded(self, request: Request, response: Response) -> JsonObject:
        return {
            "StatusCode": str(response.status_code),
            "ContentLength": str(len(bytes(response.body))),
            "ContentType": "application/json",
            "Date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(self.now())),
            "RequestURL": str(request.url),
            "Resource": json.loads(bytes(response.body)),
        }

    async def _response(self, request: Request) -> Any:
        self._enter(request)
        recorded = self._kept(request.path_params["key"])
        if recorded is None:
            raise self._missing("Response")
        return recorded

    def _pay(self, body: JsonObject, key: str | None) -> JsonObject:
        account, debited, fees = self._checked_payout(body)
        covered = debited <= account.balance
        movement = Movement(
            kind="PAYOUT",
            created=datetime.fromtimestamp(int(self.now()), UTC),
            booked=None,
            status=PDNG,
            currency=account.currency,
            exponent=account.exponent,
            debit=account,
            credit=None,
            debit_minor=debited,
            credit_minor=debited - fees,
            key=f"po_m_{_ulid(Random())}",
            end_to_end_id=body.get("Tag"),
            details={"request": body, "end_to_end": uuid.uuid4().hex, "covered": covered},
        )
        self.book.add(movement)
        if covered:
            account.balance -= debited
        self._due[movement.key] = time.time() + _SETTLING_SECONDS
        self._payouts.append(_payout_truth(movement, key))
        self.stats.count("payouts")
        return _payout_row(movement)

    def _checked_payout(self, body: JsonObject) -> tuple[Account, int, int]:
        errors = {}
        account = self.book.accounts.get(str(body.get("DebitedWalletId")))
        if account is None:
            errors["DebitedWalletId"] = "The DebitedWalletId is required and must be a wallet"
        if account is None or body.get("AuthorId") != account.owner:
            errors["AuthorId"] = "The AuthorId must be the owner of the wallet"
        if not _CREDITOR.fullmatch(str(body.get("BankAccountId"))):
            errors["BankAccountId"] = "The BankAccountId must be the id of a bank account or recipient"
        for name, low in (("DebitedFunds", 1), ("Fees", 0)):
            if account is None or not _is_money(body.get(name), account.currency, low):
                errors[name] = "A whole number of minor units in the currency of the wallet is required"
        if len(body.get("BankWireRef") or "") > 255 or len(body.get("Tag") or "") > 255:
            errors["BankWireRef"] = "At most 255 characters"
        if body.get("PayoutModeRequested") not in _MODES:
            errors["PayoutModeRequested"] = "Not a payout mode"
        if errors or account is None:
            message = "One or several required parameters are missing or incorrect"
            raise Refused(400, self._error("param_error", message, errors), ["protocol_errors"])
        debited, fees = body["DebitedFunds"]["Amount"], body["Fees"]["Amount"]
        if fees >= debited:
            raise Refused(400, self._error("param_error", "The fees eat up the payout", {"Fees": "Too high"}))
        return account, debited, fees

    async def _payout(self, request: Request) -> Any:
        self._enter(request)
        movement = self.book.movements.get(request.path_params["key"])
        if movement is None or movement.kind != "PAYOUT" or movement.undoes:
            raise self._missing("Payout")
        return _payout_row(movement)

    def _settle(self) -> None:
        """Execute the payouts that are due; nothing runs in the background."""
        if self.faults.get("hold_payouts"):
            return
        for key in [key for key, due in self._due.items() if due <= time.time()]:
            movement = self.book.movements[key]
            del self._due[key]
            movement.booked = datetime.fromtimestamp(int(self.now()), UTC)
            movement.status = BOOK if movement.details["covered"] else FAIL


def _is_money(value: Any, currency: str, low: int) -> bool:
    if not isinstance(value, dict) or set(value) != {"Currency", "Amount"}:
        return False
    amount = value["Amount"]
    whole = isinstance(amount, int) and not isinstance(amount, bool)
    return whole and amount >= low and value["Currency"] == currency


def _page(request: Request, items: Sequence[Any], row: Any = lambda item: item) -> Response:
    page = query_int(request, "page", 1, low=1)
    size = query_int(request, "per_page", 10, low=1, high=100)
    pages = -(-len(items) // size)
    headers = {"x-number-of-pages": str(pages), "x-number-of-items": str(len(items))}
    links = {"first": 1, "prev": page - 1, "next": page + 1, "last": pages}
    headers["link"] = ", ".join(
        f'<{request.url.include_query_params(page=number)}>; rel="{name}"'
        for name, number in links.items()
        if 1 <= number <= pages
    )
    return json_response([row(item) for item in items[(page - 1) * size : page * size]], headers=headers)


def _user_row(user_id: str) -> JsonObject:
    return {
        "Id": user_id,
        "PersonType": "LEGAL",
        "LegalPersonType": "BUSINESS",
        "Name": f"Nostro Merchant {user_id[-4:]}",
        "Email": f"{user_id[-6:].lower()}@nostro-sandbox.example",
        "KYCLevel": "REGULAR",
        "UserCategory": "OWNER",
        "UserStatus": "ACTIVE",
        "Tag": None,
        "CreationDate": _FOUNDED,
    }


def _wallet_row(account: Account) -> JsonObject:
    return {
        "Description": f"Nostro {account.currency}",
        "Owners": [account.owner],
        "Id": account.account_id,
        "Balance": _money(account.currency, account.balance),
        "Currency": account.currency,
        "FundsType": "DEFAULT",
        "Tag": None,
        "CreationDate": _FOUNDED,
    }


def _bank_account_row(key: str, user_id: str) -> JsonObject:
    return {
        "Id": key,
        "UserId": user_id,
        "Type": "IBAN",
        "OwnerName": "Nordwind Handels GmbH",
        "IBAN": "DE89370400440532013000",
        "BIC": "COBADEFFXXX",
        "Active": True,
        "Tag": None,
        "CreationDate": _FOUNDED,
    }


def _money(currency: str, minor: int) -> JsonObject:
    return {"Currency": currency, "Amount": minor}


def _parties(movement: Movement) -> set[str]:
    return {account.owner for account in (movement.debit, movement.credit) if account is not None}


def _type(movement: Movement) -> str:
    """A refund of money in goes out, and the other way round; a transfer stays a transfer."""
    if movement.undoes is None:
        return movement.kind
    return {"PAYIN": "PAYOUT", "PAYOUT": "PAYIN", "TRANSFER": "TRANSFER"}[movement.kind]


def _facet(movement: Movement, name: str) -> str:
    if name == "Status":
        return _STATUS[movement.status]
    if name == "Type":
        return _type(movement)
    return "REFUND" if movement.undoes else "REGULAR"


def _transaction_row(movement: Movement) -> JsonObject:
    author = movement.debit or movement.credit
    assert author is not None
    executed = movement.booked is not None and movement.status == BOOK
    code, message = {BOOK: ("000000", "Success"), FAIL: ("001001", "Unsufficient wallet balance")}.get(
        movement.status, (None, None)
    )
    return {
        "Id": movement.key,
        "Tag": movement.end_to_end_id,
        "CreationDate": int(movement.created.timestamp()),
        "AuthorId": author.owner,
        "CreditedUserId": movement.credit.owner if movement.credit else None,
        "DebitedFunds": _money(movement.currency, movement.debit_minor),
        "CreditedFunds": _money(movement.currency, movement.credit_minor),
        "Fees": _money(movement.currency, movement.debit_minor - movement.credit_minor),
        "Status": _STATUS[movement.status],
        "ResultCode": code,
        "ResultMessage": message,
        "ExecutionDate": int(movement.booked.timestamp()) if executed and movement.booked else None,
        "Type": _type(movement),
        "Nature": _facet(movement, "Nature"),
        "CreditedWalletId": movement.credit.account_id if movement.credit else None,
        "DebitedWalletId": movement.debit.account_id if movement.debit else None,
        "DepositId": None,
    }


def _payout_row(movement: Movement) -> JsonObject:
    asked = movement.details.get("request", {})
    row = _transaction_row(movement)
    row.pop("DepositId")
    return {
        **row,
        "PaymentType": "BANK_WIRE",
        "BankAccountId": asked.get("BankAccountId"),
        "BankWireRef": asked.get("BankWireRef"),
        "ModeRequested": asked.get("PayoutModeRequested"),
        "ModeApplied": "STANDARD" if movement.status == BOOK else "PENDING_RESPONSE",
        "FallbackReason": None,
        "EndToEndId": movement.details.get("end_to_end"),
    }


def _payout_truth(movement: Movement, key: str | None) -> JsonObject:
    assert movement.debit is not None
    asked = movement.details["request"]
    return {
        "payout_id": movement.key,
        "account_id": movement.debit.account_id,
        "amount_minor": movement.debit_minor,
        "currency": movement.currency,
        "exponent": movement.exponent,
        "end_to_end_id": movement.end_to_end_id,
        "idempotency_key": key,
        "bank_reference": asked["BankAccountId"],
        "bank_wire_ref": asked.get("BankWireRef"),
        "created_at": int(movement.created.timestamp()),
    }
