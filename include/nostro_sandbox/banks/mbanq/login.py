"""Mbanq's logins: the password and refresh grants, and JWTs signed by the caller."""

from functools import partial
from typing import Any

import jwt
from starlette.requests import Request

from nostro_sandbox import tokens
from nostro_sandbox.bank import Bank, Refused
from nostro_sandbox.banks.mbanq import rows
from nostro_sandbox.wire import JsonObject, WireError, authorization, form_body, require_fields, require_header

_REFRESH_LIFETIME = 30 * 86400


class Login:
    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self.tenant = "nostro-sandbox"
        self.client_id = "nostro-airflow"
        self.client_secret = bank.secret("client secret", 48)
        self.username = "treasury@nostro-sandbox.example"
        # A form has to escape these.
        self.password = bank.secret("password") + "+&=%"
        self.jwt_secret = bank.secret("jwt secret", 64)
        self.signee = "NOSTRO"

    async def token(self, request: Request) -> Any:
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
        if self._bank.faults.get("locked"):
            raise self._refused_login(400, "invalid_grant", "User account is locked")
        if grant == "refresh_token":
            return self._refreshed(form["refresh_token"])
        if (form["username"], form["password"]) != (self.username, self.password):
            raise self._refused_login(400, "invalid_grant", "Bad credentials")
        return self._granted(tokens.opaque())

    def _check_tenant(self, request: Request, login: bool) -> None:
        tenant = request.query_params.get("tenantIdentifier") or require_header(request, "tenantId")
        if tenant == self.tenant:
            return
        if login:
            raise self._refused_login(401, "unauthorized", f"Invalid tenant identifier: {tenant}")
        raise Refused(401, rows.fineract_error(401, f"Invalid tenant identifier: {tenant}", "error.msg.invalid.tenant"))

    def _refused_login(self, status: int, error: str, description: str) -> Refused:
        return Refused(status, {"error": error, "error_description": description}, ["refused_logins"])

    def _new_refresh_token(self, family: str) -> tokens.Token:
        claims = {"sub": self.username, "isAccessToken": False, "jti": tokens.opaque()}
        lifetime = float(self._bank.faults.get("refresh_lifetime", _REFRESH_LIFETIME))
        return self._bank.refresh_tokens.issue(tokens.signed(claims, self.jwt_secret, "HS512"), lifetime, family)

    def _refreshed(self, value: str) -> JsonObject:
        self._bank.stats.count("refreshes")
        token = self._bank.usable_refresh_token(value)
        if token is None:
            raise Refused(400, {"error": "invalid_grant", "error_description": "Invalid refresh token"})
        if self._bank.faults.get("rotate_refresh"):
            token.used = True
            return self._granted(token.family)
        # Not rotated: the same one comes back.
        return self._granted(token.family, token)

    def _granted(self, family: str, refresh_token: tokens.Token | None = None) -> JsonObject:
        token, left = self._bank.access_token(partial(self._new_token, family))
        return {
            "scope": "all",
            "access_token": token.value,
            "refresh_token": (refresh_token or self._new_refresh_token(token.family)).value,
            "token_type": "bearer",
            "expires_in": self._bank.stated_seconds(left),
        }

    def _new_token(self, family: str, lifetime: float) -> tokens.Token:
        now = int(self._bank.now())
        claims = {
            "sub": self.username,
            "isAccessToken": True,
            "userId": 1,
            "iat": now,
            "exp": int(now + lifetime),
            "jti": tokens.opaque(),
        }
        return self._bank.access_tokens.issue(tokens.signed(claims, self.jwt_secret, "HS512"), lifetime, family)

    def mode(self, request: Request) -> str:
        """Who calls: "jwt" for the signed mode, else "bearer"."""
        self._check_tenant(request, login=False)
        if "jwt-token" in request.headers:
            self._check_signed(request.headers["jwt-token"])
            return "jwt"
        scheme, value = authorization(request)
        if scheme != "bearer" or not value:
            raise Refused(401, self._unauthorized("Full authentication is required"), ["protocol_errors"])
        if self._bank.live_token(value) is None:
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
