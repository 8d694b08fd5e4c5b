"""The house rules that a machine can check: who imports whom, what an import costs, and what a file looks like.

Everything is read from the sources with `ast`, so a rule holds for a file the moment it exists.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("dynamics", "scene3d", "sim_bridge")  # Left never imports right.
LONGEST = 500


def _sources(*folders: str, suffixes: tuple[str, ...] = (".py",)) -> list[Path]:
    found = (path for folder in folders for path in sorted((ROOT / folder).rglob("*")))
    return [path for path in found if path.suffix in suffixes and "__snapshots__" not in path.parts]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


PYTHON = _sources(*PACKAGES, "tests", "assets")
PACKAGED = _sources(*PACKAGES)
CPP = _sources(*PACKAGES, suffixes=(".cpp", ".h"))


def _imports(nodes: Iterator[ast.AST] | list[ast.stmt]) -> Iterator[tuple[str, int]]:
    """The absolute module names that import statements among the nodes name, with their lines."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that this test can read them"
            yield node.module or "", node.lineno


def _is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _run_at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that importing a module executes: all but the bodies of functions and of TYPE_CHECKING."""
    for node in body:
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if not _is_type_checking(node):
            yield from _run_at_import(getattr(node, "body", []))
        yield from _run_at_import(getattr(node, "orelse", []))
        yield from _run_at_import(getattr(node, "finalbody", []))
        for handler in getattr(node, "handlers", []):
            yield from _run_at_import(handler.body)


@pytest.mark.parametrize("path", PACKAGED, ids=_name)
def test_imports_never_point_right(path: Path) -> None:
    own = PACKAGES.index(path.relative_to(ROOT).parts[0])
    tree = ast.parse(path.read_text(encoding="utf-8"))
    wrong = [
        f"line {line}: {name}" for name, line in _imports(ast.walk(tree)) if name.split(".")[0] in PACKAGES[own + 1 :]
    ]
    assert not wrong


def _heavy() -> set[str]:
    """The packages that must not be imported at module level, as ruff's TID253 lists them."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return set(config["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-module-level-imports"])


@pytest.mark.parametrize("path", PACKAGED, ids=_name)
def test_modules_import_nothing_heavy_when_they_are_imported(path: Path) -> None:
    # A module that defines a torch class must import torch; it says so with a noqa, is imported lazily by others,
    # and the next test sees to that.
    text = path.read_text(encoding="utf-8")
    lines, at_import = text.splitlines(), list(_run_at_import(ast.parse(text).body))
    heavy = [(name, line) for name, line in _imports(at_import) if name.split(".")[0] in _heavy()]
    assert not [f"line {line}: {name}" for name, line in heavy if "noqa: TID253" not in lines[line - 1]]


@pytest.mark.parametrize("statement", ["import scene3d", "import dynamics", "import scene3d.cli"])
def test_importing_loads_nothing_heavy(statement: str) -> None:
    # What is loaded decides how long it takes, and unlike the seconds it is the same on every machine.
    code = f"import sys; {statement}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not _heavy() & set(ran.stdout.split())


@pytest.mark.parametrize("path", PYTHON + CPP, ids=_name)
def test_files_stay_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST, f"{lines} lines: it holds more than one idea"


@pytest.mark.parametrize("path", PYTHON, ids=_name)
def test_python_files_say_what_they_are(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert len(text.split()) >= 4, "opens with a sentence, better a paragraph"


@pytest.mark.parametrize("path", CPP, ids=_name)
def test_cpp_files_say_what_they_are(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith(("// ", "/* ", "/** ")), "opens with a comment"


def test_no_catch_all_modules() -> None:
    assert not [p for p in PACKAGED if re.fullmatch(r"_?(utils?|helpers?|misc|common|manager)", p.stem)]


def test_entry_points_resolve() -> None:
    verbs = {entry.name: entry for entry in importlib.metadata.entry_points(group="scene3d.verbs")}
    assert {"reconstruct", "render", "info"} <= set(verbs)
    for entry in verbs.values():
        assert callable(entry.load()), entry.value
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="scene3d")
    assert callable(command.load())


def _pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    return {_normal(name): version for name, version in pins.items()}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_constraints_pin_torch_and_everything_declared() -> None:
    pins = _pins("constraints.txt")
    assert pins["torch"] == "2.13.0"
    assert pins["usd-core"] == "26.8"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = [re.split(r"[\[<>=!~ ]", r)[0] for r in [*project["dependencies"], *extras["dev"], *extras["generate"]]]
    assert not [name for name in declared if _normal(name) not in pins]


def test_everything_imported_is_declared() -> None:
    """What torch happens to bring along today is not ours to import."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["cuda"], *extras["sam2"]]
    declared = {_normal(re.split(r"[\[<>=!~ ]", requirement)[0]) for requirement in wanted}
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGED]
    imported = {name.split(".")[0] for tree in trees for name, _ in _imports(ast.walk(tree))}
    homes = importlib.metadata.packages_distributions()
    foreign = imported - set(sys.stdlib_module_names) - set(PACKAGES)
    assert not {name for name in foreign if not declared & {_normal(home) for home in homes.get(name, [name])}}


def test_the_engines_environments_have_no_torch_and_newton_reads_our_usd() -> None:
    newton, physx = _pins("constraints-newton.txt"), _pins("constraints-physx.txt")
    assert "torch" not in newton | physx
    assert newton["usd-core"] == _pins("constraints.txt")["usd-core"]
    assert "usd-core" not in physx  # It brings its own.


def test_code_for_new_processors_shares_nothing_with_old_ones() -> None:
    """No AVX object may define a function that another object could end up calling.

    An inline function that several objects emit is kept once, by the linker's choice. Would it keep the copy from
    the AVX-512 object, then the whole module would crash on a processor without it.
    """
    import shutil

    objects = sorted((ROOT / "build").glob("*/CMakeFiles/kernels_*.dir/**/kernels.cpp.o"))
    if shutil.which("nm") is None or not objects:
        pytest.skip("no nm, or the module was built elsewhere")
    weak: dict[str, set[str]] = {}
    for path in objects:
        listed = subprocess.run(["nm", "--defined-only", path], capture_output=True, text=True, check=True).stdout
        isa = re.search(r"kernels_(\w+)\.dir", str(path))
        assert isa
        weak.setdefault(isa[1], set()).update(line.split()[-1] for line in listed.splitlines() if " W " in line)
    for isa in set(weak) - {"baseline"}:
        # The baseline is linked first, so what it defines as well is taken from it. What is named after the
        # instruction set (namespace scene3d::avx512) cannot be mistaken for anything else.
        alone = {name for name in weak[isa] - weak["baseline"] if isa not in name}
        assert not alone, f"{isa} alone defines inline functions that others may call"
