"""Writes `exotel_async/sync/generated.py` from the signatures and docstrings of the async classes.

`python -m tests.sync.generate` writes it; a test compares it with what this would write.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import field, frozen

import exotel_async

TARGET: Final = Path(exotel_async.__file__).parent / "sync" / "generated.py"

SESSION: Final = "exotel_async.client.AsyncExotel"
PARTS: Final = (
    "exotel_async.calls.resource.Calls",
    "exotel_async.resources.numbers.Numbers",
    "exotel_async.resources.account.Account",
    "exotel_async.resources.exophones.ExoPhones",
)
LISTS: Final = {
    "exotel_async.calls.list.CallRecords": "Call",
    "exotel_async.calls.changes.CallChanges": "Call",
    "exotel_async.resources.exophones.ExoPhoneList": "ExoPhone",
}
"""What is read by `for`, and what of."""
BLOCKS: Final = {"exotel_async.calls.open_recording.Recording": "bytes"}
RESULTS: Final = {
    "exotel_async.calls.get_many.CallResults": "CallResult",
    "exotel_async.calls.as_completed.EndedCalls": "CallResult",
    "exotel_async.calls.connect_many.Dials": "DialOutcome",
}
"""What is read in its block; these with an input."""
NOT_FOR_USERS: Final = {"parts", "with_defaults"}
NAMES: Final = {"aclose": "close", "__await__": "first_page"}
AHEAD: Final = {"connect_many": 1}
"""Items of the input that are read at a time: else a hundred."""

WORDS: Final = (
    (r"``async with contextlib\.aclosing", "``with contextlib.closing"),
    (r"``await records`` reads", "`first_page` reads"),
    (r"\basync (with|for)\b", r"\1"),
    (r"``await ", "``"),
    (r"\baclose\b", "close"),
    (r"\bAsyncExotel\b", "Exotel"),
    (r"([Aa])ny iterable or async iterable\b", r"\1ny iterable"),
    (r" An async generator is closed when the block is left\.", ""),
    (
        r" It belongs to the event loop it is first used in\. All sessions of an account in one "
        r"loop share the account's budget\.",
        " All `Exotel` sessions of an account in a process, and no others, share the account's "
        "budget, in all threads.",
    ),
    (r"outside the session's event loop, or when it is closed\.", "the session is closed."),
    (r"the session is closed, or this is not its event loop\.", "the session is closed."),
    (r"of this account and event loop\b", "of this account and process"),
    (
        r"Dials of other processes and event loops are not known here: reconcile all lost dials in "
        r"one event loop rather than in an `asyncio\.run` for each\.",
        "Dials of other processes are not known here: reconcile all lost dials in one process.",
    ),
    (r"whose task was cancelled or timed out", "whose caller was interrupted or timed out"),
    (
        r"Called in the event loop, it must not block\. It may be a coroutine function; "
        r"closing the session waits one second for it\.",
        "Called in a thread of its own; closing the session waits one second for it.",
    ),
    (
        r"Call it in the event loop, for example from a handler of `loop\.add_signal_handler`; "
        r"calling it again",
        "It may be called in any thread, and by a signal handler; calling it again",
    ),
    (r"read them in another task\b", "read them in another thread"),
    (r"\bin (the|its) event loop\b", "in the thread of the event loop"),
)
"""How docstrings are changed, sentence by sentence, with single spaces."""

FIRST_PAGE: Final = '''\
        """Read the first page alone; one without calls where there is none.

        Raises:
            ExotelError: it could not be had.
        """

        async def first(held: AsyncCallRecords) -> CallPage:
            return await held

        return self._await_in_loop(first)'''

HEADER: Final = '''\
"""The synchronous classes. Written by `python -m tests.sync.generate`: do not edit."""

from __future__ import annotations

'''
_WIDTH: Final = 100


@frozen
class Source:
    """An async class.

    Attributes:
        path: its module and name.
        bodies: its class statements, those of its bases behind it.
    """

    path: str
    bodies: list[tuple[str, ast.ClassDef]] = field(init=False)

    @bodies.default
    def _bodies(self) -> list[tuple[str, ast.ClassDef]]:
        module, _, name = self.path.rpartition(".")
        found = []
        for kind in getattr(importlib.import_module(module), name).__mro__:
            if kind.__module__.startswith("exotel_async") and kind.__name__ != "ResultStream":
                tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
                (body,) = tree.body
                assert isinstance(body, ast.ClassDef)
                found.append((kind.__module__, body))
        return found

    @property
    def name(self) -> str:
        """Its name."""
        return self.path.rpartition(".")[2]

    @property
    def module(self) -> str:
        """Its module."""
        return self.path.rpartition(".")[0]

    @property
    def docstring(self) -> str:
        """Its docstring."""
        return ast.get_docstring(self.bodies[0][1]) or ""

    def methods(self) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        """What users call, with the module it is in; overloads as well."""
        seen: set[str] = set()
        for module, body in self.bodies:
            here = set()
            for one in body.body:
                if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                    is_public = not one.name.startswith("_") or one.name in NAMES
                    if is_public and one.name not in seen | NOT_FOR_USERS:
                        here.add(one.name)
                        yield module, one
            seen |= here

    def method(self, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
        """One of its own."""
        for one in self.bodies[0][1].body:
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name == name:
                return one
        raise LookupError(name)

    def attributes(self) -> dict[str, str]:
        """The annotations of its own."""
        return {
            one.target.id: ast.unparse(one.annotation)
            for one in self.bodies[0][1].body
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        }


class Imports:
    """The imports of what is written: those for annotations alone, and the others."""

    def __init__(self, own: set[str]) -> None:
        self._own = own
        self._found: dict[bool, dict[str, set[str]]] = {True: {}, False: {}}
        self._places: dict[str, dict[str, str]] = {}

    def add(self, module: str, name: str, *, runtime: bool) -> None:
        """Have a name imported."""
        self._found[runtime].setdefault(module, set()).add(name)

    def need(self, tree: ast.AST, module: str, *, runtime: bool) -> None:
        """Have what an expression of a module names imported."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id not in self._own:
                place = self._place(node.id, module)
                if place is not None:
                    self.add(place, node.id, runtime=runtime)

    def text(self) -> str:
        """The statements."""
        at_runtime, for_types = (self._found[runtime] for runtime in (True, False))
        for module, names in at_runtime.items():
            for_types.get(module, set()).difference_update(names)
        lines = self._statements(at_runtime, "")
        typed = "\n".join(self._statements(for_types, "    ", blank=True))
        return "\n".join(lines) + f"\n\nif TYPE_CHECKING:\n{typed}\n"

    def _statements(
        self, found: dict[str, set[str]], indent: str, *, blank: bool = False
    ) -> list[str]:
        lines: list[str] = []
        modules = sorted(
            (module for module, names in found.items() if names),
            key=lambda module: (module.startswith("exotel_async"), module),
        )
        was_ours = False
        for module in modules:
            is_ours = module.startswith("exotel_async")
            if is_ours and not was_ours and lines:
                lines.append("")
            was_ours = is_ours
            names = sorted(found[module], key=_import_order)
            if not module:
                lines += [f"{indent}import {name}" for name in names]
                continue
            plain = [name for name in names if " as " not in name]
            if plain:
                line = f"{indent}from {module} import {', '.join(plain)}"
                if len(line) > _WIDTH:
                    inside = "".join(f"{indent}    {name},\n" for name in plain)
                    line = f"{indent}from {module} import (\n{inside}{indent})"
                lines.append(line)
            lines += [f"{indent}from {module} import {name}" for name in names if name not in plain]
        return lines

    def _place(self, name: str, module: str) -> str | None:
        """Where a name of a module is from; None: it is one of Python's."""
        if module not in self._places:
            file = inspect.getsourcefile(importlib.import_module(module))
            assert file is not None
            places: dict[str, str] = {}
            for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module:
                    places |= {one.asname or one.name: node.module for one in node.names}
                elif isinstance(node, ast.Import):
                    places |= {one.name: "" for one in node.names}
                elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    places.setdefault(node.target.id, module)
                elif isinstance(node, ast.ClassDef):
                    places.setdefault(node.name, module)
            self._places[module] = places
        return self._places[module].get(name)


def _import_order(name: str) -> tuple[int, str]:
    """As ruff sorts them: constants, classes, functions."""
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, name


def generate() -> str:
    """The text of the module."""
    kinds = [SESSION, *PARTS, *LISTS, *BLOCKS, *RESULTS]
    sources = {path: Source(path) for path in kinds}
    own = {source.name for source in sources.values()} - {"AsyncExotel"}
    imports = Imports(own)
    imports.add("typing", "TYPE_CHECKING", runtime=True)
    imports.add("exotel_async.sync.listeners", "run_in_thread", runtime=True)
    imports.add("exotel_async.sync.session", "Session", runtime=False)
    classes = [_session(sources[SESSION], imports)]
    classes += [_part(sources[path], imports, own) for path in PARTS]
    for path, item in (LISTS | BLOCKS | RESULTS).items():
        base = (
            "LoopObject"
            if path in LISTS
            else "SyncStream"
            if path in BLOCKS
            else "SyncResultStream"
        )
        classes.append(_held(sources[path], base, item, imports, own))
    return HEADER + imports.text() + "\n\n" + "\n\n\n".join(classes) + "\n"


def _session(source: Source, imports: Imports) -> str:
    imports.add("exotel_async.sync.bases", "SyncSession", runtime=True)
    lines = ["class Exotel(SyncSession):", _docstring(source.docstring, 4), ""]
    parts = source.attributes()
    lines += [f"    {name}: {kind}" for name, kind in parts.items()]
    init = source.method("__init__")
    assert isinstance(init, ast.FunctionDef)
    passed = []
    for one in init.args.kwonlyargs:
        is_listener = one.arg == "on_orphaned_call"
        passed.append(f"{one.arg}={f'run_in_thread({one.arg})' if is_listener else one.arg}")
    lines += ["", _signature(init, source.module, imports), _docstring(_doc(init), 8)]
    lines.append(_call("self._open", passed, 8))
    for module, method in source.methods():
        lines += ["", _decorators(method) + _signature(method, module, imports)]
        lines.append(_docstring(_doc(method), 8))
        if method.name == "with_options":
            lines.append("        return self._view(options)")
        elif method.name == "aclose":
            lines.append("        self._session.close(grace)")
        elif method.name == "limiter":
            lines.append(_limiter("exotel", imports))
        elif isinstance(method, ast.AsyncFunctionDef):
            imports.add("exotel_async.sync.loop_call", "run_in_loop", runtime=True)
            call = _call(f"lambda: self._session.in_loop().{method.name}", _arguments(method), 12)
            lines.append(f"        return run_in_loop(\n{call}\n        )")
        else:
            raise TypeError(f"there is no rule for AsyncExotel.{method.name}")
    lines += ["", "    def _use(self, session: Session) -> None:"]
    lines += ["        self._session = session"]
    lines += [
        f"        self.{name} = {kind}(session, lambda exotel: exotel.{name})"
        for name, kind in parts.items()
    ]
    return "\n".join(lines)


def _part(source: Source, imports: Imports, own: set[str]) -> str:
    imports.add("exotel_async.sync.bases", "Resource", runtime=True)
    imports.add(source.module, f"{source.name} as Async{source.name}", runtime=False)
    lines = [
        f'class {source.name}(Resource["Async{source.name}"]):',
        _docstring(source.docstring, 4),
    ]
    for module, method in source.methods():
        lines += ["", *_method(method, module, imports, own)]
    return "\n".join(lines)


def _held(source: Source, base: str, item: str, imports: Imports, own: set[str]) -> str:
    is_list = base == "LoopObject"
    names = {method.name for _, method in source.methods()}
    if is_list and "aclose" in names:
        base = "ClosableList"
    imports.add("exotel_async.sync.bases", base, runtime=True)
    imports.add(source.module, f"{source.name} as Async{source.name}", runtime=False)
    types = f'"Async{source.name}"' + ("" if is_list else f', "{item}"')
    if item != "bytes":
        imports.need(ast.Name(item), source.module, runtime=False)
    lines = [f"class {source.name}({base}[{types}]):", _docstring(source.docstring, 4)]
    if is_list:
        imports.add("collections.abc", "Iterator", runtime=False)
        lines += ["", f"    def __iter__(self) -> Iterator[{item}]:"]
        lines.append("        return self._iterate(aiter)")
    for module, method in source.methods():
        lines += ["", *_method(method, module, imports, own)]
    return "\n".join(lines)


def _method(
    method: ast.FunctionDef | ast.AsyncFunctionDef, module: str, imports: Imports, own: set[str]
) -> list[str]:
    head = _decorators(method) + _signature(method, module, imports)
    if "@overload" in head:
        imports.add("typing", "overload", runtime=True)
        return [f"{head} ..."]
    lines = [head]
    if _doc(method):
        lines.append(_docstring(_doc(method), 8))
    returned = ast.unparse(method.returns) if method.returns is not None else ""
    if method.name == "limiter":
        lines.append(_limiter("self._part(exotel)", imports))
    elif method.name == "__await__":
        lines.append(FIRST_PAGE)
    elif returned in own:
        lines += _made(method, returned, imports)
    elif _is(method, "property"):
        lines.append(f"        return self._call_in_loop(lambda held: held.{method.name})")
    else:
        lines += _passed_on(method, returned)
    return lines


def _passed_on(method: ast.FunctionDef | ast.AsyncFunctionDef, returned: str) -> list[str]:
    lines: list[str] = []
    if isinstance(method, ast.AsyncFunctionDef) and not returned.startswith("AsyncGenerator"):
        lines += _read_before(method)
        way = "self._await_in_loop"
    else:
        way = "self._iterate" if returned.startswith("Async") else "self._call_in_loop"
    call = _call(f"lambda held: held.{method.name}", _arguments(method), 12)
    back = "" if returned == "None" else "return "
    if "\n" not in call:
        one_line = f"        {back}{way}({call.strip()})"
        if len(one_line) <= _WIDTH:
            return [*lines, one_line]
    return [*lines, f"        {back}{way}(\n{call}\n        )"]


def _made(method: ast.FunctionDef | ast.AsyncFunctionDef, kind: str, imports: Imports) -> list[str]:
    """Make something that is read."""
    lines: list[str] = []
    changed: dict[str, str] = {}
    more: list[str] = []
    for one in _parameters(method):
        annotation = ast.unparse(one.annotation) if one.annotation is not None else ""
        if "AsyncIterable[" in annotation:
            imports.add("exotel_async.sync.source_reader", "SourceReader", runtime=True)
            lines.append(
                f"        feed = SourceReader({one.arg}, ahead={AHEAD.get(method.name, 100)})"
            )
            changed[one.arg] = "feed.source"
            more.append("feed")
        elif one.arg == "on_progress":
            imports.add("exotel_async.sync.listeners", "Progress", runtime=True)
            lines.append("        progress = Progress(on_progress)")
            changed[one.arg] = "progress.listener"
            more.append("progress")
    call = _call(f"lambda: self._in_loop().{method.name}", _arguments(method, changed), 12)
    rest = "".join(f"            {one},\n" for one in more)
    return [
        *lines,
        f"        return {kind}(\n            self._session,\n{call},\n{rest}        )",
    ]


def _limiter(of: str, imports: Imports) -> str:
    imports.add("exotel_async.sync.bases", "Limiter", runtime=True)
    return f"        return Limiter(self._session, lambda exotel: {of}.limiter)"


def _read_before(method: ast.AsyncFunctionDef) -> list[str]:
    """Read what is an iterable in the thread that calls: it may block."""
    return [
        f"        {one.arg} = {one.arg} if isinstance({one.arg}, str) else list({one.arg})"
        for one in _parameters(method)
        if one.annotation is not None and "Iterable[" in ast.unparse(one.annotation)
    ]


def _parameters(method: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    return [one for one in (*method.args.args, *method.args.kwonlyargs) if one.arg != "self"]


def _arguments(
    method: ast.FunctionDef | ast.AsyncFunctionDef, changed: dict[str, str] | None = None
) -> list[str]:
    """How its arguments are passed on."""
    new = changed or {}
    words = [new.get(one.arg, one.arg) for one in method.args.args if one.arg != "self"]
    words += [f"{one.arg}={new.get(one.arg, one.arg)}" for one in method.args.kwonlyargs]
    if method.args.kwarg is not None:
        words.append(f"**{method.args.kwarg.arg}")
    return words


def _call(function: str, arguments: list[str], indent: int) -> str:
    """A call, on a line if there is a place for it."""
    space = " " * indent
    line = f"{space}{function}({', '.join(arguments)})"
    if len(line) < _WIDTH - 1 and len(arguments) < 3:
        return line
    inside = "".join(f"{space}    {one},\n" for one in arguments)
    return f"{space}{function}(\n{inside}{space})"


def _is(method: ast.FunctionDef | ast.AsyncFunctionDef, decorator: str) -> bool:
    return any(ast.unparse(one) == decorator for one in method.decorator_list)


def _decorators(method: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return "".join(f"    @{name}\n" for name in ("property", "overload") if _is(method, name))


def _signature(
    method: ast.FunctionDef | ast.AsyncFunctionDef, module: str, imports: Imports
) -> str:
    arguments = method.args
    words = ["self"]
    defaults = [None] * (len(arguments.args) - len(arguments.defaults)) + [*arguments.defaults]
    for one, default in zip(arguments.args, defaults, strict=True):
        if one.arg != "self":
            words.append(_parameter(one, default, module, imports))
    if arguments.kwonlyargs:
        words.append("*")
    for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        words.append(_parameter(one, default, module, imports))
    if arguments.kwarg is not None:
        words.append(f"**{_parameter(arguments.kwarg, None, module, imports)}")
    returned = _annotation(method.returns, module, imports)
    if method.name == "limiter":
        returned = "Limiter"
    if method.name == "__await__":
        returned = "CallPage"
    name = NAMES.get(method.name, method.name)
    if len(words) == 1:
        return f"    def {name}(self) -> {returned}:"
    ignored = ""
    if _is(method, "overload") and "Iterable" not in ast.unparse(method.args):
        ignored = "  # type: ignore[overload-overlap]  # a str is meant as one SID"
    inside = "".join(f"        {word},\n" for word in words)
    return f"    def {name}({ignored}\n{inside}    ) -> {returned}:"


def _parameter(one: ast.arg, default: ast.expr | None, module: str, imports: Imports) -> str:
    text = f"{one.arg}: {_annotation(one.annotation, module, imports)}"
    if default is None:
        return text
    imports.need(default, module, runtime=True)
    shown = ast.unparse(default).replace("'", '"')
    return f"{text} = {shown}"


def _annotation(node: ast.expr | None, module: str, imports: Imports) -> str:
    assert node is not None
    text = ast.unparse(node).replace("'", '"')
    text = re.sub(r"^(Iterable\[.*\]) \| AsyncIterable\[.*\]$", r"\1", text)
    text = re.sub(r"^AsyncIterator\[(.*)\]$", r"Iterator[\1]", text)
    text = re.sub(r"^AsyncGenerator\[(.*)\]$", r"Generator[\1, None]", text)
    if not text.startswith(("RateLimiter", "Generator[Any")):
        imports.need(ast.parse(text), module, runtime=False)
    for name in ("Iterator", "Generator"):
        if text.startswith(f"{name}["):
            imports.add("collections.abc", name, runtime=False)
    return text


def _doc(method: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return ast.get_docstring(method) or ""


def _docstring(text: str, indent: int) -> str:
    space = " " * indent
    lines = _changed(text, _WIDTH - indent).split("\n")
    if len(lines) == 1:
        return f'{space}"""{lines[0]}"""'
    body = "\n".join(f"{space}{line}".rstrip() for line in lines[1:])
    return f'{space}"""{lines[0]}\n{body}\n{space}"""'


def _changed(text: str, width: int) -> str:
    """A docstring in words for those who do not await; what has changed is wrapped again."""
    pieces: list[str] = []
    for lines in _pieces(text.split("\n")):
        first, *rest = (len(line) - len(line.lstrip()) for line in lines)
        before = " ".join(line.strip() for line in lines)
        after = before
        for old, new in WORDS:
            after = re.sub(old, new, after)
        if after == before:
            pieces.append("\n".join(lines))
            continue
        hanging = " " * (rest[0] if rest else first + 4 * bool(re.match(r"[*\w]+: ", after)))
        wrapped = textwrap.wrap(
            after,
            width - 3 if not pieces else width,
            initial_indent=" " * first,
            subsequent_indent=hanging,
            break_on_hyphens=False,
            break_long_words=False,
        )
        pieces.append("\n".join(wrapped))
    return "\n".join(pieces)


def _pieces(lines: list[str]) -> Iterator[list[str]]:
    """Paragraphs, and the descriptions of single arguments."""
    piece: list[str] = []
    for line in lines:
        indent = len(line) - len(line.lstrip())
        is_argument = re.match(r" {4}[*\w]+: ", line) is not None
        is_first = bool(piece) and piece[-1].endswith(":") and indent == 4
        if piece and (not line or not piece[0] or is_argument or is_first):
            yield piece
            piece = []
        piece.append(line)
    if piece:
        yield piece


if __name__ == "__main__":
    TARGET.write_text(generate(), encoding="utf-8")
    sys.stdout.write(f"{TARGET}\n")
