"""The hand-written stub of the C++ module says what the module has: the same names, and the same arguments."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import scene3d.render
from scene3d.render import _kernels

STUB = ast.parse((Path(scene3d.render.__file__).parent / "_kernels.pyi").read_text(encoding="utf-8"))


def stubbed(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, list[str] | None]]:
    """Public names of the stub with the arguments of functions; None for properties and classes."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, None
            yield from stubbed(node.body, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            is_property = bool(node.decorator_list)
            arguments = [argument.arg for argument in node.args.args if argument.arg != "self"]
            yield prefix + node.name, None if is_property else arguments


def bound(home: Any, prefix: str = "") -> Iterator[tuple[str, list[str] | None]]:
    """The same of the module, read from the signatures that nanobind puts into docstrings."""
    for name, value in vars(home).items():
        if isinstance(value, type):
            yield name, None
            yield from bound(value, f"{name}.")
        elif type(value).__name__ in ("nb_func", "nb_method") and (name == "__init__" or not name.startswith("_")):
            yield prefix + name, re.findall(r"(\w+): ", value.__doc__.splitlines()[0])
        elif isinstance(value, property):
            yield prefix + name, None


def test_the_stub_is_true() -> None:
    assert dict(stubbed(STUB.body)) == dict(bound(_kernels))


def test_every_name_of_the_stub_is_documented() -> None:
    nodes = [node for node in ast.walk(STUB) if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    assert not [node.name for node in nodes if not node.name.startswith("_") and ast.get_docstring(node) is None]
