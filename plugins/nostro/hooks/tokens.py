"""The token cache of this process, as section [nostro] wants it: one for all hooks of the process."""

import os
import threading
from functools import cache

from airflow.sdk.configuration import conf
from airflow.sdk.log import mask_secret
from cryptography.fernet import Fernet

from nostro import settings
from nostro.auth.cache import TokenCache
from nostro.auth.seal import Seal
from nostro.database import open_database
from nostro.hooks.parking import TaskParked

_making = threading.Lock()
os.register_at_fork(before=_making.acquire, after_in_parent=_making.release, after_in_child=_making.release)


def token_cache() -> TokenCache:
    """The process's token cache. Raises SettingError if there is no sound key or no usable store."""
    store = settings.store()
    # Airflow's key serves a file on one machine only: a worker elsewhere may hold a private one without knowing.
    keys = settings.seal_keys() or (_airflow_keys() if store.startswith("sqlite") else [])
    with _making:  # two at once would be two caches, and with them two logins
        return _token_cache(store, tuple(keys))


@cache
def _token_cache(store: str, keys: tuple[str, ...]) -> TokenCache:
    for key in keys:
        mask_secret(key)
    seal = Seal(keys)
    return TokenCache(open_database(store), seal, mask=mask_secret, due=TaskParked)


def _airflow_keys() -> list[str]:
    """Airflow's own Fernet keys, if they are real ones; none otherwise.

    Asked of the configuration, not of get_fernet(): without a key that one hands out a stand-in which leaves everything
    in clear, and where the worker has no key it fails on the placeholder in Airflow's defaults.
    """
    keys = [key.strip() for key in (conf.get("core", "fernet_key", fallback="") or "").split(",") if key.strip()]
    try:
        for key in keys:
            Fernet(key)
    except ValueError:
        keys = []
    return keys
