"""Answers in: what Exotel Voice v1 says, as pure functions.

Whatever the body is, only errors of this package come out. Numbers in their texts are masked.
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

_EXCERPT: Final = 400  # bytes; the error shows half of them, so that no number is cut unmasked
_MARKUP: Final = 8_192  # bytes; an error says what it has to say before
_HTML: Final = "HTML instead of JSON"
_LONGEST_MESSAGE: Final = 400
_SHORTEST_SECRET: Final = 6  # a shorter one is a placeholder, and starring it garbles the text
_LONGEST_WAIT: Final = 86_400.0  # seconds

_REGIONS: Final = (
    f"the wrong region looks like this too: Singapore is {Region.SINGAPORE.value},"
    f" Mumbai is {Region.MUMBAI.value}"
)
# Those of 413 and 414 are HTTP's own, the others Exotel's (VOICE_V1 5.2).
_KNOWN_REASONS: Final[Mapping[int, str]] = {
    402: "known reasons: a limit of the account's plan or usage, or its balance",
    403: (
        "known reasons: the account is not KYC-compliant; the number is on the NDNC (do-not-call)"
        " register; a trial account calls a number it has not verified; perhaps this address is not"
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

# By pattern, not by parser: the answer may be XML, cut off, or garbled before and after.
_SID: Final = r"[A-Za-z0-9]{16,64}"
_PARTY: Final = r"[^\"<>\\]{1,255}"
_SECONDS: Final = r"[+-]?[0-9]+(\.[0-9]*)?"


@frozen
class Response:
    """What came back for one request.

    Attributes:
        status: the HTTP status.
        headers: the header fields, names in lower case.
        body: the whole body, decompressed.
        attempts: how often the request was sent.
        secrets: what no error may show of it.
        accepted: whether the service has accepted the account's credentials before: then it is the
            right region.
    """

    status: int
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    attempts: int = 1
    secrets: tuple[str, ...] = field(default=(), repr=False)
    accepted: bool = field(default=False, repr=False)

    def conceal(self, text: str) -> str:
        """Return a text with the secrets starred out of it."""
        for secret in self.secrets:
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "***")
        return text

    def excerpt(self, size: int = _EXCERPT) -> str:
        """Return the beginning of the body as text, without secrets."""
        # Not the other way round: a secret that is cut is not found.
        return self.conceal(self.body.decode(errors="replace"))[:size]

    @property
    def content_type(self) -> str | None:
        """What the body calls itself, without secrets and numbers."""
        given = self.headers.get("content-type")
        return given and redact(self.conceal(given))


@frozen
class Reader(Generic[_T]):
    """Reads a model out of an answer, or out of what that has under a key.

    With the names of its fields, it reads them out of an answer in XML as well.
    """

    _model: type[_T]
    _key: str | None = None
    _fields: tuple[str, ...] = ()

    def __call__(self, answer: Response, *, time_zone: tzinfo = IST) -> _T:
        """Read it.

        Args:
            answer: the answer.
            time_zone: the clock Exotel writes times by, and the zone of the times in the model.

        Raises:
            APIError: Exotel refused.
            DecodeError: there is no such thing in it, or not a whole one.
        """
        if not _is_success(answer):
            raise read_error(answer)
        key = self._key
        try:
            document = self._of_xml(answer) or _document(answer)
            if key is None or key in document:
                data = document if key is None else document[key]
                return converter(time_zone).structure(data, self._model)
            problem = f"the key {key} is missing"
        # ValueError: no JSON, or no such model in it.
        except (ValueError, RecursionError) as error:
            problem = str(error)
        # Raised out here, the error does not carry the parser's, which holds the whole body.
        raise _unreadable(answer, self._model.__name__, _kind(answer.body) or problem)

    def _of_xml(self, answer: Response) -> dict[str, Any] | None:
        """Return the fields as a document; None if there are none in XML."""
        if not self._fields or self._key is None:
            return None
        inside = _tag(self._key, answer.excerpt(_MARKUP))
        return None if inside is None else {self._key: {f: _tag(f, inside) for f in self._fields}}


read_call: Final = Reader(Call, "Call")
"""The call in the answer to a dial or to `get_call`."""
read_page: Final = Reader(CallPage)
"""A page of call records. No call on it is left out silently."""
read_number: Final = Reader(NumberMetadata, "Numbers")  # plural, and yet one
"""What Exotel knows about a number."""
read_whitelist: Final = Reader(WhitelistEntry, "Result", ("Status", "Type", "Expiry"))
"""How a number stands on the whitelist: documented in XML, and in JSON if the path asks for it."""
read_balance: Final = Reader(Balance, "Account")
"""The account's balance."""
read_exophone: Final = Reader(ExoPhone)
"""An ExoPhone."""
read_exophone_page: Final = Reader(ExoPhonePage)
"""A page of ExoPhones."""


def read_raw(answer: Response) -> RawResponse:
    """Return an answer as it is.

    Raises:
        APIError: Exotel refused.
    """
    if not _is_success(answer):
        raise read_error(answer)
    return RawResponse(status=answer.status, headers=_concealed(answer), content=answer.body)


def read_done(answer: Response) -> None:
    """Take note that something was done, where it is not known what the answer says.

    Raises:
        APIError: Exotel refused.
        DecodeError: it is a page for people, as a proxy has one for those who have to log in; or an
            error.
    """
    if not _is_success(answer):
        raise read_error(answer)
    problem = "an error" if b"RestException" in answer.body else _kind(answer.body)
    if problem in {"an error", _HTML}:
        raise _unreadable(answer, "confirmation", problem)


def read_error(answer: Response) -> APIError:
    """Return (not raise) the error for an answer that is no success, whatever its body is.

    The message is Exotel's own where there is one: `RestException`, as JSON or XML, or the title of
    a gateway's HTML page. The hint is what is known to cause such an answer.
    """
    said, code = _rest_exception(answer) or _markup(answer) or (None, None)
    message = (
        _tidy(answer.conceal(said or ""))
        or f"{_phrase(answer.status)} ({_kind(answer.body) or 'no message'})"
    )
    return api_error(answer.status)(
        message,
        status=answer.status,
        hint=_hint(answer, message),
        code=_code(answer, code),
        headers=_concealed(answer),
        attempts=answer.attempts,
    )


def _unreadable(answer: Response, wanted: str, problem: str | None) -> DecodeError:
    return DecodeError(
        f"no {wanted} in the answer: {problem}",
        status=answer.status,
        content_type=answer.content_type,
        excerpt=answer.excerpt(),
    )


def _concealed(answer: Response) -> dict[str, str]:
    return {name: answer.conceal(value) for name, value in answer.headers.items()}


def _hint(answer: Response, message: str) -> str | None:
    """Return what is known to cause such an answer, or where it leads."""
    status = answer.status
    if 300 <= status < 400:
        leads_to = _location(answer)
        return leads_to and f"it leads to {leads_to}, which is not followed"
    if status in {401, 404}:
        return None if answer.accepted else _REGIONS
    if status == 403 and re.search(_SAYS_WHY, message):
        return None
    return _KNOWN_REASONS.get(status)


def _location(answer: Response) -> str | None:
    """Return where a redirect leads, without what may be secret in it: a user, and a query."""
    try:
        parts = urlsplit(answer.conceal(answer.headers.get("location", "")))
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return None
    scheme = f"{parts.scheme}:" if parts.scheme else ""
    return _tidy(f"{scheme}//{host}{parts.path}" if host else parts.path) or None


def sid_of(answer: Response) -> str | None:
    """Find the SID of an accepted dial, even where the answer is XML, or damaged around it.

    None if there is none, or nothing that looks like one, or the dial was not accepted.
    """
    return _field("Sid", _SID, answer) if _is_success(answer) else None


def parties_of(answer: Response) -> tuple[str | None, str | None]:
    """Find whom an answer to a dial says it connects, where the answer is damaged as well."""
    return _field("From", _PARTY, answer), _field("To", _PARTY, answer)


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Read `Retry-After` as seconds from now, 0 at least.

    None if there is none, or it makes no sense. What is longer than a day is a day. A date in it is
    compared with the answer's own `Date`, so that a wrong clock on this side does not matter.

    Args:
        headers: the answer's header fields, names in lower case.
        now: the time, in seconds since the epoch, for an answer without a `Date`.
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


def _field(name: str, value: str, answer: Response) -> str | None:
    """Find the first field of a name in JSON or XML."""
    pattern = rf'(?:"{name}"\s*:\s*"|<{name}>\s*)({value})(?:"|\s*</{name}>)'
    found = re.search(pattern.encode(), answer.body)
    return found[1].decode(errors="replace") if found else None


def _document(answer: Response) -> dict[str, Any]:
    document = decode_json(answer.body)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - wrong data, not a wrong program
    return document


def _is_success(answer: Response) -> bool:
    return 200 <= answer.status < 300


def _kind(body: bytes) -> str | None:
    """Say what a body is that cannot be JSON."""
    start = body[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start:
        return "an empty body"
    if start.startswith((b"<!doctype html", b"<html")):
        return _HTML
    if start.startswith(b"<"):
        return "XML instead of JSON: a path without .json?"
    return None


_Said = tuple[str | None, object]


def _rest_exception(answer: Response) -> _Said | None:
    try:
        exception = _document(answer).get("RestException")
    except (ValueError, RecursionError):
        return None
    if not isinstance(exception, dict):
        return None
    return text(exception.get("Message")), exception.get("Code")


def _markup(answer: Response) -> _Said | None:
    """Read an error out of XML or HTML: by its tags alone, for a parser would trust it more."""
    head = answer.excerpt(_MARKUP)
    said = _tag("Message", head) if "<RestException>" in head else _tag("title", head)
    return (said, _tag("Code", head)) if said else None


def _tag(name: str, markup: str) -> str | None:
    found = re.search(rf"<{name}>(.*?)</{name}>", markup, re.DOTALL | re.IGNORECASE)
    return found and html.unescape(re.sub(r"<!\[CDATA\[|\]\]>", "", found[1]))


def _tidy(said: str) -> str:
    """Make one printable line of what somebody else wrote."""
    line = " ".join(said.split())[:_LONGEST_MESSAGE]
    return "".join(char if char.isprintable() else "?" for char in line)


def _code(answer: Response, code: object) -> int | str | None:
    written = text(code)
    number = count(written)
    return (
        number
        if written is None or number is not None
        else redact(_tidy(answer.conceal(written)))[:64] or None
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no success"


def http_date(value: str) -> float | None:
    """Read a date of HTTP as seconds since the epoch; None if it is none."""
    try:
        time = parsedate_to_datetime(value[:64])
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
