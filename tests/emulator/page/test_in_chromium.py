"""The page in a real browser: by mouse, by keyboard, on a small screen, read out, kept fresh."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from exotel_async.emulator import Emulator, Fault
from tests.emulator.application import Application, Reply
from tests.emulator.page.browser import CHROMIUM, DRIVER, ENTER, TAB, Browser, Driver, chromium
from tests.emulator.page.conftest import DESK
from tests.emulator.support import CUSTOMER, EXOPHONE, client_of, dial

pytestmark = pytest.mark.skipif(
    not (CHROMIUM.exists() and DRIVER.exists()), reason="Debian's chromium is not there"
)

CALLED = f"{CUSTOMER} → {EXOPHONE}"
PAGES = (
    "/",
    "/page/flows",
    "/page/callbacks",
    "/page/messages",
    "/page/requests",
    "/page/faults",
    "/page/settings",
    "/page/reset",
    "/page/calls/none",
)


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    """One browser for all: it takes seconds to start."""
    with chromium() as driver:
        yield driver


@pytest.fixture
async def browser(driver: Driver, emulator: Emulator) -> AsyncIterator[Browser]:
    """At the emulator's page; its console has nothing to complain about in the end."""
    browser = Browser(driver, emulator.base_url)
    await browser.look(width=1280, scheme="light")
    await browser.open()
    browser.complaints()  # of the page before, whose emulator ended while it asked for news
    yield browser
    assert browser.complaints() == []


@pytest.mark.slow(6)
async def test_a_person_plays_the_caller_and_the_agent(
    emulator: Emulator, browser: Browser
) -> None:
    """All by clicking: calls in, presses 2, talks to an agent, hangs up, and sees the voicemail."""
    assert await browser.title() == "No calls in progress · Exotel emulator"
    await browser.type("manual", DESK)
    await browser.click("Set")
    await browser.click("Call")
    await browser.see(f"Caller {CUSTOMER}", "The flow waits for keys")
    assert await browser.title() == "1 in progress · Exotel emulator"
    await browser.click("Press 2")
    await browser.see(f"Agent {DESK}", "ringing")
    await browser.click(f"Answer: Agent {DESK}")
    await browser.see("now at Connect")
    await browser.click(f"Hang up: Agent {DESK}")
    await browser.see("The flow waits for a message")
    await browser.click("Speak")
    await browser.see("Nobody is on the phone", "ended by its flow", "recorded 5 s")
    await browser.click(CALLED)
    await browser.see(
        "Recorded: 5 s", "the caller presses 2", "2 ✓ taken", "We have <your> message"
    )
    (call,) = emulator.calls.values()
    assert call.transcript.path[:3] == [("main", "2"), ("desk", "then"), ("box", "then")]


@pytest.mark.slow
async def test_the_caller_hangs_up(emulator: Emulator, browser: Browser) -> None:
    await browser.click("Call")
    await browser.click(f"Hang up: Caller {CUSTOMER}")
    await browser.see("Nobody is on the phone", "ended by the caller")
    (call,) = emulator.calls.values()
    assert call.ended


@pytest.mark.slow(3)
async def test_by_keyboard_alone(emulator: Emulator, browser: Browser) -> None:
    """The focus stays where it is while the page changes, and near when its button is gone."""
    await browser.press(TAB)
    assert await browser.focused() == "Skip to the content"
    await browser.press(ENTER)
    await browser.press(TAB)
    assert await browser.focused() == "from"
    await browser.press(ENTER)
    await browser.see("The flow waits for keys")
    assert await browser.focused() == "from"
    (sid,) = emulator.calls
    key = f"phone-{sid}-1-key-2"
    for _ in range(30):
        await browser.press(TAB)
        if await browser.focused() == key:
            break
    assert await browser.focused() == key
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert await browser.run(outline) == "solid"
    await browser.press(ENTER)
    await browser.see(f"Agent {DESK}")
    await browser.until(f"return document.activeElement.id === 'phone-{sid}-1'")


@pytest.mark.slow(3)
async def test_what_the_visitor_does_outlasts_updates(emulator: Emulator, browser: Browser) -> None:
    """Text that is typed, and details that are open, while calls come."""
    async with client_of(emulator) as client:
        await client.get("Balance.json")
        await browser.type("from", "0981")
        await dial(client, From="09812300044")
        await browser.see("09812300044")
        assert await browser.run("return document.getElementById('from').value") == "0981"
        assert await browser.focused() == "from"
        await browser.open("/page/requests")
        await browser.run("document.querySelector('summary').click()")
        await browser.see("CallerId")
        await client.get("Balance.json")
        await browser.until("return document.querySelectorAll('tbody tr').length === 3")
        assert "CallerId" in await browser.text()


@pytest.mark.slow
async def test_a_form_that_is_not_done_says_why(emulator: Emulator, browser: Browser) -> None:
    """The reason takes the focus, and stays to be read while the page goes on."""
    emulator.exophone_flows.clear()
    await browser.click("Call")
    await browser.see("That was not done", "no flow is assigned")
    assert await browser.focused() == "problem"
    async with client_of(emulator) as client:
        await dial(client, From="09812300044")
    await browser.see("09812300044", "That was not done")
    complaints = browser.complaints()
    assert all("400 (Bad Request)" in complaint for complaint in complaints), complaints


@pytest.mark.slow
async def test_news_are_told_without_what_changes_each_second(
    emulator: Emulator, browser: Browser
) -> None:
    await browser.click("Call")
    await browser.see("The flow waits for keys")
    news = "return document.querySelector('[role=status]').textContent"
    assert await browser.run(news) == (
        f"{CALLED} in-progress; Caller {CUSTOMER} connected, hears “Press 2”, "
        "the flow waits for keys"
    )


_COUNTED = """
window.asked = 0;
const fetch = window.fetch;
window.fetch = (...given) => { window.asked += 1; return fetch(...given); };
window.tick = () => { window.ticks = 0; window.before = window.asked; };
setInterval(() => { window.ticks += 1; }, 1000);
"""


@pytest.mark.slow(6)
async def test_nothing_is_asked_for_while_it_is_paused_or_not_seen(browser: Browser) -> None:
    """Beside a timer of the same period: in two of its ticks the page's own had one at least."""

    async def stands_still() -> bool:
        await browser.run("window.tick()")
        await browser.until("return window.ticks >= 2")
        return bool(await browser.run("return window.asked === window.before"))

    await browser.run(_COUNTED)
    assert not await stands_still()
    await browser.click("Pause updates")
    pressed = "return document.getElementById('pause').getAttribute('aria-pressed')"
    assert await browser.run(pressed) == "true"
    assert await stands_still()
    await browser.click("Pause updates")
    await browser.until("return window.asked > window.before")
    hidden = "Object.defineProperty(document, 'hidden', {configurable: true, get: () => %s})"
    await browser.run(hidden % "true")
    assert await stands_still()
    await browser.run(hidden % "false")
    await browser.run("document.dispatchEvent(new Event('visibilitychange'))")
    await browser.until("return window.asked > window.before")


@pytest.mark.slow
async def test_when_the_emulator_ends(driver: Driver) -> None:
    async with Emulator() as emulator:
        browser = Browser(driver, emulator.base_url)
        await browser.open()
        await browser.see("Pause updates")  # its script runs
    await browser.see("The emulator no longer answers")
    await browser.devtools("Page.navigate", {"url": "about:blank"})
    assert all("ERR_CONNECTION" in complaint for complaint in browser.complaints())


@pytest.mark.slow(15)
async def test_small_screens_and_screen_readers(
    emulator: Emulator, browser: Browser, application: Application
) -> None:
    """No page is wider than 360 px, and axe-core finds no barrier in either colour scheme."""
    told = application("/told", Reply(500, "Traceback " + 30 * "very long words "))
    async with client_of(emulator) as client:
        await dial(client, StatusCallback=told, CustomField="x" * 100)
        await client.get("Calls/none.json")
    await emulator.finish_calls()
    emulator.faults.add(Fault.act_then_drop())
    emulator.manual = DESK
    await browser.click("Call")
    await browser.click("Press 2")
    await browser.see(f"Agent {DESK}")
    sids = list(emulator.calls)
    for path in (*PAGES, *(f"/page/calls/{sid}" for sid in sids)):
        await browser.look(width=360, scheme="light")
        await browser.open(path)
        wide = await browser.run("return document.documentElement.scrollWidth")
        assert wide <= 360, path
        assert await browser.barriers() == [], path
    await browser.look(width=1280, scheme="dark")
    for path in ("/", "/page/requests", f"/page/calls/{sids[-1]}"):
        await browser.open(path)
        assert await browser.barriers("color-contrast") == [], path
    complaints = browser.complaints()
    assert all("404 (Not Found)" in complaint for complaint in complaints), complaints
