"""The document of the control API, in OpenAPI 3.1."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from exotel_async.emulator.control.endpoint import Endpoint
from exotel_async.emulator.control.schema import Schema, Schemas

_SCHEMAS = "#/components/schemas/"
_ALWAYS = {
    422: "Something in the request is wrong: `field` says what.",
}
_BODY = {400: "The body is not JSON."}
_ERROR = {
    "error": {
        "type": "object",
        "properties": {
            "status": {"type": "integer"},
            "field": {
                "type": ["string", "null"],
                "description": "What is wrong: `flows[0].start`; null for the request as a whole.",
            },
            "message": {"type": "string"},
        },
        "required": ["status", "field", "message"],
        "additionalProperties": False,
    }
}


def openapi(endpoints: Iterable[Endpoint], *, root: str, base_url: str) -> dict[str, Any]:
    """Return the document. Schemas of input have names that begin with `Given`."""
    inputs, outputs = Schemas(f"{_SCHEMAS}Given"), Schemas(f"{_SCHEMAS}", output=True)
    outputs.define("Error", outputs.object(_ERROR, ["error"], None))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(
            endpoint, inputs, outputs
        )
    schemas = {**outputs.definitions}
    schemas |= {f"Given{name}": schema for name, schema in inputs.definitions.items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The local Exotel of exotel-async",
            "version": "1",
            "description": "What tests do with a running emulator, and what it has recorded. "
            "Durations and times are seconds of its clock unless they say real seconds.",
        },
        "servers": [{"url": base_url + root}],
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(endpoint: Endpoint, inputs: Schemas, outputs: Schemas) -> dict[str, Any]:
    refusals = {**_ALWAYS, **endpoint.refusals}
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.about,
        "parameters": _parameters(endpoint),
    }
    if endpoint.takes is not None:
        refusals |= _BODY
        operation["requestBody"] = {
            "required": endpoint.takes.required,
            "content": {
                "application/json": {
                    "schema": endpoint.takes.schema(inputs),
                    "example": endpoint.takes.example,
                }
            },
        }
    operation["responses"] = {
        str(endpoint.status): _response(endpoint, outputs),
        **{str(status): _refusal(about) for status, about in sorted(refusals.items())},
    }
    return operation


def _parameters(endpoint: Endpoint) -> list[Schema]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", endpoint.path)
    ]
    in_query = [
        {
            "name": parameter.name,
            "in": "query",
            "description": parameter.about,
            "schema": parameter.schema(),
        }
        for parameter in endpoint.query
    ]
    return [*in_path, *in_query]


def _response(endpoint: Endpoint, outputs: Schemas) -> Schema:
    response: Schema = {"description": HTTPStatus(endpoint.status).phrase}
    if endpoint.status == HTTPStatus.CREATED:
        response["headers"] = {
            "Location": {"description": "Where it is.", "schema": {"type": "string"}}
        }
    if endpoint.returns is not None:
        response["content"] = {endpoint.media_type: {"schema": endpoint.returns(outputs)}}
    return response


def _refusal(about: str) -> Schema:
    return {
        "description": about,
        "content": {"application/json": {"schema": {"$ref": f"{_SCHEMAS}Error"}}},
    }
