"""What the fields of a class mean, read from the docstrings below them."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping


def descriptions(cls: type) -> Mapping[str, str]:
    """Return each field's docstring as one line, bases' fields first; omit fields without one.

    Raises OSError where there is no source to read.
    """
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(tree, ast.ClassDef)  # noqa: S101 - a class's source is one
        for field, below in zip(tree.body, tree.body[1:], strict=False):
            match field, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = " ".join(text.split())
    return found
