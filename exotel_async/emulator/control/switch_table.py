"""All switches as one table: what each changes, and the evidence for its default."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints

import attrs

from exotel_async.emulator.control.field_docs import descriptions
from exotel_async.emulator.flows.settings import FlowSettings
from exotel_async.emulator.settings import Settings

_HEAD = (
    "| name | values | default | what it changes | section | source |\n|---|---|---|---|---|---|\n"
)
_MODULE = re.compile(r"\w+\.")
_WORDS: Mapping[object, str] = {
    bool: "`True` or `False`",
    int: "a whole number",
    float: "a number",
    str: "text",
    NoneType: "`None`",
}


@attrs.frozen(kw_only=True)
class Switch:
    """A row of the table."""

    name: str
    """As a setting of the emulator; those of flows have `flow_settings.` in front."""
    values: str
    default: str
    meaning: str
    section: str
    """Of VOICE_V1.md."""
    source: str
    """The evidence there is, beginning with a mark of VOICE_V1.md."""


def switches() -> Sequence[Switch]:
    """Return every switch, in the order of the source."""
    return [*_switches_of(Settings, ""), *_switches_of(FlowSettings, "flow_settings.")]


def table() -> str:
    """Return the table in Markdown, with its head."""
    rows = (
        f"| `{row.name}` | {row.values} | {row.default} | {row.meaning} "
        f"| {row.section} | {row.source} |\n"
        for row in switches()
    )
    return _HEAD + "".join(rows)


def _switches_of(cls: type[attrs.AttrsInstance], prefix: str) -> Sequence[Switch]:
    meanings, hints, made = descriptions(cls), get_type_hints(cls), cls()
    return [
        Switch(
            name=prefix + field.name,
            values=_values(hints[field.name]),
            default=f"`{_shown(getattr(made, field.name))}`",
            meaning=meanings[field.name].replace("|", r"\|"),
            section=field.metadata["section"],
            source=field.metadata["source"].replace("|", r"\|"),
        )
        for field in attrs.fields(cls)
        if "section" in field.metadata
    ]


def _values(hint: object) -> str:
    """Return what a field of that type may contain, in words."""
    if hint in _WORDS:
        return _WORDS[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return ", ".join(f"`{_shown(word)}`" for word in hint)
    match get_origin(hint):
        case origin if origin is Literal:
            return ", ".join(f"`{_shown(word)}`" for word in get_args(hint))
        case origin if origin is Collection:
            return f"a list, each entry {_values(*get_args(hint))}"
        case origin if origin in {Union, UnionType}:
            return " or ".join(map(_values, get_args(hint)))
    return f"`{_MODULE.sub('', str(hint))}`"


def _shown(value: object) -> str:
    """Return a value as Python writes it, with double quotes."""
    match value:
        case Enum():
            return _shown(value.value)
        case str():
            return json.dumps(value)
        case tuple():
            return f"({', '.join(map(_shown, value))})"
        case Mapping():
            return f"{{{', '.join(f'{_shown(k)}: {_shown(v)}' for k, v in value.items())}}}"
    return repr(value)


def write(page: Path) -> None:
    """Replace the table at the end of a page."""
    page.write_text(page.read_text("utf-8").partition(_HEAD)[0] + table(), "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
