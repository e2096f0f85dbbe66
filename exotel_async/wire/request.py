"""A request before it is sent, as a value."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode

from attrs import field, frozen

from exotel_async.errors import InvalidRequest
from exotel_async.masking import mask_path
from exotel_async.models import DialTarget, TargetOptions
from exotel_async.wire.validation import CONTROL

Fields = dict[str, str | None]
"""Names and values of a form or a query; None is left out."""
Pairs = tuple[tuple[str, str], ...]
DIAL: Final = "Calls/connect.json"
"""The path of a dial, in any mode."""
_ONE_CALL: Final = r"Calls/([^/]+)\.json"
Passed = tuple[str, str | None, int | str | None, str]
"""The arguments from_, to, flow and caller_id of a dial. A tuple: tens of thousands may wait."""


class Category(enum.StrEnum):
    """A part of the API, with its own version and budget."""

    VOICE = "voice"
    EXOPHONES = "exophones"

    @property
    def version(self) -> str:
        """The version at the beginning of its paths."""
        return "v1" if self is Category.VOICE else "v2_beta"


@frozen
class Request:
    """One request, before it has a host, credentials or a place in the queue.

    Attributes:
        method: the HTTP method.
        path: the path below `/{version}/Accounts/{account_sid}/`, percent-encoded.
        params: the query.
        body: the encoded form: a single string, as tens of thousands may wait in memory. None: no
            body. Neither it nor the query is in the repr.
        category: the part of the API it belongs to, which determines version and budget.
        passed: for a dial, the arguments as the caller passed them.
        repeatable: for other methods than GET: whether it is idempotent, because it sets something.
        is_raw: whether its path was passed by the caller.
        dials: whether it is a dial.
    """

    method: str
    path: str = field(repr=lambda path: repr(mask_path(path)))
    params: Pairs = field(default=(), repr=False)
    body: str | None = field(default=None, repr=False)
    category: Category = Category.VOICE
    passed: DialTarget | Passed | None = field(default=None, repr=False, eq=False)
    repeatable: bool = False
    is_raw: bool = field(default=False, repr=False, eq=False)
    dials: bool = field(init=False, repr=False, eq=False)

    @dials.default
    def _is_dial(self) -> bool:
        return self.method == "POST" and self.path == DIAL

    @property
    def shown_path(self) -> str:
        """The path, decoded, for logs: anything that may be a phone number is masked."""
        return mask_path(self.path)

    @property
    def route(self) -> str:
        """The path without its format, and with placeholders for numbers and SIDs.

        Any segment with a digit is replaced: it may be a phone number in any spelling. Of a path
        passed by the caller only the first segment is kept, as the others may contain anything.
        """
        first, *rest = self.path.removesuffix(".json").rstrip("/").split("/")
        if self.is_raw:
            return "/".join([_named(first), *(["{path}"] if rest else [])])
        return "/".join(map(_named, [first, *rest]))

    @property
    def form(self) -> Pairs:
        """The form fields of the body."""
        return tuple(parse_qsl(self.body or "", keep_blank_values=True))

    @property
    def sid(self) -> str | None:
        """The SID of the one call it reads; None if there is no such call."""
        found = re.fullmatch(_ONE_CALL, self.path)
        return unquote(found[1]) if found and not self.dials else None

    @property
    def must_not_repeat(self) -> bool:
        """Whether it must not be repeated, as far as is known: a dial, above all."""
        return self.method != "GET" and not self.repeatable

    @property
    def tag(self) -> Any:
        """The tag by which the caller identifies a dial."""
        return self.passed.tag if isinstance(self.passed, DialTarget) else None

    @property
    def target(self) -> DialTarget:
        """What the caller passed to a dial."""
        if isinstance(self.passed, DialTarget):
            return self.passed
        assert self.passed is not None  # noqa: S101 - a dial
        from_, to, flow, caller_id = self.passed
        options, form = TargetOptions(), dict(self.form)
        if "CustomField" in form:
            options["custom_field"] = form["CustomField"]
        if to is None and flow is None:
            options["stream_url"] = form["StreamUrl"]
        return DialTarget(from_=from_, to=to, flow=flow, caller_id=caller_id, options=options)


def _named(part: str) -> str:
    # A percent-encoded character may be a digit.
    return "{id}" if "%" in part or any(char.isdigit() for char in part) else part


def get_request(
    path: str,
    query: Fields,
    extra: Mapping[str, str] | None,
    category: Category = Category.VOICE,
) -> Request:
    """Return a GET request."""
    return Request("GET", path, params=pairs(query, extra), category=category)


def put_request(
    path: str, form: Fields, extra: Mapping[str, str] | None, category: Category
) -> Request:
    """Return an idempotent request that sets something."""
    body = urlencode(pairs(form, extra))
    return Request("PUT", path, body=body, category=category, repeatable=True)


def pairs(fields: Fields, extra: Mapping[str, str] | None) -> Pairs:
    """Return the fields that are not None, and those of `extra`.

    Raises:
        InvalidRequest: a name in `extra` is already used, or `extra` cannot be sent.
    """
    chosen = {name: value for name, value in fields.items() if value is not None}
    taken = {name.partition("[")[0] for name in chosen}
    for name, value in plain_pairs("extra", extra):
        if name.partition("[")[0] in taken:
            raise InvalidRequest("extra", name, "is sent already, from its own argument")
        chosen[name] = value
    return tuple((name, str.__str__(value)) for name, value in chosen.items())


def plain_pairs(argument: str, fields: object) -> Pairs:
    """Return names and values passed by the caller, if they can be sent.

    Raises:
        InvalidRequest: they cannot be sent.
    """
    if fields is None:
        return ()
    if not isinstance(fields, Mapping):
        rule = "must be a mapping of names to values"
        raise InvalidRequest(argument, type(fields).__name__, rule)
    for name, value in fields.items():
        if not isinstance(name, str) or not name or not name.isprintable():
            raise InvalidRequest(argument, name, "names must be plain text")
        if not isinstance(value, str) or re.search(CONTROL, value):
            raise InvalidRequest(argument, name, "its value must be a string of readable text")
    # A member of a user's str enum would be sent by its name.
    return tuple((str.__str__(name), str.__str__(value)) for name, value in fields.items())
