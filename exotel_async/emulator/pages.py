"""The pages of the API: which one a path leads to, and what a method does there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import unquote

import attrs

from exotel_async.emulator.api_errors import Refusal, bad
from exotel_async.emulator.encoding import Pairs
from exotel_async.emulator.faults import Fault
from exotel_async.emulator.rendering import Body

VOICE, EXOPHONES, NEWER_EXOPHONES = "/v1/Accounts/", "/v2_beta/Accounts/", "/v2/accounts/"
"""What the paths of an API begin with; the account comes next (VOICE_V1 0, 8)."""
_ONLY_JSON = ("/v2_beta/", "/v2/")  # VOICE_V1 8

Methods = Mapping[str, Callable[..., Body]]
"""What a page does, by method: called with the request and the parts of its path."""


@attrs.frozen(kw_only=True)
class Asked:
    """A request to the account, read so far as every page needs it."""

    method: str
    """HEAD is GET here: only the body of its answer stays away, and the server sees to that."""
    page: str
    """The path below the account, without `.json`; case counts."""
    json: bool
    query_pairs: Pairs
    form: Pairs | None
    """None: there was a body, and it was no form."""
    fault: Fault | None = None
    """What goes wrong with it; a page itself heeds that of a listing only."""

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters of the query; of one that comes twice the last."""
        return dict(self.query_pairs)

    @property
    def is_listing(self) -> bool:
        """Whether it asks for a page of calls."""
        return (self.method, self.page) == ("GET", "Calls")

    @property
    def fields(self) -> Pairs:
        """The fields of the form. Raises Refusal, 400."""
        if self.form is None:
            raise bad("The body is not a form")
        return self.form


class Place(NamedTuple):
    """Where a path leads."""

    api: str | None
    """VOICE or one of the others; None: to none of them."""
    page: str | None
    """The page below the account; None: the path leads to no account, or another one."""
    json: bool
    """Whether answers are JSON, errors too: `.json` decides in Voice (VOICE_V1 0)."""


def locate(path: str, account_sid: str) -> Place:
    """Read the path of a request, in which `%` still stands for itself."""
    json = path.endswith(".json") or path.startswith(_ONLY_JSON)
    bare = path.removesuffix(".json")
    for api in (VOICE, EXOPHONES, NEWER_EXOPHONES):
        if bare.startswith(api):
            account, _, page = bare[len(api) :].partition("/")
            ours = account == account_sid or unquote(account) == account_sid
            return Place(api, page if ours else None, json)
    return Place(None, None, json)


class Pages:
    """The pages of one API, by path below the account: `Calls/*` is that of any one call."""

    def __init__(self, *tables: Mapping[str, Methods]) -> None:
        pages = {page: methods for table in tables for page, methods in table.items()}
        self._fixed = {page: methods for page, methods in pages.items() if "*" not in page}
        self._open = {
            (page.partition("/")[0], page.count("*")): methods
            for page, methods in pages.items()
            if "*" in page
        }
        """By the first part of the path, and how many others there are."""

    def answer(self, asked: Asked) -> Body:
        """Do what is asked, and say so. Raises Refusal: 404, 405, or what the page has."""
        parts: list[str] = []
        methods = self._fixed.get(asked.page)
        if methods is None:
            first, *parts = asked.page.split("/")
            methods = self._open.get((first, len(parts)))
        if methods is None or "" in parts:
            raise Refusal(404, "The requested resource was not found")
        do = methods.get(asked.method)
        if do is None:
            raise not_allowed(*methods)
        return do(asked, *map(unquote, parts))


def not_allowed(*allowed: str) -> Refusal:
    """405, with the methods there are: HEAD is wherever GET is."""
    known = [
        name for method in allowed for name in ([method, "HEAD"] if method == "GET" else [method])
    ]
    return Refusal(405, "The method is not allowed here", headers={"Allow": ", ".join(known)})
