from nostro.banks.banking_circle.api import BankingCircleApi
from nostro.banks.banking_circle.auth import access
from nostro.call import Caller
from nostro.hooks.base import BankHook


class BankingCircleHook(BankHook[BankingCircleApi]):
    """Banking Circle: accounts, statements, and a signed client for everything else."""

    conn_type = "banking_circle"
    default_conn_name = "banking_circle_default"
    hook_name = "Banking Circle"
    open_access = staticmethod(access)

    def api(self, caller: Caller) -> BankingCircleApi:
        return BankingCircleApi(caller)
