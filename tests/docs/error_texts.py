"""The texts of the package's errors and warnings, read out of its code.

`python -m tests.docs.error_texts docs/troubleshooting.md` writes the table of the rules that
arguments have to follow. What else there is has a row that was written by hand: a text says what
is wrong, and the page what to do.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from attrs import frozen

import exotel_async

BEGIN: Final = "<!-- rules of arguments: written by tests.docs.error_texts -->"
END: Final = "<!-- end of the rules -->"
GAP: Final = "…"
"""Stands for what differs from case to case."""

_PACKAGE: Final = Path(exotel_async.__file__).parent
_NOT_SHOWN: Final = re.compile(
    r"SELECT|INSERT|UPDATE|PRAGMA|CREATE|COPY|NOT NULL|state (=|IN) |= (FULL|ON)$|cache_size|"
    r"\(\?|\[\\s|\[0-9\]|\w\|\w+\||^Callable\[|^str \| None$|^exotel\(\*|^<|IN \("
)
"""Of SQL, regular expressions, types and reprs."""
_OTHERS: Final = {
    # Python's own, and what is said on the phone.
    "module … has no attribute …",
    "…() got an unexpected keyword argument …",
    ": did you mean …?",
    "Sorry, something went wrong. Please stay on the line.",
    # A log line for each request, at level DEBUG; how EXOTEL_LOG has lines written; of an event.
    "… …: … in … s",
    "%(asctime)s %(name)s %(levelname)s: %(message)s",
    "it was cancelled before it was sent",
    # Words of a schema, and names of values.
    "an amount of money",
    "errors of attempts",
    "not in progress",
    # Raised, and caught again: an error of its own is made of it.
    "no time of a list",
    "not the packed values of an error",
    "no state of an export",
    "no state of an export: it has another version",
    "… is not a count",
    "no such word",
    "not one of ours",
    "not one state",
    "this answers no message that is open",
    # A mistake of ours, which a test would find.
    "a contact that gets its outcome needs ended_at",
    "drawn from a bucket that had less",
    "no event … has the keys …",
    "there is nothing to ask",
    # Parts of other texts.
    "between two numbers",
    "for all, or by each DialTarget",
    "its empty columns",
    "looks like two",
    "of … or more",
    "most rows have",
    "the headers have",
    "the only column",
    "the same key as in line",
    "the same number as in line",
    "stands above the headers",
    "to a flow",
    "to a stream",
    "process … on …, since … UTC",
    "it said nothing",
    "Next: the tutorial, …",
    "do not call",
    "--hours or --days",
}
_SHOWN_BY: Final = {"complain", "report_misuse", "note", "report_problem", "show_error"}
"""Functions of the command line that print an error."""
_ERROR_MODULES: Final = {"service.py", "export_arguments.py", "dial_campaign.py"}
_NAMES: Final = {"wrong", "problem", "hint", "interrupted", "_KINDS"}
_FUNCTIONS: Final = {"_problem_of", "_unknown", "no_contact_text"}
_RULE: Final = ("must ", "is ", "has ", "looks like ")
_OF_ARGUMENTS: Final = {"calls", "campaigns", "models", "phone.py", "resources", "webhooks", "wire"}
"""Folders in which a text that begins so is passed on to an `InvalidRequest`."""


@frozen
class Text:
    """One text, or the rule of an argument.

    Attributes:
        where: the module and the line.
        text: it, with … for what is filled in.
        argument: the argument whose rule it is, or …; None: it is no such rule.
    """

    where: str
    text: str
    argument: str | None = None

    def pattern(self) -> re.Pattern[str]:
        """What finds it in a line of a page."""
        pieces = (piece for piece in self.text.strip(" .:;").split(GAP))
        return re.compile(".*".join(re.escape(plain(piece).strip()) for piece in pieces))


def plain(text: str) -> str:
    """Text as it is compared: Markdown has its marks, and `%s` is filled in as {} is."""
    return text.replace("`", "").replace(r"\|", "|").replace("&lt;", "<")


def words(text: str) -> list[str]:
    """The words of a text: from three on it is one that people look for."""
    return re.findall(r"\S*[A-Za-z]\S*", text.replace(GAP, " "))


@cache
def texts() -> tuple[Text, ...]:
    """All texts, in the order of the code; from the emulator only what it logs."""
    found: list[Text] = []
    for path in sorted(_PACKAGE.rglob("*.py")):
        name = path.relative_to(_PACKAGE)
        module = _Module(path, name.as_posix())
        if name.parts[0] == "emulator":
            found += module.logged()
        elif name.name == "otel.py":  # the rest describes metrics
            found += module.raised()
        elif "versions" not in name.parts:
            found += module.command_line() if name.parts[0] == "cli" else module.library()
    return tuple(found)


def rules() -> dict[str, list[str]]:
    """The rules of arguments, sorted, and the arguments that are named in the code."""
    found: dict[str, set[str]] = {}
    for one in texts():
        if one.argument is not None:
            found.setdefault(one.text, set()).add(one.argument)
    return {rule: sorted(found[rule] - {GAP}) for rule in sorted(found)}


def table() -> str:
    """The rules as a table in Markdown."""
    rows = ["| rule | argument |", "|---|---|"]
    for rule, arguments in rules().items():
        shown = plain(rule).replace("|", r"\|")
        rows.append(f"| `{shown}` | {', '.join(f'`{one}`' for one in arguments)} |")
    return "\n".join(rows)


def with_table(page: str) -> str:
    """The page with the table of today."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


class _Module:
    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        self._tree = ast.parse(path.read_text(encoding="utf-8"))
        self._constants: dict[str, str] = {}
        for node in self._tree.body:
            for target in _targets(node):
                text = _text(getattr(node, "value", None), self._constants)
                if text is not None:
                    self._constants[target] = text
        self._rules = dict(self._of_invalid_requests())

    def library(self) -> Iterator[Text]:
        """Every text that is long enough to be one: there is little else in the library."""
        for node in _strings(self._tree):
            text = _text(node, self._constants) or ""
            if _is_text(text):
                argument = self._rules.get(text)
                folder = self._name.partition("/")[0]
                if argument is None and text.startswith(_RULE) and folder in _OF_ARGUMENTS:
                    argument = GAP
                yield Text(f"{self._name}:{node.lineno}", text, argument)

    def command_line(self) -> Iterator[Text]:
        """What is raised, or printed as an error: most texts there are results and help."""
        is_whole = Path(self._name).parts[1] in {"contact_files", *_ERROR_MODULES}
        for node in _strings(self._tree) if is_whole else self._of_errors():
            text = _text(node, self._constants) or ""
            if _is_text(text) and Path(self._name).name != "headers.py":  # which has word lists
                yield Text(f"{self._name}:{node.lineno}", text)

    def raised(self) -> Iterator[Text]:
        """What is raised alone."""
        for node in self._of_errors():
            text = _text(node, self._constants) or ""
            if _is_text(text):
                yield Text(f"{self._name}:{node.lineno}", text)

    def logged(self) -> Iterator[Text]:
        """What is logged as a warning."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and _called(node) == "warning":
                text = _text(node.args[0], self._constants) or ""
                yield Text(f"{self._name}:{node.lineno}", text)

    def _of_errors(self) -> Iterator[ast.expr]:
        seen: set[ast.expr] = set()
        for node in ast.walk(self._tree):
            about: list[ast.expr] = []
            if isinstance(node, ast.Call) and (
                _called(node) in _SHOWN_BY or _is_error(_called(node))
            ):
                about = [*node.args]
            elif isinstance(node, ast.Assign | ast.AnnAssign) and {*_targets(node)} & _NAMES:
                about = [node.value] if node.value is not None else []
            elif isinstance(node, ast.FunctionDef) and node.name in _FUNCTIONS:
                about = [
                    one.value
                    for one in ast.walk(node)
                    if isinstance(one, ast.Return) and one.value is not None
                ]
            for one in about:
                for string in _strings(one):
                    if string not in seen:
                        seen.add(string)
                        yield string

    def _of_invalid_requests(self) -> Iterator[tuple[str, str]]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Assign) and "rule" in _targets(node):
                argument, rule = GAP, node.value
            elif isinstance(node, ast.Call) and _called(node) == "InvalidRequest" and node.args[2:]:
                argument, rule = _text(node.args[0], self._constants) or GAP, node.args[2]
            else:
                continue
            for one in (rule, *_strings(rule)):
                text = _text(one, self._constants)
                if text is not None:
                    yield text, argument


def _targets(node: ast.AST) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [one.id for one in targets if isinstance(one, ast.Name)]


def _called(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _is_error(name: str) -> bool:
    kind = getattr(exotel_async, name, None)
    is_ours = isinstance(kind, type) and issubclass(kind, Exception)
    return is_ours or name == "ValueError" or name in _errors_of_commands()


@cache
def _errors_of_commands() -> frozenset[str]:
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in _PACKAGE.glob("cli/**/*.py"))
    classes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    bases = {
        one.name: {base.id for base in one.bases if isinstance(base, ast.Name)} for one in classes
    }
    roots = {"Exception", "ValueError", "ConfigurationError"}
    return frozenset(name for name, of in bases.items() if of & roots)


def _strings(tree: ast.AST) -> Iterator[ast.expr]:
    """Strings that stand alone: no docstrings, and no parts of others; and other constants."""
    apart: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):  # a docstring
            apart.add(node.value)
        if isinstance(node, ast.JoinedStr):
            apart |= {one for one in node.values if isinstance(one, ast.Constant)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr | ast.Constant) and node not in apart:
            yield node


def _text(node: ast.AST | None, constants: dict[str, str]) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"%(\.\d)?[sdrgf]", GAP, node.value)
    if isinstance(node, ast.Name):
        return constants.get(node.id)
    if isinstance(node, ast.FormattedValue):
        return constants.get(node.value.id, GAP) if isinstance(node.value, ast.Name) else GAP
    if isinstance(node, ast.JoinedStr):
        parts = [_text(one, constants) or "" for one in node.values]
        return re.sub(f"{GAP}+", GAP, "".join(parts))
    return None


def _is_text(text: str) -> bool:
    return len(words(text)) >= 3 and not _NOT_SHOWN.search(text) and text not in _OTHERS


if __name__ == "__main__":
    for file in map(Path, sys.argv[1:]):
        file.write_text(with_table(file.read_text(encoding="utf-8")), encoding="utf-8")
