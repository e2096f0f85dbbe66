"""The endpoints of the API: which one a path leads to, and which handler a method has there."""

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
"""The path prefixes of the APIs; the account comes next (VOICE_V1 0, 8)."""
_ONLY_JSON = ("/v2_beta/", "/v2/")  # VOICE_V1 8

Methods = Mapping[str, Callable[..., Body]]
"""An endpoint's handlers by method: called with the request, and the `*` parts of its path."""


@attrs.frozen(kw_only=True)
class ApiRequest:
    """A request to the account, parsed as far as every endpoint needs it."""

    method: str
    """HEAD is GET here: the server omits the body of its response."""
    page: str
    """The path below the account, without `.json`; case-sensitive."""
    json: bool
    query_pairs: Pairs
    form: Pairs | None
    """None: there was a body that is not a form."""
    fault: Fault | None = None
    """The fault it meets; endpoints themselves apply only listing faults."""

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters of the query; if one is repeated, its last value."""
        return dict(self.query_pairs)

    @property
    def is_listing(self) -> bool:
        """Whether it is a `GET Calls`."""
        return (self.method, self.page) == ("GET", "Calls")

    @property
    def fields(self) -> Pairs:
        """The fields of the form. Raises Refusal, 400, if the body is not one."""
        if self.form is None:
            raise bad("The body is not a form")
        return self.form


class Place(NamedTuple):
    """Where a path leads."""

    api: str | None
    """VOICE or one of the others; None: to none of them."""
    page: str | None
    """The path below the account; None: it leads to no account, or to another one."""
    json: bool
    """Whether responses are JSON, errors too: `.json` decides in Voice (VOICE_V1 0)."""


def locate(path: str, account_sid: str) -> Place:
    """Split the path of a request, which is still percent-encoded."""
    json = path.endswith(".json") or path.startswith(_ONLY_JSON)
    bare = path.removesuffix(".json")
    for api in (VOICE, EXOPHONES, NEWER_EXOPHONES):
        if bare.startswith(api):
            account, _, page = bare[len(api) :].partition("/")
            ours = account == account_sid or unquote(account) == account_sid
            return Place(api, page if ours else None, json)
    return Place(None, None, json)


class Endpoints:
    """The endpoints of one API, by path below the account: in `Calls/*` the `*` is any one part."""

    def __init__(self, *tables: Mapping[str, Methods]) -> None:
        endpoints = {path: methods for table in tables for path, methods in table.items()}
        self._fixed = {path: methods for path, methods in endpoints.items() if "*" not in path}
        self._open = {
            (path.partition("/")[0], path.count("*")): methods
            for path, methods in endpoints.items()
            if "*" in path
        }
        """By the first part of the path, and the number of `*` parts."""

    def answer(self, request: ApiRequest) -> Body:
        """Handle a request, and return its response's body. Raises Refusal: 404, 405, or others."""
        parts: list[str] = []
        methods = self._fixed.get(request.page)
        if methods is None:
            first, *parts = request.page.split("/")
            methods = self._open.get((first, len(parts)))
        if methods is None or "" in parts:
            raise Refusal(404, "The requested resource was not found")
        do = methods.get(request.method)
        if do is None:
            raise not_allowed(*methods)
        return do(request, *map(unquote, parts))


def not_allowed(*allowed: str) -> Refusal:
    """Return a 405 with the methods allowed: HEAD is allowed wherever GET is."""
    known = [
        name for method in allowed for name in ([method, "HEAD"] if method == "GET" else [method])
    ]
    return Refusal(405, "The method is not allowed here", headers={"Allow": ", ".join(known)})
