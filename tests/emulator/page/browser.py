"""A headless Chromium, Debian's, as somebody uses it: by WebDriver, which is HTTP with JSON."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import attrs
import httpx

from tests.conftest import SOON

T = TypeVar("T")

CHROMIUM = Path("/usr/bin/chromium")
DRIVER = Path("/usr/bin/chromedriver")
TAB, ENTER = "\ue004", "\ue007"
_OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
_CAPABILITIES = {
    "goog:chromeOptions": {"binary": str(CHROMIUM), "args": _OPTIONS},
    "goog:loggingPrefs": {"browser": "ALL"},
}
_STALE = "stale element reference"


class Failed(Exception):
    """The browser could not do it; the text begins with WebDriver's word for why."""


@attrs.frozen
class Driver:
    """A session of the browser."""

    client: httpx.Client
    """Its URLs are relative to the session."""

    def get(self, what: str) -> Any:
        """Ask for something."""
        return self._read(self.client.get(what))

    def do(self, what: str, **given: object) -> Any:
        """Have something done."""
        return self._read(self.client.post(what, json=given))

    def run(self, script: str, *arguments: object, wait: bool = False) -> Any:
        """What a script returns; `wait`: what it calls its last argument, a function, with."""
        return self.do(f"execute/{'async' if wait else 'sync'}", script=script, args=arguments)

    def find(self, xpath: str) -> str | None:
        """The first element there, if any is."""
        found = self.do("elements", using="xpath", value=xpath)
        return next(iter(found[0].values())) if found else None

    @staticmethod
    def _read(answer: httpx.Response) -> Any:
        value = answer.json()["value"]
        if answer.is_error:
            raise Failed(f"{value['error']}: {value['message']}")
        return value


@cache
def _axe() -> str:
    return (resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")


@contextmanager
def chromium() -> Iterator[Driver]:
    """One that runs."""
    with subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            told = (re.search(r"successfully on port (\d+)", line) for line in process.stdout)
            port = next(filter(None, told))[1]
            sessions = f"http://127.0.0.1:{port}/session"
            with httpx.Client(trust_env=False, timeout=3 * SOON) as client:
                wanted = {"capabilities": {"alwaysMatch": _CAPABILITIES}}
                session = client.post(sessions, json=wanted).json()["value"]["sessionId"]
                client.base_url = httpx.URL(f"{sessions}/{session}/")
                yield Driver(client)
                client.delete(f"{sessions}/{session}")
        finally:
            process.terminate()


@attrs.frozen
class Browser:
    """What one does with it. It works in a thread: the emulator runs in the loop of the test."""

    driver: Driver
    base_url: str

    async def open(self, path: str = "/") -> None:
        """Go to a page of the emulator."""
        await self._do(lambda: self.driver.do("url", url=f"{self.base_url}/_emulator{path}"))

    async def click(self, name: str) -> None:
        """Click the button or the link of that name, once it is there."""
        path = f"//*[self::button or self::a][normalize-space()={name!r} or @aria-label={name!r}]"

        def click() -> bool:
            found = self.driver.find(path)
            if found is not None:
                self.driver.do(f"element/{found}/click")
            return found is not None

        await self._until(click)

    async def type(self, field: str, text: str) -> None:
        """Fill in the field of that id."""

        def fill() -> None:
            element = self.driver.find(f"//*[@id={field!r}]")
            self.driver.do(f"element/{element}/clear")
            self.driver.do(f"element/{element}/value", text=text)

        await self._do(fill)

    async def press(self, key: str) -> None:
        """Press a key, where the focus is."""

        def press() -> None:
            (active,) = self.driver.get("element/active").values()
            self.driver.do(f"element/{active}/value", text=key)

        await self._do(press)

    async def see(self, *texts: str) -> None:
        """Wait until these are all on the page."""
        await self._until(lambda: all(text in self._text() for text in texts))

    async def text(self) -> str:
        """What there is to read."""
        return await self._do(self._text)

    async def title(self) -> str:
        """The page's."""
        return str(await self._do(lambda: self.driver.get("title")))

    async def focused(self) -> str:
        """The id or name of what has the focus."""
        script = "const e = document.activeElement; return e.id || e.innerText || e.tagName"
        return str(await self.run(script))

    async def run(self, script: str, *arguments: object) -> Any:
        """What a script returns."""
        return await self._do(lambda: self.driver.run(script, *arguments))

    async def until(self, script: str) -> None:
        """Wait until a script returns what is true."""
        await self._until(lambda: bool(self.driver.run(script)))

    async def look(self, *, width: int, scheme: str) -> None:
        """Have the window so wide, and light or dark colours."""
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        await self.devtools("Emulation.setDeviceMetricsOverride", size)
        await self.devtools("Emulation.setEmulatedMedia", media)

    async def devtools(self, command: str, arguments: Mapping[str, object]) -> Any:
        """What the browser itself answers."""
        return await self._do(
            lambda: self.driver.do("goog/cdp/execute", cmd=command, params=arguments)
        )

    async def barriers(self, *rules: str) -> list[str]:
        """What keeps people out, by those of axe-core's rules, or all: the rule, and where."""
        options = {"runOnly": rules} if rules else {}
        script = "const [options, done] = arguments;"
        script += "axe.run(options).then(found => done(found.violations))"

        def check() -> list[str]:
            if not self.driver.run("return 'axe' in window"):
                self.driver.run(_axe())
            violations = self.driver.run(script, options, wait=True)
            return [f"{v['id']}: {node['html']}" for v in violations for node in v["nodes"]]

        return await self._do(check)

    def complaints(self) -> list[str]:
        """What the console says, and has not told yet."""
        return [entry["message"] for entry in self.driver.do("se/log", type="browser")]

    def _text(self) -> str:
        return " ".join(str(self.driver.run("return document.body.innerText")).split())

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)

    async def _until(self, happens: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(SOON):
                while not await self._happens(happens):
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            error.add_note(f"What was there instead: {await self.text()}")
            raise

    async def _happens(self, happens: Callable[[], bool]) -> bool:
        try:
            return await self._do(happens)
        except Failed as error:
            if str(error).startswith(_STALE):
                return False  # the page has just changed
            raise
