"""Airflow's list of connections and its form, as a person works with them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

PATIENCE = 20.0
# While the page is drawn anew, elements go, come and lie under others.
PASSING = (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
STANDARD = ("host", "login", "password")
EXTRA_FIELDS = "//button[@data-part='item-trigger'][normalize-space()='Extra Fields']"
ADD = "//button[contains(., 'Add Connection')]"
DIALOG = "//*[@role='dialog'][@data-state='open']"

Found = TypeVar("Found")


class ConnectionsPage:
    def __init__(self, driver: Chrome, url: str, pictures: Path | None = None) -> None:
        self.driver, self.url, self._pictures = driver, url, pictures

    def log_in(self, user: str, password: str) -> None:
        """By the form of Airflow's simple auth manager, to which an unknown visitor of any page is led."""
        self.driver.get(f"{self.url}/connections")
        self._until("login form", lambda: self._css("input[name=username]")).send_keys(user)
        self._css("input[type=password]").send_keys(password)
        self._css("button[type=submit]").click()
        self._until("list of connections", lambda: self._xpath(ADD))

    def open(self) -> Self:
        """The list as the server has it now."""
        self.driver.get(f"{self.url}/connections")
        self._until("list of connections", lambda: self._xpath(ADD))
        return self

    def show(self) -> Self:
        """The list, as it is if it is there already: the page's first load takes a second or two."""
        there = self.driver.current_url == f"{self.url}/connections" and not self._has(DIALOG) and self._has(ADD)
        return self if there else self.open()

    # --- the form

    def add(self, conn_id: str, title: str) -> None:
        """Open an empty form for a connection of the type that people know as `title`."""
        self._click(ADD)
        self._type(lambda: self._css("[role=dialog] [name=connection_id]"), conn_id)
        choice = self._until("list of types", lambda: self._enabled(self._css("[role=dialog] [role=combobox]")))
        self._choose(choice, title)
        self._form_is_there()

    def edit(self, conn_id: str) -> None:
        """Open the form of a saved connection."""
        self._click(f"{self._row(conn_id)}//button[@aria-label='Edit Connection']")
        self._form_is_there()

    def fill(self, name: str, value: Any) -> None:
        """`value` into the widget of `name`, which is one of Airflow's own fields or a key of `extra`.

        Pasted, not typed: Airflow's form loses keys that come faster than it draws itself.
        """
        self._show(name)
        if name not in STANDARD and not self.driver.find_elements(By.NAME, f"element_{name}"):
            raise AssertionError(f"the form has no widget for {name}")
        if self.driver.find_elements(By.CSS_SELECTOR, f"#element_{name} [role=combobox]"):
            self._choose(self._css(f"#element_{name} [role=combobox]"), str(value))
            return
        text = "\n".join(value) if isinstance(value, list) else str(value)
        self._type(lambda: self._widget(name), text)

    def value(self, name: str) -> str:
        """What the widget of `name` holds."""
        return str(self._widget(name).get_attribute("value"))

    def hides(self, name: str) -> bool:
        """Whether the widget shows dots in place of the value."""
        return self._widget(name).get_attribute("type") == "password"

    def names(self) -> set[str]:
        """The keys of `extra` that the form has a widget for."""
        widgets = self.driver.find_elements(By.CSS_SELECTOR, "[role=dialog] [name^=element_]")
        return {str(widget.get_attribute("name")).removeprefix("element_") for widget in widgets}

    def required(self) -> set[str]:
        """The labels with a mark that says that the field must not stay empty."""
        labels = self.driver.find_elements(By.XPATH, f"{DIALOG}//label[.//*[text()='*']]")
        return {str(label.get_attribute("textContent")).rstrip("* \n") for label in labels}

    def shown_text(self) -> str:
        """All that the page holds: its source, and the values of its fields, which the source leaves out."""
        fields = "return [...document.querySelectorAll('input, textarea')].map(e => e.value).join('\\n')"
        return f"{self.driver.page_source}\n{self.driver.execute_script(fields)}"

    def show_extra_fields(self) -> None:
        def opened() -> bool:
            header = self._xpath(EXTRA_FIELDS)
            if header.get_attribute("aria-expanded") != "true":
                header.click()
                return False
            return True

        self._until("Extra Fields unfolded", opened)

    def save(self) -> None:
        """Save, and wait until Airflow has taken it: then the form closes."""
        self._click(f"{DIALOG}//footer//button[contains(., 'Save')]")
        self._until("form closed", lambda: not self._has(DIALOG))

    def picture(self, name: str) -> None:
        if self._pictures:
            count = len(list(self._pictures.glob("*.png")))
            self.driver.save_screenshot(str(self._pictures / f"{count}-{name}.png"))

    # --- the list

    def test(self, conn_id: str) -> tuple[str, str]:
        """Press Test Connection; the title and the text of the notice that tells how it went."""
        self._click(f"{self._row(conn_id)}//button[@aria-label='Test Connection']")

        def notice() -> tuple[str, str] | None:
            toast = self._xpath("//*[@data-scope='toast'][@data-part='root'][contains(., 'Test Connection')]")
            title, text = (
                toast.find_element(By.CSS_SELECTOR, f"[data-part={p}]").text for p in ("title", "description")
            )
            return (title, text) if title and text else None  # a notice that is still fading in has no text yet

        return self._until("notice", notice)

    # --- the parts

    def _row(self, conn_id: str) -> str:
        return f"//tr[.//td[normalize-space()='{conn_id}']]"

    def _form_is_there(self) -> None:
        self._until("form", lambda: self._css("[role=dialog] [name=host]"))

    def _show(self, name: str) -> None:
        if name not in STANDARD:
            self.show_extra_fields()

    def _widget(self, name: str) -> WebElement:
        return self._css(f"[role=dialog] [name={name if name in STANDARD else f'element_{name}'}]")

    def _choose(self, combobox: WebElement, label: str) -> None:
        combobox.send_keys(label)
        self._until(f"choice {label}", lambda: self._xpath(f"//*[@role='option'][normalize-space()='{label}']"))
        combobox.send_keys(Keys.ENTER)

    def _type(self, find: Callable[[], WebElement], text: str) -> None:
        """As by the clipboard: one change of the field, whatever the text's length, and a one-line field stays one."""

        def focused() -> bool:
            element = find()
            element.click()
            return bool(element == self.driver.switch_to.active_element)

        self._until("focus", focused)
        self.driver.execute_cdp_cmd("Input.insertText", {"text": text})
        plain = "".join(text.split())
        self._until("typed text", lambda: "".join(str(find().get_attribute("value")).split()) == plain)

    def _click(self, xpath: str) -> None:
        def clicked() -> bool:
            self._enabled(self._xpath(xpath)).click()
            return True

        self._until(f"click on {xpath}", clicked)

    def _has(self, path: str) -> bool:
        return bool(self.driver.find_elements(By.XPATH, path))

    def _enabled(self, element: WebElement) -> WebElement:
        if not element.is_enabled():
            raise ElementNotInteractableException("disabled")
        return element

    def _css(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def _xpath(self, path: str) -> WebElement:
        return self.driver.find_element(By.XPATH, path)

    def _until(self, what: str, condition: Callable[[], Found | None]) -> Found:
        began = time.monotonic()
        wait = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.1, ignored_exceptions=PASSING)
        try:
            return wait.until(lambda _: condition())
        except TimeoutException:
            self.picture("waiting")
            waited = time.monotonic() - began
            raise AssertionError(f"no {what} after {waited:.0f} s on {self.driver.current_url}") from None
