"""What can go wrong, as one tree; each branch says by its `remedy` what should happen next.

NostroError
├── ConfigurationError            the connection or `[nostro]` lacks or contradicts something     fail
│   ├── SettingError              the same of a setting in section [nostro]                       fail
│   └── CertificateError          a certificate or key cannot be used                             fail
├── AuthError
│   ├── CredentialsRefused        the bank knows the request and says no                          fail
│   │   └── CodeRefused           the same of a second factor's code                              fail
│   ├── AccountLocked             too many refused logins                                         ask
│   ├── PasswordExpired           a person has to set a new one at the bank                       ask
│   ├── AddressRefused            not the credentials, but where they come from                   ask
│   ├── SecondFactorDue           a code is due that no task can make                             park
│   ├── TokenEndpointUnavailable  outage, no network, no answer                                   retry
│   │   └── LoginsThrottled       too many token requests                                         retry
│   ├── LeaseTimeout              another worker holds the login for too long                     retry
│   ├── NoTokenInThisMode         Basic, API key and signed JWT have none                         fail
│   └── SealBroken                a sealed token does not open with this process's keys           fail
├── BankError
│   ├── Throttled                 429                                                             retry
│   ├── Unavailable               5xx, no network, no answer                                      retry
│   ├── TokenRefused              401 again, with a token just renewed                            fail
│   ├── Rejected                  the bank understood and said no                                 fail
│   ├── UserActionPending         the account's owner has to confirm at the bank                  ask
│   ├── UnexpectedAnswer          does not fit the bank's documents                               fail
│   └── OutcomeUnknown            a payout may or may not exist; ask for its status               retry
├── StoreUnavailable              nostro's database cannot be reached just now                    retry
├── OriginRefused                 a signed request was about to leave for another host            fail
└── PayoutConflict                the same end_to_end_id with other content                       fail

Messages are templates filled with named fields. What a bank answers never becomes part of one; a field that comes off
the wire (a status, a code) is checked against a short list or a narrow pattern before it gets here.
"""

from datetime import datetime
from typing import Any, ClassVar, Literal

Remedy = Literal["fail", "retry", "park", "ask"]


class NostroError(Exception):
    """Root of the tree.

    `remedy` says what should happen to the task: `fail` at once, `retry` (at `retry_at`, if that is set), `park` until
    something outside arrives, or `ask` a person. `retry_at` is an aware datetime or None. `fields` are what the message
    was made from: text, numbers or None.

    A `final` error is about the credentials: to ask again with them can only do harm, so nobody does until the
    connection changes or a person says so; one that is `this_machine_only` holds nobody else up. `held_since` is set on
    an error that is raised without a request, for one that was made then.
    """

    template: ClassVar[str] = "{reason}"
    remedy: Remedy = "fail"
    final: ClassVar[bool] = False
    this_machine_only: ClassVar[bool] = False
    held_since: datetime | None = None

    def __init__(self, *, retry_at: datetime | None = None, **fields: Any) -> None:
        Exception.__init__(self, self.template.format(**fields))
        self.retry_at = retry_at
        self.fields = fields

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.__dict__)


def _rebuild(cls: type[NostroError], state: dict[str, Any]) -> NostroError:
    error = cls(retry_at=state["retry_at"], **state["fields"])
    error.__dict__.update(state)
    return error


class ConfigurationError(NostroError):
    template = "Connection '{conn_id}', field '{field}': {reason}; {advice}."


class SettingError(ConfigurationError):
    template = "Setting '{field}' in section [nostro]: {reason}; {advice}."


class CertificateError(ConfigurationError):
    pass


class AuthError(NostroError):
    """No token. What went wrong is kept for the whole fleet."""

    def __str__(self) -> str:
        if self.held_since is None:
            return super().__str__()
        return (
            f"{super().__str__()} That was on {self.held_since:%Y-%m-%d at %H:%M:%S} UTC, and nobody has tried since: "
            "correct the connection, or let one try pass by Test connection or by "
            f"`airflow nostro unlock {self.fields['conn_id']}`."
        )


class CredentialsRefused(AuthError):
    template = "Connection '{conn_id}': {bank} at {host} refused the credentials ({code}); check {fields_to_check}."
    final = True


class CodeRefused(CredentialsRefused):
    pass


class AccountLocked(AuthError):
    template = (
        "Connection '{conn_id}': {bank} at {host} has locked this access after too many refused logins; {advice}."
    )
    remedy = "ask"
    final = True


class PasswordExpired(AuthError):
    template = (
        "Connection '{conn_id}': the password of this {bank} user has expired; "
        "set a new one at the bank and enter it in the field 'password'."
    )
    remedy = "ask"
    final = True


class AddressRefused(AuthError):
    template = (
        "Connection '{conn_id}': {bank} at {host} refuses whoever asks from here ({code}), whatever the credentials; "
        "{advice}."
    )
    remedy = "ask"
    this_machine_only = True


class SecondFactorDue(AuthError):
    remedy: Remedy = "park"
    template = "Connection '{conn_id}': {bank} asks for a second factor and {reason}; {advice}."


class TokenEndpointUnavailable(AuthError):
    """`fields["acted"]`: whether the bank may have acted on the request; a refresh token may then be used up."""

    template = "Connection '{conn_id}': {bank}'s token endpoint at {host} gave no token ({reason}); {advice}."
    remedy = "retry"


class LoginsThrottled(TokenEndpointUnavailable):
    pass


class LeaseTimeout(AuthError):
    template = (
        "Connection '{conn_id}': another worker has been logging in to {bank} for more than {seconds} s; "
        "try again, and look at that worker if it goes on."
    )
    remedy = "retry"


class NoTokenInThisMode(AuthError):
    template = "Connection '{conn_id}' uses auth_mode '{mode}', which has no access token; use get_conn()."


class SealBroken(AuthError):
    template = "{what} cannot be opened with the seal keys of this process; {advice}."


class StoreUnavailable(NostroError):
    template = "nostro's database {where} cannot be used: {reason}; {advice}."
    remedy = "retry"


class BankError(NostroError):
    """`fields` holds `conn_id`, `bank`, `operation` (a path, without query), `status` and `request_id`."""

    template = "Connection '{conn_id}': {operation} at {bank} failed ({reason}); {advice}."


class Throttled(BankError):
    remedy = "retry"


class Unavailable(BankError):
    remedy = "retry"


class TokenRefused(BankError):
    pass


class Rejected(BankError):
    pass


class UserActionPending(BankError):
    remedy = "ask"


class UnexpectedAnswer(BankError):
    pass


class OutcomeUnknown(BankError):
    template = (
        "Connection '{conn_id}': {bank} gave no usable answer to {operation} ({reason}), so the payout may or may not "
        "exist; {advice}."
    )
    remedy = "retry"


class OriginRefused(NostroError):
    template = (
        "Connection '{conn_id}' signs requests to {origin} only, not to {other}; "
        "use a client of your own for other hosts."
    )


class PayoutConflict(NostroError):
    template = (
        "Connection '{conn_id}': end_to_end_id '{end_to_end_id}' was already used for a payout with another content "
        "({difference}); give a new payout an id of its own."
    )
