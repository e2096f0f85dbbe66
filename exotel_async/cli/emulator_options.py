"""The options of `emulator` that are settings. They override those of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from attrs import fields, frozen
from cyclopts import Parameter, validators

from exotel_async import InvalidRequest
from exotel_async.phone import normalize_exophone

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT: Final = 8020
"""The default port."""
SEED: Final = 8
"""A seed for which the first call that the welcome text and the tutorial suggest is answered."""
TOKEN: Final = "emulator-token"  # noqa: S105 - opens nothing but an emulator
_SETTINGS: Final = {
    "account": "account_sid",
    "key": "api_key",
    "token": "api_token",
    "exophone": "exophones",
}
"""Options whose settings have other names."""


def _word(_: object, value: str | None) -> None:
    if value is not None and (not value or not value.isprintable() or " " in value):
        raise ValueError("It must not be empty or contain a space.")


def _name(_: object, value: str | None) -> None:
    _word(_, value)
    if value is not None and (".." in value or any(char in "/\\?#%:" for char in value)):
        raise ValueError("It must not contain /, \\, ?, #, %, : or '..'.")


def _numbers(_: object, values: tuple[str, ...] | None) -> None:
    for value in values or ():
        try:
            normalize_exophone(value, "exophone")
        except InvalidRequest as error:
            raise ValueError(f"It {error.rule}.") from None


@Parameter(name="*")
@frozen(kw_only=True)
class EmulatorOptions:
    """Settings given as options. None: the value of the configuration file, or the default."""

    host: Annotated[str | None, Parameter(validator=_word, show_default="127.0.0.1")] = None
    """The address to listen on; 0.0.0.0 lets other computers connect."""
    port: Annotated[
        int | None,
        Parameter(validator=validators.Number(gte=0, lte=65535), show_default=str(PORT)),
    ] = None
    """The port; 0: any free one."""
    speed: Annotated[
        float | None,
        Parameter(validator=validators.Number(gt=0, lte=100_000), show_default="1"),
    ] = None
    """How many times as fast as real time its clock runs."""
    rate: Annotated[
        int | None, Parameter(validator=validators.Number(gte=1), show_default="200")
    ] = None
    """How many requests a minute it allows."""
    window: Annotated[
        Literal["sliding-log", "sliding-counter", "fixed", "token-bucket", "leaky"] | None,
        Parameter(show_default="sliding-log"),
    ] = None
    """How it counts requests for this limit."""
    seed: Annotated[int | None, Parameter(show_default=str(SEED))] = None
    """Decides how calls end: the same seed gives the same outcomes."""
    account: Annotated[str | None, Parameter(validator=_name, show_default="acme1")] = None
    """The account SID."""
    key: Annotated[str | None, Parameter(validator=_name, show_default="emulator-key")] = None
    """The API key."""
    token: Annotated[str | None, Parameter(show_default=False)] = None
    """The API token."""
    exophone: Annotated[
        tuple[str, ...] | None,
        Parameter(negative="", validator=_numbers, show_default="08030000000"),
    ] = None
    """A number that calls may be made from; repeat the option for more."""

    def settings(self) -> Mapping[str, Any]:
        """Return the settings given on the command line."""
        given = {field.name: getattr(self, field.name) for field in fields(type(self))}
        if self.exophone is not None:
            given["exophone"] = tuple(normalize_exophone(one, "exophone") for one in self.exophone)
        return {
            _SETTINGS.get(name, name): value for name, value in given.items() if value is not None
        }
