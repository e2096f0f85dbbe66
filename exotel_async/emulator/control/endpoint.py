"""What an operation of the control API is: routes, handlers and the OpenAPI document follow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs

from exotel_async.emulator.control.reading import Wrong, read
from exotel_async.emulator.control.schema import Schema, Schemas
from exotel_async.emulator.operations import Operations

Described = Callable[[Schemas], Schema]


class Refused(Exception):
    """The operation is not carried out, and nothing has changed."""

    def __init__(self, status: int, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field
        """Which part of the request is at fault, if one is: `flows[0].start`."""


@attrs.frozen(kw_only=True)
class QueryParameter:
    """One of the query's, which may always be left out."""

    name: str
    about: str
    type: type
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None

    def schema(self) -> Schema:
        """What it may be."""
        bounds = {"minimum": self.minimum, "maximum": self.maximum, "default": self.default}
        given = {name: bound for name, bound in bounds.items() if bound is not None}
        return {**Schemas("").of(self.type), **given}

    def read(self, text: str | None) -> Any:
        """Raises Refused, 422."""
        if text is None:
            return self.default
        try:
            value = self.type(text)
        except ValueError:
            raise Refused(422, f"{text!r} is no number", field=self.name) from None
        # Written so that it holds for NaN as well.
        least, most = self.minimum, self.maximum
        if (least is not None and not value >= least) or (most is not None and not value <= most):
            between = f"{least:g}" if most is None else f"{least:g} to {most:g}"
            raise Refused(422, f"{value} is not in {between}", field=self.name)
        return value


@attrs.frozen(kw_only=True)
class Input:
    """One request, read."""

    path: Mapping[str, str] = attrs.field(factory=dict)
    query: Mapping[str, Any] = attrs.field(factory=dict)
    body: Any = None


@attrs.frozen(kw_only=True)
class Body:
    """What the body of a request holds."""

    read: Callable[[Any], Any]
    """Raises Wrong."""
    schema: Described
    example: object
    required: bool = True

    @classmethod
    def of(cls, as_type: Any, example: object, *, required: bool = True) -> Body:
        """A body that holds a value of a type."""

        def read_body(document: object) -> Any:
            return read(document, as_type)

        return cls(
            read=read_body,
            schema=lambda schemas: schemas.of(as_type),
            example=example,
            required=required,
        )

    def read_document(self, document: object) -> Any:
        """Raises Refused, 422."""
        try:
            return self.read(document)
        except Wrong as error:
            raise Refused(422, error.text, field=error.place or None) from None


@attrs.frozen(kw_only=True)
class Result:
    """What an operation answers: a value of ours, or bytes."""

    value: object = None
    content: bytes | None = None
    location: str | None = None
    """Where what was made is found, relative to the root."""
    then: Callable[[], Awaitable[None]] | None = None
    """What is done once the answer has left."""


@attrs.frozen(kw_only=True)
class Endpoint:
    """One operation: a method of a path."""

    method: str
    path: str
    """Relative to the root, with `{parameters}`."""
    name: str
    """The `operationId`."""
    about: str
    act: Callable[[Operations, Input], Result | Awaitable[Result]]
    """Raises Refused."""
    returns: Described | None = None
    """None: no content."""
    media_type: str = "application/json"
    takes: Body | None = None
    query: Sequence[QueryParameter] = ()
    status: int = 200
    refusals: Mapping[int, str] = attrs.field(factory=dict)
    """The statuses of its own errors, and what each means."""


def of_type(as_type: Any) -> Described:
    """A value of a type."""
    return lambda schemas: schemas.of(as_type)
