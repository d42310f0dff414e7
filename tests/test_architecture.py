"""The tower: imports point down, and the library knows no run, no bundle and no path."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "pipeline"
FILES = sorted(PACKAGE.rglob("*.py"))

# from the leaves to the top; a part may import from its own layer and from those before it
LAYERS = [
    {"__init__", "errors", "files", "flags", "labels", "geometry"},
    {"networks", "transforms", "data", "metrics"},
    {"dicom_objects", "engines", "handlers", "tracking", "reporting"},
    {"inference"},
    {"comparison"},
    {"workflows"},
    {"registry"},
    {"cli"},
    {"__main__"},
]
STRANGERS = {frozenset({"networks", "data"})}


def part_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def layer_of(part: str) -> int:
    return next(index for index, layer in enumerate(LAYERS) if part in layer)


def imported_parts(tree: ast.AST) -> Iterator[str]:
    """Yield the part of ``pipeline`` that each import statement names; names of the package itself are ``__init__``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for _, _, path in (module.partition("pipeline.") for module in modules if module.startswith("pipeline.")):
            part = path.split(".")[0]
            yield part if any(part in layer for layer in LAYERS) else "__init__"


def forbidden_imports(part: str, source: str) -> list[str]:
    return [
        other
        for other in imported_parts(ast.parse(source))
        if layer_of(other) > layer_of(part) or frozenset({part, other}) in STRANGERS
    ]


def code_strings(source: str) -> Iterator[str]:
    """Yield the string constants of the code; a docstring, which stands alone as a statement, is none of them."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


def folders_named(source: str) -> list[str]:
    """Return the strings that lead into a folder: ``"configs/x"``, or ``root / "configs"``."""
    joins = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
    ]
    joined = [node.right.value for node in joins if isinstance(node.right, ast.Constant)]
    return [text for text in joined if text in ("bundles", "configs")] + [
        text for text in code_strings(source) if re.search(r"\b(bundles|configs)/", text)
    ]


def calls_print(source: str) -> bool:
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return any(isinstance(function, ast.Name) and function.id == "print" for function in calls)


@pytest.mark.parametrize(
    ("part", "source", "found"),
    [
        ("data", "from pipeline.labels import Structure", []),
        ("data", "from pipeline.networks.aspp import ASPP", ["networks"]),
        ("networks", "def f():\n    import pipeline.data.acdc", ["data"]),
        ("metrics", "from pipeline import tracking", ["tracking"]),
        ("tracking", "from pipeline import __version__", []),
        ("handlers", "import pipeline.cli", ["cli"]),
    ],
)
def test_forbidden_imports_are_found(part: str, source: str, found: list[str]) -> None:
    assert forbidden_imports(part, source) == found


def test_folders_in_code_are_found_and_prose_is_not() -> None:
    source = (
        '"""About bundles/x."""\npath = root / "configs"\nname = f"bundles/{x}"\nfine = {"configs": "label_configs"}'
    )
    assert folders_named(source) == ["configs", "bundles/"]


@pytest.mark.parametrize(("source", "found"), [("def f():\n    print(1)", True), ("x.print(1)\npprint(2)", False)])
def test_print_is_found(source: str, found: bool) -> None:
    assert calls_print(source) is found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_down(file: Path) -> None:
    assert forbidden_imports(part_of(file), file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_library_names_no_folder_of_bundles_or_configs(file: Path) -> None:
    assert folders_named(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_are_absolute(file: Path) -> None:
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    assert [node.lineno for node in nodes if isinstance(node, ast.ImportFrom) and node.level] == []


def test_only_the_command_line_prints() -> None:
    assert {part_of(file) for file in FILES if calls_print(file.read_text(encoding="utf-8"))} == {"cli"}


def test_no_file_is_called_utils() -> None:
    assert [file for file in FILES if file.stem == "utils"] == []
