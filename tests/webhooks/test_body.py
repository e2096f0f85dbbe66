"""Bodies by their content types: what is read, what is refused, and with how few words."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.errors import ConfigurationError, InvalidWebhook
from exotel_async.webhooks import (
    ConnectRequest,
    DialEvent,
    GatherRequest,
    GreetingRequest,
    Heartbeat,
    PassthruRequest,
    SmsRequest,
    StatusCallback,
    VoicebotRequest,
    WhisperRequest,
)
from exotel_async.webhooks.body import (
    MAX_FIELDS,
    MediaType,
    check_size,
    media_type,
    read_body,
    read_query,
)

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"


def part(name: str, value: str, *more: str) -> str:
    headers = "\r\n".join([f'Content-Disposition: form-data; name="{name}"', *more])
    return f"--b\r\n{headers}\r\n\r\n{value}\r\n"


def multipart(*parts: str, end: str = "--b--\r\n") -> bytes:
    return ("".join(parts) + end).encode()


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/json", MediaType.JSON),
        ("Application/JSON; charset=utf-8", MediaType.JSON),
        (" application/x-www-form-urlencoded ", MediaType.URLENCODED),
        ("multipart/form-data; boundary=x", MediaType.MULTIPART),
        ("multipart/mixed; boundary=x", None),
        ("text/plain", None),
        ("application/jsonp", None),
        ("", None),
        (None, None),
    ],
)
def test_content_types(content_type: str | None, kind: MediaType | None) -> None:
    assert media_type(content_type) is kind
    if kind is None:
        with pytest.raises(InvalidWebhook, match="content type"):
            read_body(b"CallSid=x1", content_type)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"CallSid"',
        b"7",
        b'{"CallSid":"x1"',
        b'{"CallSid":"x1"} x',
        b"CallSid=x1",
        b"\xff\xfe{",
        b'{"CallSid":"\xe9"}',
        b"<Call/>",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"CallSid":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_json_object(body: bytes) -> None:
    with pytest.raises(InvalidWebhook, match="JSON"):
        read_body(body, JSON)


def test_json_that_python_reads_and_others_do_not() -> None:
    assert read_body(b'{"a":NaN,"b":-Infinity}', JSON) == {"a": None, "b": None}
    assert read_body(b'\xef\xbb\xbf{"a":1}', JSON) == {"a": 1}


def test_deep_json() -> None:
    with pytest.raises(InvalidWebhook, match="deeper"):
        read_body(b'{"CallSid":"x1","a":' + b"[" * 50 + b"]" * 50 + b"}", JSON)


@pytest.mark.parametrize("joint", ["&", "&a[x]=1&"])
def test_many_fields(joint: str) -> None:
    with pytest.raises(InvalidWebhook, match=f"more than {MAX_FIELDS}"):
        read_query(joint.join(["a=1"] * 2000))
    with pytest.raises(InvalidWebhook, match=f"more than {MAX_FIELDS}"):
        read_query(b"&" * 1_000_000)


def test_a_form_is_utf8() -> None:
    written = "CallSid=x1&Note=%E0%A4%A8+%26&Bad=%FF&Plus=%2B91"
    expected = {"CallSid": "x1", "Note": "न &", "Bad": "\ufffd", "Plus": "+91"}
    assert read_query(written) == read_body(written.encode(), FORM) == expected
    assert read_query("a=न".encode()) == read_query("a=न") == {"a": "न"}
    assert read_query(b"a=\xff") == {"a": "\ufffd"}


def test_blank_values_are_values() -> None:
    assert read_query("a=&b&=c") == {"a": "", "b": "", "": "c"}


def test_semicolons_are_letters() -> None:
    assert read_query("a=1;b=2") == {"a": "1;b=2"}


def test_parts() -> None:
    body = multipart(
        part("CallSid", "x1"),
        part("Legs[0][Status]", "completed"),
        part("Note", "two\r\nlines & --b", "Content-Type: text/plain; charset=utf-8"),
        part("Empty", ""),
        part("Name", "नमस्ते"),
    )
    assert read_body(body, MULTIPART) == {
        "CallSid": "x1",
        "Legs": [{"Status": "completed"}],
        "Note": "two\r\nlines & --b",
        "Empty": "",
        "Name": "नमस्ते",
    }


def test_a_quoted_boundary_and_other_parameters() -> None:
    kind = 'Multipart/Form-Data; charset=utf-8; boundary="b"'
    assert read_body(multipart(part("a", "1")), kind) == {"a": "1"}


def test_headers_of_a_part_in_any_case() -> None:
    body = b"--b\r\nX-More: 1\r\ncontent-DISPOSITION: form-data; name=a\r\n\r\n1\r\n--b--"
    assert read_body(body, MULTIPART) == {"a": "1"}


def test_a_file_is_read_as_the_text_it_holds() -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n\r\n1\r\n--b--\r\n'
    assert read_body(body, MULTIPART) == {"a": "1"}


def test_bytes_that_are_no_utf8() -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n\xfe\r\n--b--\r\n'
    assert read_body(body, MULTIPART) == {"\ufffd": "\ufffd"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"CallSid=x1",
        b"--other\r\n",
        multipart(part("a", "1"), end=""),
        multipart(part("a", "1"), end="--b"),
        multipart(part("a", "1"))[:-6],
        b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--\r\n",
        b"--b\r\n\r\n1\r\n--b--\r\n",
        b"--b\r\nbad header\r\n\r\n1\r\n--b--\r\n",
        b"--b\r\n" + b"X: y\r\n" * 10_000 + b"\r\n1\r\n--b--\r\n",
    ],
)
def test_what_is_no_multipart(body: bytes) -> None:
    with pytest.raises(InvalidWebhook, match="multipart"):
        read_body(body, MULTIPART)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "b" * 2000,
        "multipart/form-data; boundary=ब",
    ],
)
def test_no_boundary(content_type: str) -> None:
    with pytest.raises(InvalidWebhook, match="multipart"):
        read_body(multipart(part("a", "1")), content_type)


def test_many_parts() -> None:
    parts = [part(f"a{n}", "1") for n in range(MAX_FIELDS)]
    assert len(read_body(multipart(*parts), MULTIPART)) == MAX_FIELDS
    with pytest.raises(InvalidWebhook, match=f"more than {MAX_FIELDS}"):
        read_body(multipart(*parts, part("b", "1")), MULTIPART)


def test_without_the_extra_it_says_which_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_multipart.multipart", None)
    with pytest.raises(ConfigurationError, match=r"exotel-async\[webhooks\]"):
        read_body(multipart(part("CallSid", "x1")), MULTIPART)
    assert StatusCallback.from_request(b"CallSid=x1", FORM).sid == "x1"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"secret": 9876501234', JSON),
        (b'{"secret": "9876501234"}', JSON),
        (b"secret=9876501234", FORM),
        (b"a=9876501234&" * 2000, FORM),
        (b"secret 9876501234", MULTIPART),
        (b'{"CallSid":"a/9876501234"}', JSON),
        (b"secret=9876501234", "text/9876501234"),
        (b"a[" + b"[9876501234]" * 100, FORM),
    ],
)
def test_errors_show_nothing_of_what_came(body: bytes, content_type: str) -> None:
    with pytest.raises(InvalidWebhook) as caught:
        StatusCallback.from_request(body, content_type)
    error = caught.value
    shown = f"{error} {error!r} {error.args} {''.join(traceback.format_exception(error))}"
    assert "9876501234" not in shown
    assert "secret" not in shown.replace("test_errors_show", "")
    # Nor does it carry another error, which might hold the whole body.
    assert error.__cause__ is None
    assert error.__context__ is None


@given(
    depth=st.integers(0, 12),
    width=st.integers(0, 40),
    more=st.sampled_from([0, 1, 500, 990, 996, 999, 1000, 1001]),
    words=st.text('[]{},:"a', max_size=12),
)
def test_the_limits_of_json_are_those_of_its_values(
    depth: int, width: int, more: int, words: str
) -> None:
    """Brackets and commas are counted first; it makes no difference to what is let in."""
    value: Any = [words] * width
    for level in range(depth):
        value = {words: value} if level % 2 else [value]
    document = {"value": value, "more": [1] * more, words: words}
    try:
        check_size(document)
    except InvalidWebhook:
        with pytest.raises(InvalidWebhook):
            read_body(json.dumps(document).encode(), "application/json")
    else:
        assert read_body(json.dumps(document).encode(), "application/json") == document


@pytest.mark.parametrize(
    "headers", ["Content-Disposition: form-data", "Content-Type: text/plain", "X: name=CallSid"]
)
def test_a_part_has_no_name_but_its_own(headers: str) -> None:
    nameless = f"--b\r\n{headers}\r\n\r\nvalue\r\n"
    for parts in ([part("CallSid", "a"), nameless], [nameless, part("CallSid", "a")]):
        with pytest.raises(InvalidWebhook, match="a part without a name"):
            read_body(multipart(*parts), MULTIPART)


READERS: list[Callable[..., object]] = [StatusCallback.from_request, Heartbeat.from_request]
QUERIES: list[Callable[..., object]] = [
    DialEvent.from_query,
    PassthruRequest.from_query,
    ConnectRequest.from_query,
    GatherRequest.from_query,
    GreetingRequest.from_query,
    WhisperRequest.from_query,
    SmsRequest.from_query,
    VoicebotRequest.from_query,
    lambda query: StatusCallback.from_request(b"CallSid=x1", FORM, query=query),
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b"{}", b"application/json", "content_type must be str, not bytes"),
        (b"{}", 5, "content_type must be str, not int"),
        ("{}", "application/json", "body must be bytes or bytearray, not str"),
        (None, "application/json", "body must be bytes or bytearray, not NoneType"),
        ("--b--", "multipart/form-data; boundary=b", "body must be bytes or bytearray, not str"),
        (5, "application/x-www-form-urlencoded", "body must be str or bytes or bytearray, not int"),
    ],
)
def test_an_argument_of_a_wrong_type_is_named(
    read: Callable[..., object], body: Any, content_type: Any, text: str
) -> None:
    with pytest.raises(InvalidWebhook, match=f"^{text}$"):
        read(body, content_type)


@pytest.mark.parametrize("read", QUERIES)
def test_a_query_of_a_wrong_type_is_named(read: Callable[..., object]) -> None:
    with pytest.raises(
        InvalidWebhook, match=r"^query must be str or bytes or bytearray, not dict$"
    ):
        read({"CallSid": "x1"})


def test_what_can_be_read_is_read() -> None:
    bodies: list[Any] = [b"CallSid=x1", bytearray(b"CallSid=x1"), "CallSid=x1"]
    for body in bodies:
        assert StatusCallback.from_request(body, FORM).sid == "x1"
        assert DialEvent.from_query(body).sid == "x1"
    document: Any = bytearray(b'{"CallSid": "x1"}')
    assert StatusCallback.from_request(document, JSON).sid == "x1"
