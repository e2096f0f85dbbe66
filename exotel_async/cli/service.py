"""The options that select the service, sessions made from them, and the texts of its errors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from attrs import frozen
from cyclopts import Parameter, validators

from exotel_async import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    DecodeError,
    ExotelError,
    InvalidRequest,
    LimiterUnavailable,
    NotFound,
    PaymentRequired,
    PermissionDenied,
    RateLimit,
    RateLimited,
    Region,
    ServerError,
)
from exotel_async.cli.terminal import Exit, report_problem
from exotel_async.config import find_base_url

if TYPE_CHECKING:
    from exotel_async import AsyncExotel

_VARIABLES: Final = ("EXOTEL_API_KEY", "EXOTEL_API_TOKEN", "EXOTEL_ACCOUNT_SID")
_ARGUMENTS: Final = {"from_": "FROM", "to": "TO", "number": "NUMBER"}
_SERVER: Final = "server of the shared limiter"  # as error texts of exotel_async.redis call it
LIMIT: Final = 200
"""Requests a minute: Exotel's documented budget."""


def option_of(argument: str, others: Mapping[str, str]) -> str:
    """Return the name of an argument on the command line.

    Args:
        argument: its name in Python.
        others: the names of arguments that are not options of the same name.
    """
    return others.get(argument, f"--{argument.replace('_', '-')}")


class Misuse(ConfigurationError):
    """The command line is not valid, or contradictory."""


@Parameter(name="*")
@frozen(kw_only=True)
class Service:
    """Which Exotel to talk to, and how much. The credentials come from the environment alone."""

    region: Annotated[Literal["singapore", "mumbai"] | None, Parameter(show_default=False)] = None
    """The account's region. Default: the one in EXOTEL_SUBDOMAIN, or else singapore."""
    base_url: Annotated[str | None, Parameter(show_default=False)] = None
    """Another address, such as that of an emulator: http(s)://host[:port]."""
    allow_http: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Allow http:// to another computer: the API token is then sent unencrypted."""
    rate: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=1_000_000))] = LIMIT
    """Requests a minute: the account's budget, or the share of it that this process may use.
    Processes that share it through EXOTEL_RATE_LIMIT_URL must all give the same rate."""

    def session(self, **options: Any) -> AsyncExotel:
        """Create a session for this service, with this rate.

        Raises:
            ConfigurationError: an environment variable is missing, or a setting is not valid. It
                is a `Misuse` if that is an option's fault.
        """
        missing = [name for name in _VARIABLES if not os.environ.get(name, "").strip()]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            raise ConfigurationError(f"{' and '.join(missing)} {verb} not set in the environment")
        if self.region is not None and self.base_url is not None:
            raise Misuse("--region and --base-url both choose the host: give only one of them")
        from exotel_async import AsyncExotel  # noqa: PLC0415

        try:
            return AsyncExotel(
                region=self._region,
                base_url=self.base_url,
                allow_http=self.allow_http,
                rate_limit=RateLimit(self.rate),
                **options,
            )
        except ConfigurationError as error:
            what, _, wrong = str(error).partition(" ")
            if what == "base_url":
                raise Misuse(f"--base-url {wrong}") from None
            raise

    @property
    def _region(self) -> Region | None:
        return None if self.region is None else Region(self.region)

    @property
    def url(self) -> str:
        """Scheme and host, and a path if one was given."""
        return find_base_url(self._region, self.base_url)[0]

    @property
    def host(self) -> str:
        """Host, and port if there is one, for messages."""
        # A session refuses credentials in the URL; they must not be shown before that either.
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def hostname(self) -> str:
        """The host without a port; "" if a session will refuse the address."""
        try:
            return urlsplit(self.url).hostname or ""
        except (ConfigurationError, ValueError):  # two addresses given, or invalid brackets
            return ""

    def words(self) -> list[str]:
        """Return the service as command-line options."""
        words = [] if self.rate == LIMIT else ["--rate", str(self.rate)]
        words += ["--allow-http"] if self.allow_http else []
        if self.base_url is not None:
            return [*words, "--base-url", self.base_url]
        return words if self.region is None else [*words, "--region", self.region]

    def failed(self, error: ExotelError, *, as_json: bool = False) -> Exit:
        """Print in one line what went wrong, and return the exit code."""
        report_problem(self.explain(error), kind=kind_of(error), as_json=as_json)
        return exit_of(error)

    def explain(self, error: ExotelError, *, arguments: Mapping[str, str] = _ARGUMENTS) -> str:
        """Return one line that says what went wrong, and what to do about it.

        Args:
            error: the error.
            arguments: command-line names of arguments that are not options of the same name.
        """
        match error:
            case InvalidRequest():
                line = f"{option_of(error.argument, arguments)} {error.shown} {error.rule}"
            case AuthenticationError():
                line = (
                    f"{self.host} does not accept the credentials (HTTP 401): EXOTEL_API_KEY or "
                    f"EXOTEL_API_TOKEN is wrong{self._other_region}"
                )
            case NotFound() | APIError(status=404):
                line = (
                    f"{self.host} does not know the account in EXOTEL_ACCOUNT_SID, or what was "
                    f"requested (HTTP 404){self._other_region}"
                )
            case PaymentRequired():
                line = f"the account's plan or balance does not cover it: {error}"
            case PermissionDenied():
                line = f"{self.host} does not allow it: {error}"
            case RateLimited():
                return "the account's rate limit is used up at the moment (HTTP 429)"
            case ServerError():
                line = f"{self.host} reports an internal error: {error}"
            case DecodeError():
                line = (
                    f"{self.host} answered with {_kind(error)} instead of the expected answer "
                    f"(HTTP {error.status}): check that it is the host of the Exotel API"
                )
            case LimiterUnavailable() | ConfigurationError() if _SERVER in str(error):
                # If processes disagree, the error shows the RateLimit of the others.
                rate = "; --rate sets it here" if "RateLimit(" in str(error) else ""
                line = f"EXOTEL_RATE_LIMIT_URL: {error}{rate}"
            case _:
                line = str(error)
        return line

    @property
    def _other_region(self) -> str:
        for region in Region:
            if self.host == region.value:
                other = next(one for one in Region if one is not region).name.lower()
                return f", or the account is in the other region: try --region {other}"
        return ", or the account is in another region"


def kind_of(error: object) -> str:
    """Return the class name of an error as reported to programs."""
    return (ConfigurationError if isinstance(error, Misuse) else type(error)).__name__


def exit_of(error: ExotelError) -> Exit:
    """Return the exit code of an error: that of wrong usage, or that of a failure."""
    return Exit.USAGE if isinstance(error, InvalidRequest | Misuse) else Exit.FAILED


def _kind(error: DecodeError) -> str:
    beginning = f"{error.content_type} {error.excerpt}".lower()
    for mark, kind in (("html", "HTML"), ("xml", "XML"), ("json", "other JSON")):
        if mark in beginning:
            return kind
    return "something other than JSON"
