from nostro.banks.m2p.api import M2pApi
from nostro.banks.m2p.auth import access
from nostro.call import Caller
from nostro.hooks.base import BankHook


class M2pHook(BankHook[M2pApi]):
    """M2P: accounts, statements, and a signed client for everything else."""

    conn_type = "m2p"
    default_conn_name = "m2p_default"
    hook_name = "M2P"
    open_access = staticmethod(access)

    def api(self, caller: Caller) -> M2pApi:
        return M2pApi(caller, self.fields.texts("entity_ids"))
