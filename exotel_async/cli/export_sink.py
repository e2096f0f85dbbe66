"""The targets of an export: their common interface, and the state that is stored with them.

An export is written to FILE.part, page by page, and renamed to FILE when it is complete. With each
page its state is stored, so that another process can continue if this one dies.
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
    stat.S_IFLNK: "a symbolic link: give the file it points to",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


class Refusal(Exception):
    """The request is refused. The text says why, and what to do about it."""


def _count(_: object, attribute: Attribute[int], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MANY:
        raise ValueError(f"{attribute.name} is not a count")


@frozen(kw_only=True)
class State:
    """How far an export has come.

    Attributes:
        account: the account's SID.
        selection: which calls it contains.
        replaces: whether it may replace an existing file.
        records: calls written.
        requests: requests spent on them.
        token: the token with which `calls.list` continues; None: at the beginning.
        offset: bytes written; only text files need it.
        whole: whether the export is complete.
        changes: the token with which `calls.changes` continues; None: it was never updated.
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
        """Encode the state as text."""
        noted = asdict(self, recurse=False) | {"selection": self.selection.noted()}
        return json.dumps({"version": _VERSION, **noted})

    @classmethod
    def loads(cls, text: str) -> Self:
        """Decode a state from text.

        Raises:
            ValueError: the text is not a valid state.
        """
        try:
            noted: dict[str, Any] = json.loads(text)
            if noted.pop("version") == _VERSION:
                return cls(selection=Selection.read(noted.pop("selection")), **noted)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError("no state of an export") from error
        raise ValueError("no state of an export: it has another version")

    def advanced(self, records: int, requests: int, token: str | None) -> Self:
        """Return the state after `records` more calls were written."""
        return evolve(self, records=self.records + records, requests=requests, token=token)


class Sink(Protocol):
    """A target of an export. Its methods block, but for less time than a page takes to load."""

    state: State
    """How far the export has come; set once it is open."""

    @property
    def files(self) -> Sequence[Path]:
        """All files that it may write, replace or remove."""
        ...

    @property
    def invalid_state(self) -> Refusal:
        """The error for a state from which the export cannot continue."""
        ...

    def unfinished(self) -> State | None:
        """Read the state of an unfinished export; return None if there is none.

        Raises:
            Refusal: there is one, but its state is missing or not valid.
        """

    def finished(self) -> State:
        """Read the state of the existing, complete file.

        Raises:
            Refusal: the file is not known to be complete.
        """
        ...

    def begin(self, state: State) -> None:
        """Start from the beginning, and remove what an earlier export has left.

        Raises:
            Refusal: another process is writing it.
        """

    def resume(self, state: State) -> None:
        """Continue an unfinished export from its state.

        Raises:
            Refusal: the file does not match the state, or another process is writing it.
        """

    def add(self, calls: Sequence[Call], state: State) -> None:
        """Write calls and the new state. After a crash, both count as written or neither."""

    def finish(self) -> None:
        """Mark the export complete, and rename FILE.part to FILE.

        Raises:
            Refusal: another file has been put there meanwhile.
        """

    def discard(self) -> None:
        """Remove all that the unfinished export has written."""

    def close(self) -> None:
        """Close it in its current state. Closing it again does nothing."""


def part_path(target: Path) -> Path:
    """Return the path to which an export to a file is written until it is complete."""
    return target.with_name(f"{target.name}.part")


def require_regular_files(*paths: Path) -> None:
    """Check that each path to be written or replaced is a regular file, or does not exist.

    A device would be replaced by a file, and a link's target is not the file that was named.

    Raises:
        Refusal: a path is something else.
    """
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError):
            kind = stat.S_IFMT(path.lstat().st_mode)
            if kind != stat.S_IFREG:
                raise Refusal(f"{path} is {_KINDS.get(kind, 'a device')}")


def open_private(path: str | os.PathLike[str], flags: int) -> int:
    """Open a file that only its owner may read, following no link (an `opener` for `open`)."""
    return os.open(path, flags | _FOLLOW_NO_LINK, 0o600)


def put_in_place(part: Path, target: Path, *, replaces: bool) -> None:
    """Rename a complete file to its final name, durably.

    Raises:
        Refusal: another file has that name.
    """
    require_regular_files(target)
    if target.exists() and not replaces:
        raise Refusal(f"{target} was created meanwhile; the complete export is in {part}")
    part.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, so that they survive a system crash."""
    # A system on which folders cannot be opened does that itself.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


async def in_thread(do: Callable[..., T], *arguments: Any) -> T:
    """Run a blocking function to its end in a thread; a cancellation takes effect after that."""
    doing = asyncio.get_running_loop().run_in_executor(None, do, *arguments)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        doing.exception()  # retrieved, so that asyncio does not log it as lost
        raise
