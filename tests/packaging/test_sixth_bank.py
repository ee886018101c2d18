"""A sixth bank is its folder, one line in the registry, its emulator and its contract test, and nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nostro_demo.airflow import REPOSITORY

TOY = Path(__file__).with_name("toy_bank")


@pytest.fixture
def tree(tmp_path) -> Path:
    """The project with the toy bank added: four additions and one line."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    for part in ("plugins", "include", "tests/contract"):
        shutil.copytree(REPOSITORY / part, tmp_path / part, ignore=ignore)
    for name in ("pyproject.toml", "tests/conftest.py", "airflow_settings.yaml"):
        shutil.copy(REPOSITORY / name, tmp_path / name)
    shutil.copytree(TOY / "bank", tmp_path / "plugins/nostro/banks/toy")
    shutil.copy(TOY / "emulator.py", tmp_path / "include/nostro_sandbox/banks/toy.py")
    shutil.copy(TOY / "contract.py", tmp_path / "tests/contract/test_toy.py")
    registry = tmp_path / "plugins/nostro/registry.py"
    registry.write_text(registry.read_text().replace('    "banking_circle",\n', '    "banking_circle",\n    "toy",\n'))
    return tmp_path


def test_the_toy_bank_keeps_every_promise(tree):
    """Its hook, form and contract come from the registry alone; the whole contract suite runs for it."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "toy", "tests/contract"]
    paths = os.pathsep.join((str(tree / "plugins"), str(tree / "include")))
    env = {**os.environ, "PYTHONPATH": paths, "TOY_TREE": str(tree)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=tree, env=env, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout.splitlines()[-1]


def test_nothing_outside_a_banks_own_rooms_names_it():
    """Shared code knows no bank; the demo's DAGs, settings and documents are for these five."""
    shared = [
        path
        for root in ("plugins/nostro", "include/nostro_sandbox")
        for path in (REPOSITORY / root).rglob("*.py")
        if "banks" not in path.relative_to(REPOSITORY / root).parts and path.name != "registry.py"
    ]
    assert len(shared) > 20
    banks = ("mbanq", "m2p", "mangopay", "kunacore", "kuna_core", "banking_circle", "bankingcircle")
    named = {path.name: bank for path in shared for bank in banks if bank in code_of(path).lower()}
    assert not named


def code_of(path: Path) -> str:
    """A module's code without comments and docstrings, where a bank may well serve as the example."""
    import ast

    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [n for n in body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))] or [
                ast.Pass()
            ]
    return ast.unparse(tree)
