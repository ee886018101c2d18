from nostro.banks.mbanq.api import MbanqApi
from nostro.banks.mbanq.auth import access
from nostro.call import Caller
from nostro.hooks.base import BankHook


class MbanqHook(BankHook[MbanqApi]):
    """Mbanq: accounts, statements, and a signed client for everything else."""

    conn_type = "mbanq"
    default_conn_name = "mbanq_default"
    hook_name = "Mbanq"
    open_access = staticmethod(access)

    def api(self, caller: Caller) -> MbanqApi:
        return MbanqApi(caller)
