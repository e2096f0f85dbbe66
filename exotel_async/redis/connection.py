"""A connection to a Valkey or Redis server, which runs scripts and classifies errors.

This module and `server.py` are the only ones that import redis-py.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha1
from typing import Any, Final, Self, TypeVar
from urllib.parse import unquote, urlsplit

from exotel_async.errors import ConfigurationError
from exotel_async.masking import shown
from exotel_async.wire.validation import is_number

try:
    import redis.asyncio as aioredis
    from redis import exceptions as failures
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
except ImportError:
    raise ConfigurationError(
        "a shared limiter or claim store needs redis-py: pip install 'exotel-async[redis]'"
    ) from None

_T = TypeVar("_T")

_SCHEMES: Final = {"valkey": "redis", "valkeys": "rediss"}
_TIMEOUT: Final = 0.25  # seconds
_LONGEST_TIMEOUT: Final = 1e9
_CONNECTING: Final = 4  # times the timeout: TCP, TLS, AUTH and SELECT are round trips, too
# A server that reports one of these is the right one, and will recover.
_PASSING: Final = re.compile(
    r"\b(BUSY|CLUSTERDOWN|LOADING|MASTERDOWN|MISCONF|NOREPLICAS|OOM|TRYAGAIN)\b"
)
_SHOWN: Final = 160
_AT_ONCE: Final = 32  # each script that waits for its answer has a connection of its own
_MIN_CONNECTIONS: Final = 2  # one receives what the server publishes
_LOOKS: Final = 4  # checks within a timeout, at each of which the event loop must turn in time


class Unreachable(Exception):
    """The server does not answer, or cannot do what is asked at the moment."""


class Unusable(Exception):
    """The server answers, but can never do what is asked."""


class Script:
    """A Lua script that uses one key, and the hash by which the server knows it."""

    def __init__(self, text: str) -> None:
        self.text: Final = text
        self.sha: Final = sha1(text.encode()).hexdigest()  # noqa: S324 - the server names it so


class _LoopWatch:
    """Detects whether the event loop was blocked for a part of a timeout, as by a slow handler.

    An answer may then have arrived without being read, so that its absence says nothing about the
    server.
    """

    def __init__(self, seconds: float) -> None:
        self.stood_still = False
        self._every = seconds / _LOOKS
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        self._due = self._loop.time() + self._every
        self._timer = self._loop.call_at(self._due, self._look)
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._compare()

    def _look(self) -> None:
        self._compare()
        self.__enter__()

    def _compare(self) -> None:
        self.stood_still |= self._loop.time() - self._due > self._every


class Connection:
    """A Valkey or Redis server, as used by one part of this package."""

    def __init__(
        self, url_or_client: str | aioredis.Redis, *, timeout: float | None, user: str
    ) -> None:
        """Prepare the connection; nothing is sent.

        Args:
            url_or_client: the server's URL, or a client, whose settings are used.
            timeout: seconds it may take to answer; by default as in the URL, else 0.25.
            user: which part of this package uses it, for error messages.

        Raises:
            ConfigurationError: the URL is not valid, or it is neither a URL nor a client.
        """
        if isinstance(url_or_client, str):
            url_or_client, in_url = _without_timeout(url_or_client, user)
            timeout = in_url if timeout is None else timeout
        self.timeout: Final = _TIMEOUT if timeout is None else timeout
        """Seconds it may take to answer."""
        self._client: Final = _client(url_or_client, self.timeout, user)
        self._is_ours = self._client is not url_or_client
        settings = self._client.connection_pool.connection_kwargs
        self.address: Final = _address(settings)
        """Where it is, for people to read: without credentials."""
        password = settings.get("password")
        self._secret = str(password) if password else None
        self._connected = False
        most = getattr(self._client.connection_pool, "max_connections", _AT_ONCE + 1)
        if isinstance(url_or_client, str) and most < _MIN_CONNECTIONS:
            raise ConfigurationError(
                f"the URL of the {user} is not valid: "
                f"max_connections= must be {_MIN_CONNECTIONS} or more"
            )
        # With none left, redis-py raises the same error as for a server that is gone.
        self._places = asyncio.Semaphore(max(1, min(_AT_ONCE, most - 1)))
        self._answered = self._silent = -math.inf  # when it last was, by the loop's clock

    @property
    def timeout_text(self) -> str:
        """The timeout and how to set it, for error messages."""
        return f"timeout={self.timeout:g} s, by socket_timeout= or ?timeout= in its URL"

    async def run(
        self,
        script: Script,
        key: str,
        *words: str | int,
        read: Callable[[Any], _T | None],
        concurrent: bool = False,
        idempotent: bool = False,
        with_text: bool = False,
    ) -> _T:
        """Run a script, and return its answer.

        It may first wait for other scripts of this connection. That time does not count against
        the server, unless it answers none of those either.

        Args:
            script: the script.
            key: its one key.
            words: its arguments.
            read: converts the answer; returns a false value if the script cannot have sent it.
            concurrent: whether other scripts may run meanwhile, so that it may have to open a new
                connection.
            idempotent: whether running it twice is harmless. It is then sent again at once if its
                connection was lost (the server may have closed an idle one), or if the event loop
                was blocked while the answer was due.
            with_text: whether to send the script itself, even if the server may know its hash.

        Raises:
            Unreachable: no answer came. The script may have run, or may still run.
            Unusable: the server cannot do what is asked.
        """
        connected = self._connected and not concurrent
        seconds = self.timeout if connected else self.timeout * _CONNECTING
        send = partial(self._send_text if with_text else self._send, script, key, *words)
        try:
            async with self._place():
                answer = read(await self._attempt(send, seconds, idempotent=idempotent))
        except (failures.AuthorizationError, failures.AuthenticationError) as error:
            problem: Exception = Unusable(self._error_text(error))
        except (failures.TimeoutError, TimeoutError):
            problem = Unreachable(f"no answer within {seconds:g} s ({self.timeout_text})")
        except (failures.ConnectionError, OSError) as error:
            problem = Unreachable(self._error_text(error))
        except failures.RedisError as error:
            passing = isinstance(error, failures.OutOfMemoryError) or _PASSING.search(str(error))
            problem = (Unreachable if passing else Unusable)(self._error_text(error))
        except Exception as error:  # noqa: BLE001 - a client of the user's may raise anything
            problem = Unreachable(type(error).__name__)
        else:
            if answer:
                self._connected = True
                return answer
            problem = Unusable("its answer is not one that this package knows")
        self._connected = False
        if isinstance(problem, Unusable) and self._is_ours:
            # It may have become a replica, and its name may now resolve to another server.
            await self._client.connection_pool.disconnect()
        # redis-py's exception refers to what was sent, and one of its frames to the password.
        raise problem from None

    async def aclose(self) -> None:
        """Close the connections, but not a client that the user has passed."""
        if self._is_ours:
            await self._client.aclose()
            # redis-py does not wait for its transports, which need one turn of the loop to close.
            await asyncio.sleep(0)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Wait for a free slot, as long as the scripts that hold the slots get answers."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with self._places:
            if self._silent > began > self._answered:
                raise TimeoutError
            try:
                yield
            except (failures.TimeoutError, TimeoutError):
                self._silent = loop.time()
                raise
            self._answered = loop.time()

    async def _attempt(
        self, send: Callable[[], Awaitable[Any]], seconds: float, *, idempotent: bool
    ) -> Any:
        with _LoopWatch(seconds) as watch:
            try:
                return await _within(seconds, send, idempotent=idempotent)
            except (failures.TimeoutError, TimeoutError):
                if not idempotent:
                    raise
        if not watch.stood_still:
            raise TimeoutError
        return await _within(seconds, send, idempotent=idempotent)

    async def _send(self, script: Script, key: str, *words: str | int) -> Any:
        try:
            return await self._client.evalsha(script.sha, 1, key, *words)
        except failures.NoScriptError:
            return await self._send_text(script, key, *words)

    async def _send_text(self, script: Script, key: str, *words: str | int) -> Any:
        return await self._client.eval(script.text, 1, key, *words)

    def _error_text(self, error: BaseException) -> str:
        words = str(error) or type(error).__name__
        if self._secret is not None:
            words = words.replace(self._secret, "***")
        return words if len(words) <= _SHOWN else words[:_SHOWN] + "..."


async def _within(seconds: float, send: Callable[[], Awaitable[Any]], *, idempotent: bool) -> Any:
    async with asyncio.timeout(seconds):
        try:
            return await send()
        except failures.ConnectionError:
            if not idempotent:
                raise
            return await send()


def check_word(argument: str, value: str) -> str:
    """Return a value that can be part of a key's name.

    Raises:
        ConfigurationError: it cannot.
    """
    fits = isinstance(value, str) and value and value.isprintable()
    if not fits or any(char.isspace() or char in "{}:@" for char in value):
        # Not shown: it may be the server's URL, with a password, passed by mistake.
        raise ConfigurationError(f"{argument} must be a word without braces, : and @")
    return value


def check_seconds(argument: str, value: object) -> None:
    """Check a number of seconds.

    Raises:
        ConfigurationError: it is not a positive number.
    """
    if not is_number(value) or not 0 < value < _LONGEST_TIMEOUT:
        raise ConfigurationError(f"{argument}={shown(value)}: must be a positive number of seconds")


def _without_timeout(url: str, user: str) -> tuple[str, float | None]:
    """Split this package's own option, `timeout`, from a URL; the others are redis-py's.

    Raises:
        ConfigurationError: it is not a number of seconds; or the URL contains delimiters that show
            that a password was not escaped: part of it would be taken for an address, and shown.
    """
    place, mark, query = url.partition("?")
    if "#" in url or "@" in query:
        raise ConfigurationError(
            f"the URL of the {user} is not valid: in a password, write %23 for #, %3F for ?, %2F "
            "for / and %40 for @"
        )
    options = query.split("&") if mark else []
    ours = [option for option in options if unquote(option.partition("=")[0]) == "timeout"]
    if not ours:
        return url, None
    try:
        (only,) = ours
        seconds = float(unquote(only.partition("=")[2]))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < _LONGEST_TIMEOUT:
        raise ConfigurationError(
            f"the URL of the {user} is not valid: timeout= must be there once, as a positive "
            "number of seconds"
        )
    rest = "&".join(option for option in options if option not in ours)
    return f"{place}?{rest}" if rest else place, seconds


def _client(url_or_client: object, timeout: float, user: str) -> aioredis.Redis:
    if isinstance(url_or_client, aioredis.Redis):
        theirs = url_or_client.connection_pool
        if type(theirs) not in {aioredis.ConnectionPool, aioredis.BlockingConnectionPool}:
            return url_or_client
        # With its own retries it would try a wrong password again, for seconds.
        settings = theirs.connection_kwargs | {"retry": Retry(NoBackoff(), 0)}
        ours = aioredis.ConnectionPool(connection_class=theirs.connection_class, **settings)
        return aioredis.Redis.from_pool(ours)
    if not isinstance(url_or_client, str):
        kind = type(url_or_client).__name__
        raise ConfigurationError(
            f"url_or_client is a {kind}: must be a URL, or a redis.asyncio.Redis"
        )
    scheme, mark, rest = url_or_client.partition("://")
    try:
        path = urlsplit(url_or_client).path.strip("/")
        # redis-py would read any other path as database 0, and no path as a server on localhost.
        if path if scheme == "unix" else not path or path.isdecimal():
            client = aioredis.Redis.from_url(
                f"{_SCHEMES.get(scheme, scheme)}{mark}{rest}",
                # `run` applies the timeout. With this one redis-py would use `asyncio.wait_for`,
                # which on Python 3.11 loses a cancellation that comes just as the wait has ended.
                socket_timeout=None,
                socket_connect_timeout=timeout * _CONNECTING,
                # Retries are decided in this package: they must send the same message.
                retry=Retry(NoBackoff(), 0),
            )
            pool = client.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # validates its options only now
            return client
    except (ValueError, TypeError, failures.RedisError):
        pass
    # redis-py's error text may repeat a part of the URL, which may contain a password.
    raise ConfigurationError(
        f"the URL of the {user} is not valid: must be redis://host/database, rediss://, "
        "valkey://, valkeys:// or unix://path, with special characters in %xx"
    )


def _address(settings: Mapping[str, Any]) -> str:
    database = settings.get("db") or 0
    if "path" in settings:
        return f"unix:{settings['path']}, database {database}"
    place = f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"
    if "connection_pool" in settings:  # Sentinel: the address is looked up for each connection
        place = getattr(settings["connection_pool"], "service_name", "a server")
    return f"{place}, database {database}"
