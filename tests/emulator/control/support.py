"""A client of the control API that holds every answer to the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx
from jsonschema import Draft202012Validator

from tests.conftest import TLS

_DOCUMENT: dict[str, Any] = {}
"""The same for all emulators, but for where they listen; it takes a while to make."""


@attrs.define(eq=False)
class Control:
    """Its paths are relative to `/_emulator`."""

    http: httpx.AsyncClient
    document: Mapping[str, Any]
    """The OpenAPI document."""
    used: set[str] = attrs.field(factory=set)
    """The operations that were answered with what they are for."""

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content: bytes | None = None,
        expect: int | None = None,
    ) -> httpx.Response:
        """Ask, and check the answer: its status, if one is expected, and its schema."""
        if content is None and body is not None:
            answer = await self.http.request(method, path, json=body)
        else:
            answer = await self.http.request(method, path, content=content)
        operation = self._operation(method, path.partition("?")[0])
        described = operation["responses"][str(answer.status_code)]
        media = described.get("content", {})
        kind = answer.headers.get("content-type", "")
        assert kind in media or (not media and not answer.content), answer.text
        if kind == "application/json":
            self.check(media[kind]["schema"], answer.json())
        if answer.is_success:
            self.used.add(operation["operationId"])
        if expect is not None:
            assert answer.status_code == expect, answer.text
        return answer

    async def get(self, path: str) -> Any:
        """What is there."""
        return (await self.ask("GET", path, expect=200)).json()

    async def items(self, path: str) -> list[Any]:
        """All of a list, page by page."""
        found, after = [], ""
        while True:
            page = await self.get(f"{path}?limit=2{after}")
            found += page["items"]
            if page["next"] is None:
                assert page["total"] == len(found)
                return found
            after = f"&after={page['next']}"

    def check(self, schema: Mapping[str, Any], value: object) -> None:
        """Hold a value to a schema of the document."""
        whole = {**schema, "components": self.document["components"]}
        Draft202012Validator(whole).validate(value)

    def _operation(self, method: str, path: str) -> Mapping[str, Any]:
        for template, methods in self.document["paths"].items():
            pattern = re.sub(r"{\w+}", "[^/]+", template)
            if method.lower() in methods and re.fullmatch(pattern, path):
                operation: Mapping[str, Any] = methods[method.lower()]
                return operation
        raise AssertionError(f"{method} {path} is not described")


@asynccontextmanager
async def controlling(base_url: str) -> AsyncIterator[Control]:
    """A client of the emulator that listens there."""
    async with httpx.AsyncClient(
        base_url=f"{base_url}/_emulator", trust_env=False, verify=TLS
    ) as http:
        if not _DOCUMENT:
            _DOCUMENT.update((await http.get("/openapi.json")).json())
        yield Control(http, _DOCUMENT)
