"""What an application is made with is checked when it is passed, and named in the error."""

from __future__ import annotations

import copy
import math
import pickle
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from exotel_async.config import IST
from exotel_async.errors import ConfigurationError
from exotel_async.webhooks import (
    DialEvent,
    ExotelWebhooks,
    Heartbeat,
    MemoryClaims,
    PassthruRequest,
    StatusCallback,
    VoicebotRequest,
)
from tests.webhooks.serving import SECRET, new_hooks

ZONE = "time_zone={}: must be a datetime.timezone or a zoneinfo.ZoneInfo"
STORE = "claims={}: must be an object with the methods claim, done and release"
BYTES = "max_body={}: must be a whole number of bytes, 1 or more"
SECRETS = "secret: must be a text, or several of them, not {}"
SEVERAL = "{} must be several addresses or networks, not {}"
GRACE = "grace={}: must be seconds, from 0 to a year"


class LikePytz(ZoneInfo):
    """Its zones, put into a time as they are, mean local time of the nineteenth century."""

    def localize(self) -> None: ...


class NoStore:
    claim = done = None


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"time_zone": "Asia/Kolkata"}, ZONE.format("str")),
    ({"time_zone": None}, ZONE.format("None")),
    ({"claims": 5}, STORE.format("5")),
    ({"claims": MemoryClaims}, STORE.format("type")),
    ({"claims": NoStore()}, STORE.format("NoStore")),
    ({"claims": False}, STORE.format("False")),
    ({"max_body": math.nan}, BYTES.format("nan")),
    ({"max_body": True}, BYTES.format("True")),
    ({"max_body": 1.5}, BYTES.format("1.5")),
    ({"max_body": "x"}, BYTES.format("str")),
    ({"max_body": None}, BYTES.format("None")),
    ({"max_body": 0}, BYTES.format("0")),
    ({"apology": None}, "apology: must be "),
    ({"apology": " "}, "apology: must be "),
    ({"apology": "https://shop.example/sorry.wav"}, "apology: has a line Exotel would play"),
    ({"secret": None}, SECRETS.format("NoneType")),
    ({"secret": 12345678901234567890}, SECRETS.format("int")),
    ({"secret": [None]}, "must have 16 to 128"),
    ({"secret": SECRET.encode()}, "must have 16 to 128"),
    ({"allowed_addresses": 5}, SEVERAL.format("allowed_addresses", "int")),
    ({"allowed_addresses": "10.0.0.1"}, SEVERAL.format("allowed_addresses", "str")),
    ({"allowed_addresses": [5]}, "allowed_addresses: '5' does not appear"),
    ({"allowed_addresses": [b"\x0a\x00\x00\x01"]}, "allowed_addresses: "),
    ({"trusted_proxies": None}, SEVERAL.format("trusted_proxies", "NoneType")),
    ({"trusted_proxies": 5}, SEVERAL.format("trusted_proxies", "int")),
    ({"base_url": 5}, "base_url="),
    ({"mount_path": None}, "mount_path must be a path"),
    ({"on_event": 5}, "on_event: must be a function"),
]


@pytest.mark.parametrize(("options", "text"), REFUSED)
def test_an_argument_that_makes_no_sense_is_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(text)):
        new_hooks(**options)


@pytest.mark.parametrize("time_zone", [None, "Asia/Kolkata", LikePytz("Asia/Kolkata")])
@pytest.mark.parametrize(
    "read",
    [
        partial(StatusCallback.from_request, b'{"CallSid": "a"}', "application/json"),
        partial(Heartbeat.from_request, b'{"status_type": "OK"}', "application/json"),
        partial(DialEvent.from_query, "CallSid=a"),
        partial(PassthruRequest.from_query, "CallSid=a"),
        partial(VoicebotRequest.from_query, "CallSid=a"),
    ],
)
def test_nor_is_anything_read_by_the_clock_of_no_zone(
    read: Callable[..., object], time_zone: Any
) -> None:
    assert read(time_zone=IST)
    with pytest.raises(ConfigurationError, match="time_zone="):
        read(time_zone=time_zone)


@pytest.mark.parametrize("secret", [12345678901234567890, SECRET.encode(), [SECRET, "short"]])
def test_no_error_shows_a_secret(secret: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        new_hooks(secret=secret)
    assert not any(part in str(caught.value) for part in (SECRET, "short", "1234567890"))


def test_nor_does_a_pickle_hold_one() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(new_hooks())


def test_a_copy_is_the_same_application() -> None:
    """Litestar copies what it mounts: what is registered after that counts, too."""
    hooks = new_hooks()
    assert copy.copy(hooks) is copy.deepcopy(hooks) is hooks


@pytest.mark.parametrize("secret", [None, 5])
def test_a_rotation_to_no_secret_leaves_the_old_one(secret: Any) -> None:
    hooks = new_hooks()
    hooks.status_callback(print)
    with pytest.raises(ConfigurationError, match=SECRETS.format(type(secret).__name__)):
        hooks.rotate(secret)
    assert SECRET in hooks.url("status_callback")


@pytest.mark.parametrize(
    ("grace", "shown"), [("x", "str"), (math.nan, "nan"), (-1, "-1"), (None, "None")]
)
async def test_a_grace_is_a_number_of_seconds(grace: Any, shown: str) -> None:
    with pytest.raises(ConfigurationError, match=GRACE.format(shown)):
        await new_hooks().aclose(grace)


@pytest.mark.parametrize(
    "options", [{"most": math.nan}, {"most": 0}, {"most": "x"}, {"remember": 5}, {"remember": None}]
)
def test_a_store_in_memory_has_bounds(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="MemoryClaims: most must be a whole number"):
        MemoryClaims(**options)


async def test_what_makes_sense_is_taken() -> None:
    hooks = ExotelWebhooks(
        (SECRET,),
        claims=MemoryClaims(),
        max_body=1,
        apology="Sorry.",
        time_zone=IST,
        allowed_addresses={"10.0.0.0/8"},
        trusted_proxies=iter(["10.0.0.1"]),
    )
    await hooks.aclose(0)
