"""Where an export goes: what is noted down beside it, and what every kind of file can do.

An export is written to FILE.part, page by page, and becomes FILE when it is whole. With each page
it is noted how far it has come, so that another process can continue if this one dies.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from attrs import Attribute, asdict, evolve, field, frozen
from attrs.validators import instance_of, optional

from exotel_async import Call
from exotel_async.cli.export_filters import Selection

T = TypeVar("T")

_VERSION = 1
_MANY = 2**63
_FOLLOW_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # Windows has none
_KINDS = {
    stat.S_IFDIR: "a folder: give a file in it",
    stat.S_IFLNK: "a symbolic link: give the file it leads to",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


class Refusal(Exception):
    """What was asked for is not done. The text says why, and what to do about it."""


def _count(_: object, attribute: Attribute[int], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MANY:
        raise ValueError(f"{attribute.name} is not a count")


@frozen(kw_only=True)
class State:
    """How far an export has come.

    Attributes:
        account: the account's SID.
        selection: which calls it has.
        replaces: whether it may replace a file there is.
        records: calls written.
        requests: requests spent on them.
        token: where the list continues; None at its beginning.
        offset: bytes written, where that is needed.
        whole: whether it has come to its end.
        changes: what it has been told of since, for `calls.changes`; None: it was never updated.
    """

    account: str = field(validator=instance_of(str))
    selection: Selection
    replaces: bool = field(default=False, validator=instance_of(bool))
    records: int = field(default=0, validator=_count)
    requests: int = field(default=0, validator=_count)
    token: str | None = field(default=None, validator=optional(instance_of(str)))
    offset: int = field(default=0, validator=_count)
    whole: bool = field(default=False, validator=instance_of(bool))
    changes: str | None = field(default=None, validator=optional(instance_of(str)))

    def dumps(self) -> str:
        """Write it down."""
        noted = asdict(self, recurse=False) | {"selection": self.selection.noted()}
        return json.dumps({"version": _VERSION, **noted})

    @classmethod
    def loads(cls, text: str) -> Self:
        """Read what was written down.

        Raises:
            ValueError: it is something else.
        """
        try:
            noted: dict[str, Any] = json.loads(text)
            if noted.pop("version") == _VERSION:
                return cls(selection=Selection.read(noted.pop("selection")), **noted)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError("no state of an export") from error
        raise ValueError("no state of an export: it has another version")

    def further(self, records: int, requests: int, token: str | None) -> Self:
        """Return it with some more calls written."""
        return evolve(self, records=self.records + records, requests=requests, token=token)


class Sink(Protocol):
    """A file an export is written to. Its methods block, but for less than a page's time."""

    state: State
    """How far it has come, once it is open."""

    @property
    def files(self) -> Sequence[Path]:
        """All that it may write, replace or remove."""
        ...

    @property
    def spoilt(self) -> Refusal:
        """The error for a state from which the export cannot continue."""
        ...

    def left(self) -> State | None:
        """Read how far an export came that did not end.

        Raises:
            Refusal: there is one, but nothing says how far it came.
        """

    def done(self) -> State:
        """Read what the file that is there has.

        Raises:
            Refusal: it is not known to be whole.
        """
        ...

    def begin(self, state: State) -> None:
        """Start again. What an export has left behind is removed.

        Raises:
            Refusal: somebody else writes it.
        """

    def go_on(self, state: State) -> None:
        """Go on where it was left.

        Raises:
            Refusal: what it says is not there, or somebody else writes it.
        """

    def add(self, calls: Sequence[Call], state: State) -> None:
        """Write some calls, and after them how far it has come: both, or in the end none."""

    def finish(self) -> None:
        """Let it become the file that was asked for.

        Raises:
            Refusal: a file has come into its place meanwhile.
        """

    def discard(self) -> None:
        """Leave nothing behind."""

    def close(self) -> None:
        """Close it as it is. It may have been closed before."""


def part_of(target: Path) -> Path:
    """Return where the export to a file is written until it is whole."""
    return target.with_name(f"{target.name}.part")


def only_files(*paths: Path) -> None:
    """Make sure that what is to be written or replaced is a regular file, or is not there.

    A device would become a file, and what a link leads to is not what was named.

    Raises:
        Refusal: one is something else.
    """
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError):
            kind = stat.S_IFMT(path.lstat().st_mode)
            if kind != stat.S_IFREG:
                raise Refusal(f"{path} is {_KINDS.get(kind, 'a device')}")


def private(path: str | os.PathLike[str], flags: int) -> int:
    """Open a file that its owner alone may read, following no link: as an `opener` does."""
    return os.open(path, flags | _FOLLOW_NO_LINK, 0o600)


def put_in_place(part: Path, target: Path, *, replaces: bool) -> None:
    """Give a whole file its name, durably.

    Raises:
        Refusal: another file has got it.
    """
    only_files(target)
    if target.exists() and not replaces:
        raise Refusal(f"{target} has come to be meanwhile; the export is whole, in {part}")
    part.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make sure that names given in a folder outlast a crash of the system."""
    # Where folders cannot be opened, the system sees to it.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


async def in_thread(do: Callable[..., T], *arguments: Any) -> T:
    """Do something that blocks, wholly: being cancelled takes effect when it is done."""
    doing = asyncio.get_running_loop().run_in_executor(None, do, *arguments)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        doing.exception()  # said here, it is not said to be lost
        raise
