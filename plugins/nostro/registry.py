"""The banks. A new one is its folder under `nostro.banks` and one line here."""

from importlib import import_module

from nostro.manifest import Manifest

BANKS = (
    "mbanq",
    "m2p",
    "mangopay",
    "kunacore",
    "banking_circle",
)


def manifest(bank: str) -> Manifest:
    found = import_module(f"nostro.banks.{bank}.manifest").MANIFEST
    assert isinstance(found, Manifest)
    return found


def manifests() -> tuple[Manifest, ...]:
    return tuple(map(manifest, BANKS))
