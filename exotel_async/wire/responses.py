"""Parsing responses from Exotel Voice v1, as pure functions.

Whatever the body is, only errors of this package are raised. Numbers in their texts are masked.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import UTC, tzinfo
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlsplit

from attrs import field, frozen

from exotel_async.config import IST, Region
from exotel_async.errors import APIError, DecodeError, api_error
from exotel_async.masking import redact
from exotel_async.models import (
    Balance,
    Call,
    CallPage,
    ExoPhone,
    ExoPhonePage,
    NumberMetadata,
    RawResponse,
    WhitelistEntry,
)
from exotel_async.wire.converter import converter
from exotel_async.wire.values import count, decode_json, text

_T = TypeVar("_T")

_EXCERPT: Final = 400  # bytes; errors show half of them, so that no truncated number is unmasked
_MARKUP: Final = 8_192  # bytes; enough to contain the message of an error
_HTML: Final = "HTML instead of JSON"
_LONGEST_MESSAGE: Final = 400
_SHORTEST_SECRET: Final = 6  # a shorter one is a placeholder, and replacing it garbles the text
_LONGEST_WAIT: Final = 86_400.0  # seconds

_REGIONS: Final = (
    f"the wrong region looks like this too: Singapore is {Region.SINGAPORE.value},"
    f" Mumbai is {Region.MUMBAI.value}"
)
# The reasons for 413 and 414 are those of HTTP, the others Exotel's (VOICE_V1 5.2).
_KNOWN_REASONS: Final[Mapping[int, str]] = {
    402: "known reasons: a limit of the account's plan or usage, or its balance",
    403: (
        "known reasons: the account is not KYC-compliant; the number is on the DND register"
        " (NDNC); a trial account calls a number it has not verified; perhaps this address is not"
        " on the API's list of allowed IPs"
    ),
    409: "known reason: another request is changing the same resource",
    413: "known reason: the request is too large: ask for less at a time",
    414: "known reason: the URL is too long: ask for less at a time",
    429: (
        "known reason: more requests in a minute than the account's budget, which all its keys and"
        " processes share"
    ),
}
_SAYS_WHY: Final = r"(?i)\b(?:KYC|NDNC|DND|trial|IP)\b"

# Found by pattern, not by a parser: the response may be XML, truncated, or otherwise damaged.
_SID: Final = r"[A-Za-z0-9]{16,64}"
_PARTY: Final = r"[^\"<>\\]{1,255}"
_SECONDS: Final = r"[+-]?[0-9]+(\.[0-9]*)?"


@frozen
class Response:
    """The HTTP response to one request.

    Attributes:
        status: the HTTP status.
        headers: the header fields, names in lower case.
        body: the whole body, decompressed.
        attempts: how often the request was sent.
        secrets: texts that no error may show.
        accepted: whether the service has accepted the account's credentials before, so that its
            region must be right.
    """

    status: int
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    attempts: int = 1
    secrets: tuple[str, ...] = field(default=(), repr=False)
    accepted: bool = field(default=False, repr=False)

    def conceal(self, text: str) -> str:
        """Return a text with the secrets replaced by stars."""
        for secret in self.secrets:
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "***")
        return text

    def excerpt(self, size: int = _EXCERPT) -> str:
        """Return the beginning of the body as text, without secrets."""
        # Concealed before cutting: a truncated secret would not be found.
        return self.conceal(self.body.decode(errors="replace"))[:size]

    @property
    def content_type(self) -> str | None:
        """The Content-Type, without secrets and numbers."""
        given = self.headers.get("content-type")
        return given and redact(self.conceal(given))


@frozen
class Reader(Generic[_T]):
    """Parses a model from a response, or from the value of a key in it.

    If field names are given, it can also parse them from a response in XML.
    """

    _model: type[_T]
    _key: str | None = None
    _fields: tuple[str, ...] = ()

    def __call__(self, response: Response, *, time_zone: tzinfo = IST) -> _T:
        """Parse the model.

        Args:
            response: the response to parse.
            time_zone: the time zone in which Exotel writes times, and that of the model's times.

        Raises:
            APIError: Exotel refused.
            DecodeError: the response contains no such model, or an incomplete one.
        """
        if not _is_success(response):
            raise read_error(response)
        key = self._key
        try:
            document = self._of_xml(response) or _document(response)
            if key is None or key in document:
                data = document if key is None else document[key]
                return converter(time_zone).structure(data, self._model)
            problem = f"the key {key} is missing"
        # ValueError: it is not JSON, or does not contain the model.
        except (ValueError, RecursionError) as error:
            problem = str(error)
        # Not raised in the `except` above: its context would be an error that holds the whole body.
        raise _unreadable(
            response, self._model.__name__, _not_json_reason(response.body) or problem
        )

    def _of_xml(self, response: Response) -> dict[str, Any] | None:
        """Return the fields of an XML response as a document; None if there are none."""
        if not self._fields or self._key is None:
            return None
        inside = _tag(self._key, response.excerpt(_MARKUP))
        return None if inside is None else {self._key: {f: _tag(f, inside) for f in self._fields}}


read_call: Final = Reader(Call, "Call")
"""The call in the response to a dial or to `get_call`."""
read_page: Final = Reader(CallPage)
"""A page of call records. A call that cannot be read is an error, and never dropped silently."""
read_number: Final = Reader(NumberMetadata, "Numbers")  # plural, but a single object
"""What Exotel knows about a number."""
read_whitelist: Final = Reader(WhitelistEntry, "Result", ("Status", "Type", "Expiry"))
"""A number's status on the whitelist: documented as XML, and as JSON with `.json` in the path."""
read_balance: Final = Reader(Balance, "Account")
"""The account's balance."""
read_exophone: Final = Reader(ExoPhone)
"""An ExoPhone."""
read_exophone_page: Final = Reader(ExoPhonePage)
"""A page of ExoPhones."""


def read_raw(response: Response) -> RawResponse:
    """Return a response as it is.

    Raises:
        APIError: Exotel refused.
    """
    if not _is_success(response):
        raise read_error(response)
    return RawResponse(status=response.status, headers=_concealed(response), content=response.body)


def read_done(response: Response) -> None:
    """Check that a request succeeded whose response body is not documented.

    Raises:
        APIError: Exotel refused.
        DecodeError: the body is an error, or an HTML page, such as a proxy's login page.
    """
    if not _is_success(response):
        raise read_error(response)
    problem = "an error" if b"RestException" in response.body else _not_json_reason(response.body)
    if problem in {"an error", _HTML}:
        raise _unreadable(response, "confirmation", problem)


def read_error(response: Response) -> APIError:
    """Return (not raise) the error for an unsuccessful response, whatever its body is.

    The message is Exotel's own if there is one: `RestException`, as JSON or XML, or the title of a
    gateway's HTML page. The hint names the known causes of such a response.
    """
    said, code = _rest_exception(response) or _markup(response) or (None, None)
    message = (
        _one_line(response.conceal(said or ""))
        or f"{_phrase(response.status)} ({_not_json_reason(response.body) or 'no message'})"
    )
    return api_error(response.status)(
        message,
        status=response.status,
        hint=_hint(response, message),
        code=_code(response, code),
        headers=_concealed(response),
        attempts=response.attempts,
    )


def _unreadable(response: Response, wanted: str, problem: str | None) -> DecodeError:
    return DecodeError(
        f"no {wanted} in the answer: {problem}",
        status=response.status,
        content_type=response.content_type,
        excerpt=response.excerpt(),
    )


def _concealed(response: Response) -> dict[str, str]:
    return {name: response.conceal(value) for name, value in response.headers.items()}


def _hint(response: Response, message: str) -> str | None:
    """Return the known causes of such a response, or the target of a redirect."""
    status = response.status
    if 300 <= status < 400:
        leads_to = _location(response)
        return leads_to and f"it leads to {leads_to}, which is not followed"
    if status in {401, 404}:
        return None if response.accepted else _REGIONS
    if status == 403 and re.search(_SAYS_WHY, message):
        return None
    return _KNOWN_REASONS.get(status)


def _location(response: Response) -> str | None:
    """Return the target of a redirect without user and query, which may be secret."""
    try:
        parts = urlsplit(response.conceal(response.headers.get("location", "")))
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return None
    scheme = f"{parts.scheme}:" if parts.scheme else ""
    return _one_line(f"{scheme}//{host}{parts.path}" if host else parts.path) or None


def sid_of(response: Response) -> str | None:
    """Return the SID of an accepted dial, even if the response is XML or otherwise damaged.

    None if there is no SID, or nothing that looks like one, or the dial was not accepted.
    """
    return _field("Sid", _SID, response) if _is_success(response) else None


def parties_of(response: Response) -> tuple[str | None, str | None]:
    """Return `From` and `To` of the response to a dial, even if it is damaged."""
    return _field("From", _PARTY, response), _field("To", _PARTY, response)


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return `Retry-After` as seconds from now, at least 0 and at most a day.

    None if it is missing or invalid. A date in it is compared with the response's own `Date`, so
    that a wrong clock on this side does not matter.

    Args:
        headers: the response headers, names in lower case.
        now: the time, in seconds since the epoch, for a response without a `Date`.
    """
    if "retry-after" not in headers:
        return None
    value = headers["retry-after"].strip()
    if re.fullmatch(_SECONDS, value):
        wait = float(value)
    else:
        until = http_date(value)
        if until is None:
            return None
        sent = http_date(headers.get("date", ""))
        wait = until - (now if sent is None else sent)
    return min(max(wait, 0.0), _LONGEST_WAIT)


def _field(name: str, value: str, response: Response) -> str | None:
    """Return the value of the first field with a name, in JSON or XML."""
    pattern = rf'(?:"{name}"\s*:\s*"|<{name}>\s*)({value})(?:"|\s*</{name}>)'
    found = re.search(pattern.encode(), response.body)
    return found[1].decode(errors="replace") if found else None


def _document(response: Response) -> dict[str, Any]:
    document = decode_json(response.body)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - wrong data, not a wrong program
    return document


def _is_success(response: Response) -> bool:
    return 200 <= response.status < 300


def _not_json_reason(body: bytes) -> str | None:
    """Describe a body that cannot be JSON; None if it may be."""
    start = body[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start:
        return "an empty body"
    if start.startswith((b"<!doctype html", b"<html")):
        return _HTML
    if start.startswith(b"<"):
        return "XML instead of JSON: a path without .json?"
    return None


_ErrorText = tuple[str | None, object]


def _rest_exception(response: Response) -> _ErrorText | None:
    try:
        exception = _document(response).get("RestException")
    except (ValueError, RecursionError):
        return None
    if not isinstance(exception, dict):
        return None
    return text(exception.get("Message")), exception.get("Code")


def _markup(response: Response) -> _ErrorText | None:
    """Return the error in XML or HTML, found by its tags: parsing untrusted XML is risky."""
    head = response.excerpt(_MARKUP)
    said = _tag("Message", head) if "<RestException>" in head else _tag("title", head)
    return (said, _tag("Code", head)) if said else None


def _tag(name: str, markup: str) -> str | None:
    found = re.search(rf"<{name}>(.*?)</{name}>", markup, re.DOTALL | re.IGNORECASE)
    return found and html.unescape(re.sub(r"<!\[CDATA\[|\]\]>", "", found[1]))


def _one_line(said: str) -> str:
    """Return foreign text as one printable line of limited length."""
    line = " ".join(said.split())[:_LONGEST_MESSAGE]
    return "".join(char if char.isprintable() else "?" for char in line)


def _code(response: Response, code: object) -> int | str | None:
    written = text(code)
    number = count(written)
    return (
        number
        if written is None or number is not None
        else redact(_one_line(response.conceal(written)))[:64] or None
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no success"


def http_date(value: str) -> float | None:
    """Parse an HTTP date, as seconds since the epoch; None if invalid."""
    try:
        time = parsedate_to_datetime(value[:64])
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
