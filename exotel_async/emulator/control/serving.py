"""Serves the operations of the control API over HTTP: JSON in and out, errors too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from inspect import isawaitable
from typing import Any

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exotel_async.emulator.control.endpoint import Body, Endpoint, Input, Refused
from exotel_async.emulator.control.strict_json import read_json
from exotel_async.emulator.control.writing import write
from exotel_async.emulator.operations import Operations


def routes(emulator: Operations, endpoints: Iterable[Endpoint], *, root: str) -> Sequence[Route]:
    """Return one route per path, for all its methods: for others it answers 405 with `Allow`."""
    paths: dict[str, dict[str, Endpoint]] = defaultdict(dict)
    for endpoint in endpoints:
        paths[endpoint.path][endpoint.method] = endpoint
    return [
        Route(path, _handler(emulator, by_method, root), methods=list(by_method))
        for path, by_method in paths.items()
    ]


async def show_error(request: Request, error: Exception) -> Response:
    """Answer a refusal, or an error of the routing."""
    if isinstance(error, Refused):
        return _error(error.status, error.message, error.field)
    assert isinstance(error, HTTPException)  # noqa: S101 - it is entered for these two
    message, headers = error.detail, dict(error.headers or {})
    if error.status_code == 404:
        message = f"there is nothing here; {request.scope['root_path']}/docs lists what there is"
    elif "Allow" in headers:
        headers["Allow"] = ", ".join(sorted(headers["Allow"].split(", ")))
        message = f"{request.method} is not allowed here, but {headers['Allow']}"
    return _error(error.status_code, message, None, headers)


def _error(
    status: int, message: str, field: str | None, headers: Mapping[str, str] | None = None
) -> Response:
    document = {"error": {"status": status, "field": field, "message": message}}
    return JSONResponse(document, status_code=status, headers=headers)


def _handler(
    emulator: Operations, by_method: Mapping[str, Endpoint], root: str
) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        endpoint = by_method["GET" if request.method == "HEAD" else request.method]
        asked = Input(
            path=request.path_params,
            query=_query(request, endpoint),
            body=None if endpoint.takes is None else await _body(request, endpoint.takes),
        )
        found = endpoint.act(emulator, asked)
        result = await found if isawaitable(found) else found
        options: dict[str, Any] = {
            "status_code": endpoint.status,
            "headers": {} if result.location is None else {"Location": root + result.location},
        }
        if result.then is not None:
            options["background"] = BackgroundTask(result.then)
            # The next request must not use this connection.
            options["headers"]["Connection"] = "close"
        if result.content is not None:
            return Response(result.content, media_type=endpoint.media_type, **options)
        if endpoint.returns is None:
            return Response(**options)
        return JSONResponse(write(result.value), media_type=endpoint.media_type, **options)

    return handle


def _query(request: Request, endpoint: Endpoint) -> Mapping[str, Any]:
    known = {parameter.name: parameter for parameter in endpoint.query}
    for name in request.query_params:
        if name not in known:
            hint = f"; there are {', '.join(known)}" if known else ""
            raise Refused(422, f"is not a parameter here{hint}", field=name)
    return {
        name: parameter.read(request.query_params.get(name)) for name, parameter in known.items()
    }


async def _body(request: Request, takes: Body) -> Any:
    """Read the body, whatever media type it is said to have: `curl -d` says it is a form."""
    try:
        content = await request.body()
    except ClientDisconnect:
        raise Refused(400, "the client left in the middle of the body") from None
    if not content:
        if takes.required:
            raise Refused(400, "the body is not JSON: it is empty")
        return takes.read_document({})
    try:
        document = read_json(content)
    except ValueError as error:
        raise Refused(400, f"the body is not JSON: {error}") from None
    return takes.read_document(document)
