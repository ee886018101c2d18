"""One module a bank. A new one is found by being here."""

import importlib
import inspect
import pkgutil

from nostro_sandbox.bank import Bank


def all_banks() -> list[type[Bank]]:
    found = []
    for module_info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        for _, item in inspect.getmembers(module, inspect.isclass):
            if issubclass(item, Bank) and item.__module__ == module.__name__:
                found.append(item)
    return found
