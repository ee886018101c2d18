from nostro.banks.mangopay.api import MangopayApi
from nostro.banks.mangopay.auth import access
from nostro.banks.mangopay.payouts import MangopayPayouts
from nostro.call import Caller
from nostro.hooks.base import BankHook
from nostro.values import Payout, PayoutReport


class MangopayHook(BankHook[MangopayApi]):
    """MANGOPAY: accounts, statements, bank-wire payouts, and a signed client for everything else."""

    conn_type = "mangopay"
    default_conn_name = "mangopay_default"
    hook_name = "MANGOPAY"
    open_access = staticmethod(access)

    def api(self, caller: Caller) -> MangopayApi:
        return MangopayApi(caller, self.fields.require("login", "your ClientId"))

    def submit_payout(self, payout: Payout) -> PayoutReport:
        """Send one credit transfer; calling again with the same payout sends nothing twice within a day.

        Raises PayoutConflict, OutcomeUnknown, ConfigurationError and other NostroErrors.
        """
        with self.calling() as api:
            return MangopayPayouts(api, self.access.line.origin).submit(payout)

    def payout_status(self, payout: Payout) -> PayoutReport:
        """What became of `payout`. Raises NostroError."""
        with self.calling() as api:
            return MangopayPayouts(api, self.access.line.origin).status(payout)
