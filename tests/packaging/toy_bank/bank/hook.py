from nostro.banks.toy.api import ToyApi
from nostro.banks.toy.auth import access

from nostro.call import Caller
from nostro.hooks.base import BankHook


class ToyHook(BankHook[ToyApi]):
    conn_type = "toy"
    default_conn_name = "toy_default"
    hook_name = "Toy Bank"
    open_access = staticmethod(access)

    def api(self, caller: Caller) -> ToyApi:
        return ToyApi(caller)
