"""What is installed: one wheel, two entry points, a provider that Airflow finds, modules that do not get in the way."""

import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from nostro import registry
from nostro.provider_info import get_provider_info
from nostro_demo.airflow import REPOSITORY


def python(code: str, **env: str) -> str:
    """Run `code` in an interpreter of its own; gives what it printed last."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **env}, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    target = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*build, str(target), str(REPOSITORY)], check=True, timeout=120, capture_output=True)
    return zipfile.ZipFile(next(target.glob("*.whl")))


def test_the_wheel_holds_the_provider_and_the_sandbox(wheel):
    names = wheel.namelist()
    assert "nostro/py.typed" in names
    assert "nostro_sandbox/__main__.py" in names
    assert {f"nostro/banks/{bank}/hook.py" for bank in registry.BANKS} <= set(names)
    assert not [name for name in names if name.startswith(("tests", "nostro_demo", "dags"))]
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_entry_points_are_airflows():
    found = {(e.group, e.name): e for e in metadata.distribution("airflow-provider-nostro").entry_points}
    assert found["apache_airflow_provider", "provider_info"].load()()["name"] == "Nostro"
    assert found["airflow.plugins", "nostro"].load().name == "nostro"


def test_the_package_name_is_the_distributions():
    """Another one makes Airflow's provider discovery fail for everybody."""
    assert get_provider_info()["package-name"] == metadata.metadata("airflow-provider-nostro")["Name"]


def test_each_connection_type_finds_its_hook():
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    hooks = ProvidersManagerTaskRuntime().hooks
    for manifest in registry.manifests():
        found = hooks[manifest.conn_type]
        assert found is not None, f"{manifest.conn_type}: its hook cannot be imported"
        assert found.connection_id_attribute_name == "conn_id"
        assert found.hook_name == manifest.title
        hook = found.hook_class_name.rpartition(".")[2]
        assert hook == manifest.hook_class.rpartition(".")[2]


PLUGINS_FOLDER = """
import sys
from airflow.plugins_manager import _get_plugins
plugins, errors = _get_plugins()
bare = [name for name in sys.modules if name in {'lease', 'seal', 'wire', 'money', 'manifest', 'plugin', 'lake'}]
print(sorted(p.name for p in plugins if p.name == 'nostro'), dict(errors), bare)
"""


def test_the_plugins_folder_loads_nothing_by_its_bare_name(tmp_path):
    """plugins/.airflowignore keeps Airflow from running each module as a top-level one; seen to matter below."""
    folder = str(REPOSITORY / "plugins")
    assert python(PLUGINS_FOLDER, AIRFLOW__CORE__PLUGINS_FOLDER=folder) == "['nostro'] {} []"
    spoilt = tmp_path / "plugins"
    spoilt.mkdir()
    (spoilt / "nostro").symlink_to(REPOSITORY / "plugins" / "nostro")
    assert "'money'" in python(PLUGINS_FOLDER, AIRFLOW__CORE__PLUGINS_FOLDER=str(spoilt))


def test_from_the_plugins_folder_alone_hooks_work_by_their_classes(tmp_path):
    """Without the distribution there are no connection types, but the classes are there."""
    code = (
        "import sys; sys.path = [p for p in sys.path if 'plugins' not in p and 'include' not in p];"
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f).lower()];"
        f"sys.path.append({str(REPOSITORY / 'plugins')!r});"
        "from nostro.banks.mangopay.hook import MangopayHook; print(MangopayHook('x').conn_id)"
    )
    assert python(code) == "x"


def test_provider_info_imports_nothing_heavy():
    """It is read in each of Airflow's processes, the command line's included."""
    heavy = "{'httpx', 'sqlalchemy', 'cryptography', 'pyarrow', 'airflow', 'jwt', 'pendulum', 'iso4217'}"
    read = "import sys; from nostro.provider_info import get_provider_info; get_provider_info();"
    code = f"{read} print(sorted({heavy} & set(sys.modules)))"
    assert python(code) == "[]"


def test_no_module_is_named_like_one_of_the_standard_library():
    names = {path.stem for path in Path(REPOSITORY / "plugins" / "nostro").rglob("*.py")}
    assert not names & (sys.stdlib_module_names - {"__init__"})


def test_constraints_hold_versions_and_no_address():
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    assert all(line.startswith("#") or "==" in line for line in lines)
    assert not [line for line in lines if "://" in line or " @ " in line]
