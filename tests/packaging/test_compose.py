"""docker-compose.yaml, as far as it can be checked where no container engine runs."""

import os
import re
import shutil
import subprocess

import pytest
import yaml

from nostro_demo.airflow import REPOSITORY

COMPOSE = REPOSITORY / "docker-compose.yaml"
SECRETS = ("POSTGRES_PASSWORD", "FERNET_KEY", "JWT_SECRET", "API_SECRET_KEY")


def config(**env: str) -> subprocess.CompletedProcess[str]:
    if not shutil.which("docker-compose"):
        reason = "docker-compose is missing: apt-get install docker-compose"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    command = ["docker-compose", "--file", str(COMPOSE), "config"]
    bare = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **env}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=bare, check=False)


def test_it_is_a_stack_that_compose_takes():
    done = config(**{name: f"{name.lower()}-value" for name in SECRETS})
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    wanted = {"postgres", "sandbox", "api-server", "scheduler", "dag-processor", "triggerer"}
    assert wanted <= set(services)


def test_without_its_secrets_it_refuses_and_says_how_to_make_them():
    done = config()
    assert done.returncode != 0
    assert ".env" in done.stderr


def test_it_holds_no_secret_of_its_own():
    """Each secret is a required variable; nothing that looks like a key or a password is written out."""
    text = COMPOSE.read_text()
    assert all(f"${{{name}:?" in text for name in SECRETS)
    assert not re.search(r"[A-Za-z0-9_-]{40,}=?", re.sub(r"\S*/\S*|AIRFLOW__\w+", "", text))


def test_the_sandboxs_ports_are_those_of_the_settings():
    settings = (REPOSITORY / "airflow_settings.yaml").read_text()
    ports = set(re.findall(r"--port-\S+ (\d+)", COMPOSE.read_text()))
    assert len(ports) == 6
    assert ports == set(re.findall(r"127\.0\.0\.1:(\d+)", settings))
