from nostro.banks.kunacore.api import KunaCoreApi
from nostro.banks.kunacore.auth import access
from nostro.call import Caller
from nostro.hooks.base import BankHook


class KunaCoreHook(BankHook[KunaCoreApi]):
    """Kuna Core: accounts, statements, and a signed client for everything else."""

    conn_type = "kunacore"
    default_conn_name = "kunacore_default"
    hook_name = "Kuna Core"
    open_access = staticmethod(access)

    def api(self, caller: Caller) -> KunaCoreApi:
        return KunaCoreApi(caller)
