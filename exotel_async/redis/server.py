"""The one module that imports redis-py: scripts sent to the ledger, and messages it publishes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from exotel_async.errors import ConfigurationError

try:
    import redis.asyncio as aioredis
    from redis import exceptions as failures
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
except ImportError:
    raise ConfigurationError(
        "a shared limiter needs redis-py: pip install 'exotel-async[redis]'"
    ) from None

SCRIPT: Final = files("exotel_async.redis").joinpath("ledger.lua").read_text(encoding="utf-8")
_SHA: Final = sha1(SCRIPT.encode()).hexdigest()  # noqa: S324 - it is how the server names it

_SCHEMES: Final = {"valkey": "redis", "valkeys": "rediss"}
_TIMEOUT: Final = 0.25  # seconds
_LONGEST_TIMEOUT: Final = 1e9
_CONNECTING: Final = 4  # times the socket's timeout: TCP, TLS, AUTH and SELECT are round trips too
_SILENCE: Final = 15.0  # seconds after which the connection has to show that it is still there
# A server that says these is the right one, and will be fine again.
_PASSING: Final = re.compile(
    r"\b(BUSY|CLUSTERDOWN|LOADING|MASTERDOWN|MISCONF|NOREPLICAS|OOM|TRYAGAIN)\b"
)
_SHOWN: Final = 160


def is_cancelled() -> bool:
    """Return whether the running task is to end, even if a client of another's has lost that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Unreachable(Exception):
    """The server does not answer, or cannot at the moment."""


class Unfit(Exception):
    """The server answers, and will never do what is asked of it."""


class Server:
    """A Valkey or Redis server, and the ledger of one account in it."""

    def __init__(
        self,
        url_or_client: str | aioredis.Redis,
        *,
        account: str,
        category: str,
        timeout: float | None,
    ) -> None:
        if isinstance(url_or_client, str):
            url_or_client, in_url = _without_timeout(url_or_client)
            timeout = in_url if timeout is None else timeout
        self.timeout: Final = _TIMEOUT if timeout is None else timeout
        """Seconds it may take to answer."""
        # The part in braces decides where in a cluster it is.
        self._key = f"exotel_async:{{{account}}}:{category}"
        self._client: Final = _client(url_or_client, self.timeout)
        self._is_ours = self._client is not url_or_client
        settings = self._client.connection_pool.connection_kwargs
        self.address: Final = _address(settings)
        """Where it is, for people to read: without credentials."""
        password = settings.get("password")
        self._secret = str(password) if password else None
        self._connected = False

    @property
    def allows(self) -> str:
        """How long it may take to answer, and where that is set, for people to read."""
        return f"timeout={self.timeout:g} s, by socket_timeout= or ?timeout= in its URL"

    async def ask(self, message: Mapping[str, Any], *, aside: bool = False) -> dict[str, Any]:
        """Send a message to the ledger and return its answer.

        Args:
            message: the message.
            aside: whether something else may be asked at the moment: it is on a new connection.

        Raises:
            Unreachable: no answer came. The ledger may have taken the message, or may yet.
            Unfit: the server cannot hold a ledger.
        """
        text = json.dumps(message, separators=(",", ":"))
        connected = self._connected and not aside
        seconds = self.timeout if connected else self.timeout * _CONNECTING
        try:
            async with asyncio.timeout(seconds):
                answer = _read(await self._run(text))
        except failures.AuthorizationError as error:
            problem: Exception = Unfit(self._words(error))
        except failures.AuthenticationError as error:
            problem = Unfit(self._words(error))
        except (failures.TimeoutError, TimeoutError):
            problem = Unreachable(f"no answer within {seconds:g} s ({self.allows})")
        except (failures.ConnectionError, OSError) as error:
            problem = Unreachable(self._words(error))
        except failures.RedisError as error:
            passing = isinstance(error, failures.OutOfMemoryError) or _PASSING.search(str(error))
            problem = (Unreachable if passing else Unfit)(self._words(error))
        except Exception as error:  # noqa: BLE001 - a client of the user's may raise anything
            problem = Unreachable(type(error).__name__)
        else:
            if answer:
                self._connected = True
                return answer
            problem = Unfit("its answer is not one that this package knows")
        self._connected = False
        if isinstance(problem, Unfit) and self._is_ours:
            # It may have become a replica since, while its name leads to another by now.
            await self._client.connection_pool.disconnect()
        # What redis-py raises holds what was sent, and a frame of it the password.
        raise problem from None

    async def listen(
        self, hear: Callable[[Mapping[str, Any]], None], begin: Callable[[], None]
    ) -> None:
        """Receive what the ledger publishes to all processes, until the connection fails.

        Args:
            hear: called with each message.
            begin: called when from now on no message is missed.

        Raises:
            Unfit: it does not let us listen.
        """
        listener = self._client.pubsub()
        try:
            await listener.subscribe(self._key)
            silent = False
            while not is_cancelled():
                message = await listener.get_message(timeout=_SILENCE)
                if message is None:
                    if silent:
                        return
                    await listener.ping()
                elif message["type"] == "subscribe":
                    begin()
                elif message["type"] == "message":
                    hear(_read(message["data"]))
                silent = message is None
        except failures.NoPermissionError as error:
            problem = self._words(error)
        except (failures.RedisError, OSError):
            return
        finally:
            await listener.aclose()  # type: ignore[no-untyped-call]
        raise Unfit(problem)

    async def aclose(self) -> None:
        """Close the connections. A client that was given to us is not ours to close."""
        if self._is_ours:
            await self._client.aclose()
            # redis-py does not wait for the transports, which take a turn of the loop to close.
            await asyncio.sleep(0)

    async def _run(self, text: str) -> Any:
        try:
            return await self._client.evalsha(_SHA, 1, self._key, text)
        except failures.NoScriptError:
            return await self._client.eval(SCRIPT, 1, self._key, text)

    def _words(self, error: BaseException) -> str:
        words = str(error) or type(error).__name__
        if self._secret is not None:
            words = words.replace(self._secret, "***")
        return words if len(words) <= _SHOWN else words[:_SHOWN] + "..."


def _read(text: Any) -> dict[str, Any]:
    """Read an object; {} where it is none."""
    try:
        read = json.loads(text)
    except (ValueError, TypeError):
        return {}
    return read if isinstance(read, dict) else {}


def _without_timeout(url: str) -> tuple[str, float | None]:
    """Take the limiter's own option out of a URL; the others are redis-py's.

    Raises:
        ConfigurationError: it is no number of seconds.
    """
    place, mark, query = url.partition("?")
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
            "the URL of the shared limiter is not valid: timeout= must be there once, as a "
            "positive number of seconds"
        )
    rest = "&".join(option for option in options if option not in ours)
    return f"{place}?{rest}" if rest else place, seconds


def _client(url_or_client: object, timeout: float) -> aioredis.Redis:
    if isinstance(url_or_client, aioredis.Redis):
        theirs = url_or_client.connection_pool
        if type(theirs) not in {aioredis.ConnectionPool, aioredis.BlockingConnectionPool}:
            return url_or_client
        # By its own rules it would try a wrong password again, for seconds.
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
        # redis-py takes any other word for database 0, and no path for a server on localhost.
        if path if scheme == "unix" else not path or path.isdecimal():
            client = aioredis.Redis.from_url(
                f"{_SCHEMES.get(scheme, scheme)}{mark}{rest}",
                # `ask` has the timeout. With this one redis-py waits by `asyncio.wait_for`, which
                # on Python 3.11 loses a cancellation that comes when the waiting has just ended.
                socket_timeout=None,
                socket_connect_timeout=timeout * _CONNECTING,
                # What is asked again is decided here: it must be the same message.
                retry=Retry(NoBackoff(), 0),
            )
            pool = client.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # it looks at its words only here
            return client
    except (ValueError, TypeError, failures.RedisError):
        pass
    # redis-py's words may repeat a part of the URL, and there may be a password in it.
    raise ConfigurationError(
        "the URL of the shared limiter is not valid: must be redis://host/database, rediss://, "
        "valkey://, valkeys:// or unix://path, with special characters in %xx"
    )


def _address(settings: Mapping[str, Any]) -> str:
    database = settings.get("db") or 0
    if "path" in settings:
        return f"unix:{settings['path']}, database {database}"
    place = f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"
    if "connection_pool" in settings:  # it asks sentinels where the server is
        place = getattr(settings["connection_pool"], "service_name", "a server")
    return f"{place}, database {database}"
