"""The OpenAPI document as a page to read: one file, without script, so that it works offline."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem;
  color: #1b1b1b; background: #fff; overflow-wrap: anywhere }
code, pre { font-family: ui-monospace, monospace; font-size: .9em }
pre { background: #f3f3f3; padding: .75rem; overflow-x: auto; white-space: pre-wrap }
h2 { font-size: 1.1rem; margin: 2rem 0 .25rem }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0 }
summary { cursor: pointer }
a { color: #0b57a4 }
@media (prefers-color-scheme: dark) {
  body { color: #e8e8e8; background: #1b1b1b } pre { background: #2b2b2b } a { color: #8ab8ee }
}
"""


def docs_page(document: Mapping[str, Any]) -> str:
    """Return the page."""
    info, base_url = document["info"], document["servers"][0]["url"]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>{escape(info['title'])}</h1><p>{escape(info['description'])}</p>",
        '<p><a href="openapi.json">OpenAPI document</a> · '
        '<a href="schema.json">JSON Schema of <code>--config</code> files</a></p>',
        "<nav><ul>",
        *(_link(path, method, one) for path, method, one in _operations(document)),
        "</ul></nav>",
        *(_section(base_url, path, method, one) for path, method, one in _operations(document)),
        *_schemas(document["components"]["schemas"]),
        "</main></body></html>",
    ]
    return "\n".join(parts)


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _link(path: str, method: str, operation: Mapping[str, Any]) -> str:
    name = escape(operation["operationId"])
    called = f'<span class="method">{method}</span><code>{escape(path)}</code>'
    return f'<li><a href="#{name}">{called}</a></li>'


def _section(base_url: str, path: str, method: str, operation: Mapping[str, Any]) -> str:
    name = escape(operation["operationId"])
    parts = [
        f'<section aria-labelledby="{name}">',
        f'<h2 id="{name}"><span class="method">{method}</span><code>{escape(path)}</code></h2>',
        f"<p>{escape(operation['summary'])}</p>",
        f"<pre>{escape(_curl(base_url, path, method, operation))}</pre>",
    ]
    if operation["parameters"]:
        rows = [
            f"<tr><th scope=row><code>{escape(one['name'])}</code></th>"
            f"<td>{escape(one.get('description', 'in the path'))}</td>"
            f"<td>{_shape(one['schema'])}</td></tr>"
            for one in operation["parameters"]
        ]
        parts.append(f"<table>{''.join(rows)}</table>")
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        parts.append(f"<p>Body: {_shape(schema)}</p>")
    rows = [
        f"<tr><th scope=row>{status}</th><td>{escape(answer['description'])}</td>"
        f"<td>{', '.join(_content(answer))}</td></tr>"
        for status, answer in operation["responses"].items()
    ]
    return "\n".join([*parts, f"<table>{''.join(rows)}</table></section>"])


def _curl(base_url: str, path: str, method: str, operation: Mapping[str, Any]) -> str:
    words = ["curl"]
    if method != "GET":
        words += ["-X", method]
    words.append(shlex.quote(base_url + path))
    if "requestBody" in operation:
        example = operation["requestBody"]["content"]["application/json"]["example"]
        words += ["-d", shlex.quote(json.dumps(example))]
    return " ".join(words)


def _content(answer: Mapping[str, Any]) -> Iterator[str]:
    for media_type, content in answer.get("content", {}).items():
        yield _shape(content["schema"]) if content["schema"] else escape(media_type)


def _shape(schema: Any) -> str:  # noqa: PLR0911 - a form each
    """Return a schema on one line, with links to the named ones."""
    match schema:
        case {"$ref": str(reference)}:
            name = escape(reference.rpartition("/")[2])
            return f'<a href="#schema-{name}">{name}</a>'
        case {"type": "array", "items": items}:
            return f"list of {_shape(items)}"
        case {"type": "object", "additionalProperties": dict() as inner}:
            return f"object of {_shape(inner)}"
        case {"type": "object", "properties": dict() as properties}:
            fields = (
                f"<code>{escape(key)}</code>: {_shape(one)}" for key, one in properties.items()
            )
            return f"{{ {', '.join(fields)} }}"
        case {"type": [*types]}:
            return escape(" or ".join(types))
        case {"type": str(one)}:
            return escape(one)
    return f"<code>{escape(json.dumps(schema))}</code>"


def _schemas(schemas: Mapping[str, Any]) -> Iterator[str]:
    yield "<h2>Schemas</h2>"
    for name, schema in sorted(schemas.items()):
        text = escape(json.dumps(schema, indent=2))
        yield f'<details id="schema-{escape(name)}"><summary>{escape(name)}</summary>'
        yield f"<pre>{text}</pre></details>"
