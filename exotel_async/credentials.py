"""An account with its API key and token, from arguments or the environment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

from attrs import field, frozen

from exotel_async.errors import ConfigurationError

# The environment variables for arguments of a session or a limiter that are not given.
_VARIABLES: Final = {
    "account_sid": "EXOTEL_ACCOUNT_SID",
    "account": "EXOTEL_ACCOUNT_SID",
    "api_key": "EXOTEL_API_KEY",
    "api_token": "EXOTEL_API_TOKEN",
}


@frozen
class Credentials:
    """An account and its API key and token, which are never printed nor pickled."""

    account_sid: str
    api_key: str = field(repr=lambda _: "'***'")
    api_token: str = field(repr=lambda _: "'***'")

    @classmethod
    def find(
        cls, account_sid: str | None, api_key: str | None, api_token: str | None
    ) -> Credentials:
        """Return the credentials given, completed from the environment.

        Raises:
            ConfigurationError: some are missing or empty: the message names them all, with their
                variables. Or one contains an invalid character.
        """
        values = {"account_sid": account_sid, "api_key": api_key, "api_token": api_token}
        missing = [argument for argument, value in values.items() if not _found(argument, value)]
        if missing:
            raise _missing(missing)
        found = cls(*(given(argument, value) for argument, value in values.items()))
        if ".." in found.account_sid or any(char in "/\\?#%:@" for char in found.account_sid):
            # Not shown: it may be a whole URL with the token in it, passed by mistake.
            source = source_of("account_sid", account_sid)
            raise ConfigurationError(f"{source} must not have /, ?, #, %, : or @ in it")
        return found

    def __reduce__(self) -> Any:
        raise TypeError("Credentials are not pickled: the API token would be in the pickle")


def given(argument: str, value: str | None) -> str:
    """Return a value as given, else from the environment; errors do not show it.

    Raises:
        ConfigurationError: it is missing or empty, has a space or an unprintable character in it,
            or is in quotation marks. The message names the argument or the variable.
    """
    found = _found(argument, value)
    if not found:
        raise _missing([argument])
    # Not shown: it may be the token.
    source = source_of(argument, value)
    if any(char.isspace() or not char.isprintable() for char in found):
        raise ConfigurationError(f"{source} has a space or an unreadable character in it")
    if found[0] in "'\"" and found[0] == found[-1]:
        # `docker --env-file` keeps those that a shell would remove.
        raise ConfigurationError(f"{source} is in quotation marks, which are not part of it")
    return found


def source_of(argument: str, value: object) -> str:
    """Return the source of a value: the name of the argument or of the environment variable."""
    return _VARIABLES[argument] if value is None else argument


def _found(argument: str, value: object) -> str:
    text = os.environ.get(_VARIABLES[argument]) if value is None else value
    return text.strip() if isinstance(text, str) else ""


def _missing(arguments: Sequence[str]) -> ConfigurationError:
    verb, s = ("is", "") if len(arguments) == 1 else ("are", "s")
    return ConfigurationError(
        f"{_listed(arguments)} {verb} missing: pass {_listed([f'{a}=' for a in arguments])}, or "
        f"set the environment variable{s} {_listed([_VARIABLES[a] for a in arguments])}"
    )


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
