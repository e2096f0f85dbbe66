"""Operations of the control API; routes, handlers and the OpenAPI document are made from them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs

from exotel_async.emulator.control.reading import BadInput, read
from exotel_async.emulator.control.schema import Schema, Schemas
from exotel_async.emulator.operations import Operations

SchemaMaker = Callable[[Schemas], Schema]


class Refused(Exception):
    """The operation was refused, and nothing has changed."""

    def __init__(self, status: int, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field
        """Which part of the request is wrong, if one is: `flows[0].start`."""


@attrs.frozen(kw_only=True)
class QueryParameter:
    """A parameter of the query, always optional."""

    name: str
    about: str
    type: type
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None

    def schema(self) -> Schema:
        """Return its JSON Schema."""
        bounds = {"minimum": self.minimum, "maximum": self.maximum, "default": self.default}
        given = {name: bound for name, bound in bounds.items() if bound is not None}
        return {**Schemas("").of(self.type), **given}

    def read(self, text: str | None) -> Any:
        """Return the value of its text. Raises Refused, 422."""
        if text is None:
            return self.default
        try:
            value = self.type(text)
        except ValueError:
            raise Refused(422, f"{text!r} is not a number", field=self.name) from None
        # Written so that NaN is refused as well.
        least, most = self.minimum, self.maximum
        if (least is not None and not value >= least) or (most is not None and not value <= most):
            between = f"{least:g}" if most is None else f"{least:g} to {most:g}"
            raise Refused(422, f"{value} is not in {between}", field=self.name)
        return value


@attrs.frozen(kw_only=True)
class Input:
    """One request, parsed."""

    path: Mapping[str, str] = attrs.field(factory=dict)
    query: Mapping[str, Any] = attrs.field(factory=dict)
    body: Any = None


@attrs.frozen(kw_only=True)
class Body:
    """What the body of a request contains."""

    read: Callable[[Any], Any]
    """Raises BadInput."""
    schema: SchemaMaker
    example: object
    required: bool = True

    @classmethod
    def of(cls, as_type: Any, example: object, *, required: bool = True) -> Body:
        """Return a body that contains a value of a type."""

        def read_body(document: object) -> Any:
            return read(document, as_type)

        return cls(
            read=read_body,
            schema=lambda schemas: schemas.of(as_type),
            example=example,
            required=required,
        )

    def read_document(self, document: object) -> Any:
        """Return the value in a JSON document. Raises Refused, 422."""
        try:
            return self.read(document)
        except BadInput as error:
            raise Refused(422, error.text, field=error.place or None) from None


@attrs.frozen(kw_only=True)
class Result:
    """What an operation answers: a value, or bytes."""

    value: object = None
    content: bytes | None = None
    location: str | None = None
    """Where the created resource is, relative to the root."""
    then: Callable[[], Awaitable[None]] | None = None
    """Called once the answer has been sent."""


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
    returns: SchemaMaker | None = None
    """None: no content."""
    media_type: str = "application/json"
    takes: Body | None = None
    query: Sequence[QueryParameter] = ()
    status: int = 200
    refusals: Mapping[int, str] = attrs.field(factory=dict)
    """The statuses of its own errors, and what each means."""


def of_type(as_type: Any) -> SchemaMaker:
    """Return the description of a value of a type."""
    return lambda schemas: schemas.of(as_type)
