"""One real Airflow, one sandbox and one browser for all tests in this directory."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from connections_page import ConnectionsPage
from failing import Play, banks, played
from runs import Runs
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from nostro_demo.airflow import REPOSITORY
from nostro_demo.config import INCLUDE
from nostro_demo.rest import Client
from nostro_demo.sandbox import Sandbox
from nostro_demo.stage import DAGS, Stage

HERE = Path(__file__).parent

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
CHROMIUM_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--window-size=1400,2400",  # a whole form, so that nothing has to be scrolled to
)


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The project's DAGs and those of `dags/` here, each of which is in a file of its own name and runs at once."""
    dags = tmp_path_factory.mktemp("dags")
    own = sorted((HERE / "dags").glob("*.py"))
    for file in (*sorted((REPOSITORY / "dags").glob("*.py")), *own):
        shutil.copy(file, dags)
    test_dags = tuple(file.stem for file in own)
    path = (INCLUDE, HERE / "triggers", os.environ.get("PYTHONPATH"))  # the triggerer knows no DAGs folder
    env = {
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        "PYTHONPATH": os.pathsep.join(str(part) for part in path if part),
    }
    with Stage(tmp_path_factory.mktemp("stage"), dags=dags, dag_ids=(*DAGS, *test_dags), env=env) as stage:
        admin = stage.airflow.client("admin")
        for dag_id in test_dags:
            admin.unpause(dag_id)
        yield stage


@pytest.fixture(scope="session")
def admin(stage: Stage) -> Client:
    return stage.airflow.client("admin")


@pytest.fixture(scope="session")
def runs(admin: Client) -> Runs:
    return Runs(admin)


@pytest.fixture
def fresh_bank(tmp_path: Path) -> Iterator[Sandbox]:
    """Five banks that nobody has logged in to, at addresses that no token or failure is known for."""
    with Sandbox(tmp_path / "sandbox.log") as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def play(admin: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """The cases of the README's table of errors; those that wait for a person go on waiting meanwhile."""
    with banks(tmp_path_factory.mktemp("banks")) as each, played(admin, each) as play:
        yield play


@pytest.fixture(scope="session")
def browser(stage: Stage) -> Iterator[webdriver.Chrome]:
    """Headless Chromium with Debian's own driver, logged in as `admin` by Airflow's login form."""
    if missing := [str(path) for path in (CHROMIUM, DRIVER) if not path.exists()]:
        reason = f"{' and '.join(missing)} missing: apt-get install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in CHROMIUM_FLAGS:
        options.add_argument(flag)
    # With its path given, Selenium looks for no driver, and so downloads none.
    driver = webdriver.Chrome(options=options, service=Service(executable_path=str(DRIVER)))
    try:
        ConnectionsPage(driver, stage.airflow.url).log_in("admin", stage.airflow.passwords["admin"])
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def page(browser: webdriver.Chrome, stage: Stage, request: pytest.FixtureRequest, tmp_path: Path):
    """The list of connections. When the test fails, a picture of what was there at the end is left behind."""
    failed_before = request.session.testsfailed
    yield ConnectionsPage(browser, stage.airflow.url, pictures=tmp_path).show()
    if request.session.testsfailed > failed_before:
        browser.save_screenshot(str(tmp_path / "at-the-end.png"))
        print(f"picture: {tmp_path / 'at-the-end.png'}")
