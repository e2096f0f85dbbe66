"""The page as a browser without JavaScript has it: its text, its links, and its forms."""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser

import attrs
import httpx

_NO_TEXT = {"script", "style", "title"}


@attrs.define
class Form:
    """One form, filled in as the page does."""

    action: str
    fields: dict[str, str] = attrs.field(factory=dict)
    buttons: dict[str, tuple[str, str] | None] = attrs.field(factory=dict)
    """What each button adds, by what is read out for it."""


class Page(HTMLParser):
    """A page that was read."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__()
        self.answer = answer
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}
        self._text: list[str] = []
        self._within: list[str] = []
        self._button: Mapping[str, str | None] | None = None
        self._link: str | None = None
        self._select: str | None = None
        self.feed(answer.text)

    @property
    def text(self) -> str:
        """What there is to read."""
        return " ".join(" ".join(self._text).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self._within.append(tag)
        match tag:
            case "form":
                self.forms.append(Form(given["action"] or ""))
            case "input":
                self._within.pop()
                if self.forms and given.get("name"):
                    self.forms[-1].fields[given["name"] or ""] = given.get("value") or ""
            case "select":
                self._select = given["name"]
            case "option" if self._select is not None:
                fields = self.forms[-1].fields
                if "selected" in given or self._select not in fields:
                    fields[self._select] = given["value"] or ""
            case "button":
                self._button = given
                if given.get("aria-label"):
                    self._press(given["aria-label"] or "")
            case "a":
                self._link = given.get("href")
            case "meta" | "link" | "img" | "br" | "!doctype":
                self._within.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in self._within:
            while self._within.pop() != tag:
                pass
        if tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        if not data.strip() or not _NO_TEXT.isdisjoint(self._within):
            return
        self._text.append(data.strip())
        if self._within[-1:] == ["button"] and self._button is not None:
            if not self._button.get("aria-label"):
                self._press(data.strip())
        elif "a" in self._within and self._link is not None:
            self.links[data.strip()] = self._link

    def _press(self, name: str) -> None:
        if self._button is None or not self.forms or self._button.get("type") == "button":
            return
        sent = self._button.get("name")
        self.forms[-1].buttons[name] = (sent, self._button.get("value") or "") if sent else None


@attrs.define
class Visitor:
    """Somebody who opens pages, follows links and clicks buttons."""

    client: httpx.AsyncClient
    page: Page = attrs.field(init=False)

    async def open(self, path: str) -> Page:
        """Go there."""
        self.page = Page(await self.client.get(path))
        return self.page

    async def follow(self, link: str) -> Page:
        """Follow a link by its text."""
        return await self.open(self.page.links[link])

    async def click(self, button: str, **fields: str) -> Page:
        """Fill in the form of a button and click that; where it leads."""
        form = next(form for form in self.page.forms if button in form.buttons)
        pressed = form.buttons[button]
        data = form.fields | fields | (dict([pressed]) if pressed else {})
        origin = str(self.client.base_url).rstrip("/")
        answer = await self.client.post(form.action, data=data, headers={"Origin": origin})
        if answer.status_code == 303:
            answer = await self.client.get(answer.headers["location"])
        self.page = Page(answer)
        return self.page
