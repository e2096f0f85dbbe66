"""The paths of requests that the SDK does not know: none dials, and none leaves the account."""

from __future__ import annotations

import enum
import re
import string
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async import InvalidRequest
from exotel_async.wire.raw_request import raw_request
from exotel_async.wire.request import Category, Request

NUMBER = "+919812300001"
DIALS = [
    "Calls/connect",
    "Calls/connect.json",
    "Calls/connect.JSON",
    "Calls/connect.xml",
    "Calls/connect.json.json",
    "calls/connect",
    "CALLS/CONNECT.json",
    "/Calls/connect",
    "//Calls/connect",
    "./Calls/connect",
    "././Calls/./connect",
    "Calls//connect",
    "Calls/connect/",
    "Calls/connect.json/",
    "Calls/connect//",
    "Calls/connect/x",
    "Calls/connect?From=1",
    "Calls/connect.json?",
    "Calls/connect#x",
    "Calls/connect;x=1",
    "Calls%2Fconnect",
    "Calls%2fconnect.json",
    "Calls%252Fconnect",
    "%43alls/connect",
    "Calls/%63onnect%2Ejson",
    "Calls/connect%3FFrom=1",
    "Calls/connect%20",
    " Calls/connect",
    "Calls\\connect",
    "Calls%5Cconnect",
    "../acme1/Calls/connect",
    "Numbers/../Calls/connect",
    "/v1/Accounts/acme1/Calls/connect.json",
    "https://api.exotel.com/v1/Accounts/acme1/Calls/connect",
    "https://k:t@api.exotel.com/v1/Accounts/acme1/Calls/connect",
]
OUTSIDE = [
    "",
    "/",
    "/Balance",
    "//evil.example/Balance",
    "Balance//",
    ".",
    "..",
    "../acme2/Balance",
    "Balance/..",
    "Numbers/../../acme2/Balance",
    "%2e%2e/acme2/Balance",
    "%2E./acme2",
    "..%2facme2",
    "%252e%252e/acme2",
    "./Balance",
    "Numbers/%2e/1",
    "https://evil.example/Balance",
    "evil.example:443//Balance",
    "\\\\evil.example\\Balance",
    "Balance?x=1",
    "Balance#x",
    "Balance;x=1",
    "Balance%3Fx",
    "Balance%00",
    "Balance%0d%0aHost: x",
    "Balance\r\nHost: x",
    "Numbers/098 123",
    "Numbers/%zz",
    "Numbers/%",
    "Numbers/%ff",
    "Numbers/١٢٣",
    "x" * 257,
    None,
    7,
    b"Balance",
]


@pytest.mark.parametrize("path", DIALS)
@pytest.mark.parametrize("method", ["POST", "GET", "put", "DELETE"])
@pytest.mark.parametrize("category", list(Category))
def test_no_spelling_of_a_dial_is_taken(path: str, method: str, category: str) -> None:
    with pytest.raises(InvalidRequest, match=r"use calls\.connect") as caught:
        raw_request(method, path, category=category)
    assert caught.value.argument == "path"


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_path_leads_out_of_the_account(path: Any) -> None:
    with pytest.raises(InvalidRequest, match="must be a path below the account") as caught:
        raw_request("GET", path)
    assert caught.value.argument == "path"


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("Balance", "Balance"),
        ("CustomerWhitelist/", "CustomerWhitelist/"),
        ("Calls.json", "Calls.json"),
        ("Calls/0a1b2c3d.json", "Calls/0a1b2c3d.json"),
        ("Calls/connected", "Calls/connected"),
        ("connect/Calls", "connect/Calls"),
        (f"Numbers/{NUMBER}.json", "Numbers/%2B919812300001.json"),
        ("Numbers/%2B919812300001", "Numbers/%2B919812300001"),
        ("Numbers/98123%2D00001", "Numbers/98123-00001"),
        ("Numbers/%39%38123(0)0001", "Numbers/98123(0)0001"),
        ("AvailablePhoneNumbers/IN/Mobile", "AvailablePhoneNumbers/IN/Mobile"),
    ],
)
def test_what_is_sent(path: str, sent: str) -> None:
    assert raw_request("GET", path) == Request("GET", sent)


@given(st.text(string.ascii_letters + string.digits + "-._~+()%/2eEfF?#;\\ ", max_size=30))
def test_what_is_taken_stays_below_the_account_and_is_no_dial(path: str) -> None:
    try:
        sent = raw_request("POST", path).path
    except InvalidRequest:
        return
    decoded = unquote(sent)
    assert unquote(decoded) == decoded
    parts = decoded.removesuffix("/").split("/")
    assert not {"", ".", ".."} & set(parts)
    assert not set("?#;\\") & set(decoded)
    assert unquote(path) == decoded, "it is the page that was meant"
    assert sent.count("/") == path.count("/")


@given(st.lists(st.sampled_from("Calls/connect"), min_size=13, max_size=13))
def test_whatever_is_encoded(letters: list[str]) -> None:
    """Any of the letters of a dial's path may be percent-encoded, and be of either case."""
    encoded = "".join(
        f"%{ord(char):02x}" if other == "n" else char.swapcase() if other == "e" else char
        for char, other in zip("Calls/connect", letters, strict=True)
    )
    with pytest.raises(InvalidRequest, match=r"use calls\.connect"):
        raw_request("POST", encoded)
    with pytest.raises(InvalidRequest, match=r"use calls\.connect"):
        raw_request("POST", quote(encoded, safe=""))


def test_query_and_form() -> None:
    params, form = {"Page": "2", "Contains": "080"}, {"Name": "बिक्री & Sales", "Empty": ""}
    request = raw_request("post", "Things.json", params=params, form=form, category="exophones")
    assert (request.method, request.category) == ("POST", Category.EXOPHONES)
    assert request.params == (("Page", "2"), ("Contains", "080"))
    assert dict(request.form) == form
    assert raw_request("PUT", "Things", form={}).body == ""
    assert raw_request("POST", "Things").body is None


def test_what_may_be_done_twice() -> None:
    assert not raw_request("GET", "Things").must_not_repeat
    for method in ("POST", "PUT", "DELETE"):
        request = raw_request(method, "Things")
        assert request.must_not_repeat
        assert not request.dials


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("method", {"method": "PATCH"}),
        ("method", {"method": "HEAD"}),
        ("method", {"method": None}),
        ("category", {"category": "v2_beta"}),
        ("category", {"category": None}),
        ("params", {"params": [("a", "b")]}),
        ("params", {"params": "a=b"}),
        ("params", {"params": {"": "b"}}),
        ("params", {"params": {"a": 1}}),
        ("params", {"params": {"a": None}}),
        ("params", {"params": {"a": "\0"}}),
        ("form", {"method": "POST", "form": {"a\n": "b"}}),
        ("form", {"method": "POST", "form": b"a=b"}),
        ("form", {"method": "GET", "form": {"a": "b"}}),
        ("form", {"method": "DELETE", "form": {}}),
    ],
)
def test_a_malformed_argument(argument: str, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        raw_request(**({"method": "GET", "path": "Things"} | given))
    assert caught.value.argument == argument


def test_errors_show_neither_numbers_nor_what_is_in_a_query_or_form() -> None:
    for passed in (
        {"path": f"Numbers/{NUMBER}//"},
        {"path": "Numbers/98123%2D00001//"},
        {"path": "Numbers/98123%252D00001//"},
        {"path": "Calls/connect?From=canary"},
        {"path": "Balance?key=canary"},
        {"path": "Balance", "form": {"key": "canary"}},
    ):
        with pytest.raises(InvalidRequest) as caught:
            raw_request(**({"method": "GET"} | passed))
        shown = f"{caught.value!r}".replace("Numbers/09812300001.json", "")
        assert "canary" not in shown
        assert "98123" not in shown


@pytest.mark.parametrize("sign", [*"-._~+(),:@!$&'*=/", "%20", "%2C", "%2f", ""])
def test_a_number_is_masked_whatever_stands_between_its_digits(sign: str) -> None:
    number = f"9812{sign}300{sign}001"
    request = Request("GET", f"Numbers/{number}.json", is_raw=True)
    for shown in (request.shown_path, repr(request)):
        assert len(re.sub(r"[^0-9]", "", shown)) <= 4, shown


def test_the_sid_of_a_call_is_shown() -> None:
    for sid in ("b6e1f2a3c4d5e6f7a8b9c0d1e2f3a4b5", "665a1234567d58d5806a251f5198cc11abi"[:32]):
        assert Request("GET", f"Calls/{sid}.json").shown_path == f"Calls/{sid}.json"
    assert "98123000" not in Request("GET", f"Numbers/{'9812300001' * 3}12").shown_path


def test_a_path_is_not_longer_than_any_of_exotels() -> None:
    with pytest.raises(InvalidRequest, match="must have at most 2000"):
        raw_request("GET", "%" + "25" * 20_000 + "41")


@pytest.mark.parametrize("path", ["Balance#SECRET", "Balance;SECRET", "Balance?SECRET"])
def test_what_follows_a_path_is_not_shown(path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        raw_request("GET", path)
    assert "SECRET" not in str(caught.value)
    assert "SECRET" not in repr(vars(caught.value))


@pytest.mark.parametrize("argument", ["form", "params"])
@pytest.mark.parametrize("value", ["token=SECRET", [("token", "SECRET")]])
def test_what_is_no_mapping_is_not_shown(argument: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match="must be a mapping of names to values") as caught:
        raw_request("POST", "Apps/run", **{argument: value})
    assert "SECRET" not in str(caught.value)
    assert "SECRET" not in repr(vars(caught.value))


@pytest.mark.slow(1)
def test_words_of_an_enum_are_sent_as_they_are_written() -> None:
    class Name(str, enum.Enum):  # noqa: UP042 - its name is what would be sent
        TO = "To"

    assert raw_request("POST", "Apps/run", form={Name.TO: Name.TO}).body == "To=To"
