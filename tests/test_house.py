"""Imports point downward, cross rooms at public names only, and never go in a circle; every file has a test."""

import ast
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SRC = TESTS.parent / "src" / "thinnet"

# A room imports only from floors below its own. The files of the ground floor, which all share, import each other, too.
FLOORS = [
    {
        "rule",
        "errors",
        "_extras",
        "_files",
        "_plain_json",
        "_suggest",
        "_text_table",
        "_timing",
        "_buffers",
        "_random",
        "_strength",
        "_weight_groups",
    },
    {"penalties", "constraints", "dropout"},
    {"plan", "thinning", "schedules"},
    {"attachment", "stack", "ensemble"},
    {"audit"},
    {"compaction"},
    {"search"},
    {"report"},
    {"tabular", "integrations"},
    {"cli"},
    {"__init__", "__main__"},
]
# The same inside two rooms, of their folders and of the files beside them; "" is each file not named here.
FLOORS_INSIDE = {
    "compaction": [{"analyze"}, {"prove"}, {"shrink", "export"}, {""}],
    "tabular": [
        {"_budget"},
        {"_checkpoint", "_progress", "_time_plan", "_validate_parameters"},
        {"columns"},
        {"population", "model"},
        {"features", "model.onnx", "_networks_as_arrays"},
        {"_select"},
        {"_leaderboard"},
        {"_fit"},
        {""},
    ],
}

VERSION = "thinnet.__version__"  # a string, for all

# Files that declare what others do, and are tested with them. No line is ever added here.
WITHOUT_TEST = {
    "compaction/analyze/_consumer.py",
    "tabular/_fitted_mixin.py",
}


# what a file imports


@cache
def files() -> dict[str, Path]:
    """Every source file by the name that imports it."""
    found = {}
    for path in sorted(SRC.rglob("*.py")):
        parts = ("thinnet", *path.relative_to(SRC).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(source: str, package: str) -> Iterator[tuple[str, str]]:
    """Modules named by the imports of a source text, wherever they stand, each with the name taken from it or ''."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from ((alias.name, "") for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = package.split(".")[: len(package.split(".")) + 1 - level] if level else []
                module = ".".join([*base, *([module] if module else [])])
                yield from ((module, alias.name) for alias in names)
            case ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__")):
                match node.args:
                    case [ast.Constant(value=str(module))]:
                        yield module, ""
                    case [ast.Constant(value=str(module)), _] if module.startswith("."):
                        raise AssertionError(f"import_module({module!r}) is relative: name the module in full")


@cache
def imported(module: str) -> tuple[str, ...]:
    """Dotted names that a file imports of the project; the last part is a module or a name in one."""
    path = files()[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = (f"{base}.{name}" if name else base for base, name in imports(path.read_text(encoding="utf-8"), package))
    return tuple(sorted({name for name in found if name.split(".")[0] == "thinnet"} - {VERSION}))


def file_of(name: str) -> str:
    """The file that a dotted name leads to."""
    while name not in files():
        name = name.rpartition(".")[0]
    return name


def place(module: str) -> str:
    return str(files()[module].relative_to(SRC))


def room_of(module: str) -> str:
    return Path(place(module)).parts[0].removesuffix(".py")


def part_of(module: str, parts: Collection[str]) -> str:
    """The folder or file of its room that a file belongs to, of those named."""
    _, *folders, file = Path(place(module)).with_suffix("").parts
    while folders and ".".join(folders) not in parts:
        folders.pop()
    return ".".join(folders) or (file if file in parts else "")


# floors


def floors_of(floors: list[set[str]]) -> dict[str, int]:
    return {room: floor for floor, rooms in enumerate(floors) for room in rooms}


@pytest.mark.parametrize("module", files(), ids=place)
def test_imports_point_downward(module: str) -> None:
    room, floors = room_of(module), floors_of(FLOORS)
    assert room in floors, f"{room} stands on no floor"
    above = {
        other
        for other in (room_of(file_of(name)) for name in imported(module))
        if other != room and (floors[other] > floors[room] or floors[other] == floors[room] != 0)
    }
    assert not above, f"{place(module)} imports {above} from its own floor or above"


@pytest.mark.parametrize("room", FLOORS_INSIDE)
def test_imports_inside_a_room_point_downward(room: str) -> None:
    floors = floors_of(FLOORS_INSIDE[room])
    inside = [module for module in files() if room_of(module) == room and module != f"thinnet.{room}"]
    parts = {module: part_of(module, floors) for module in inside}
    assert set(parts.values()) == set(floors), "a floor names a part that does not exist"
    wrong = {
        f"{place(module)} imports {place(target)}"
        for module in inside
        for target in map(file_of, imported(module))
        if target in parts and parts[target] != parts[module] and floors[parts[target]] >= floors[parts[module]]
    }
    assert not wrong


# privacy


def private_imports() -> set[str]:
    """Private names that a file takes from a room other than its own; those of the ground floor are shared."""
    return {
        f"{place(module)} imports {name}"
        for module in files()
        for name in imported(module)
        if room_of(file_of(name)) not in {room_of(module), *FLOORS[0]}
        and any(part.startswith("_") and not part.endswith("__") for part in name.split("."))
    }


def test_no_room_imports_what_is_private_in_another() -> None:
    assert not private_imports()


# circles


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Strongly connected components of more than one file (Tarjan, 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            start = stack.index(node)
            if len(stack) - start > 1:
                found.append(set(stack[start:]))
            del stack[start:]

    for node in graph:
        if node not in index:
            visit(node)
    return found


def file_circles() -> list[set[str]]:
    graph = {module: {file_of(name) for name in imported(module)} - {module} for module in files()}
    return [{place(module) for module in circle} for circle in circles(graph)]


def test_no_file_imports_itself_by_way_of_others() -> None:
    assert not file_circles()


# tests


def without_test() -> set[str]:
    """Files, but for those that only gather a package's names, whose test does not lie where they lie."""
    found = set()
    for module in files():
        path = Path(place(module))
        mirrored = TESTS / path.parent / f"test_{path.stem.strip('_')}.py"
        if (path.stem != "__init__" or path.parent == Path()) and not mirrored.exists():
            found.add(str(path))
    return found


def test_every_file_has_a_test() -> None:
    found = without_test()
    assert not found - WITHOUT_TEST, "files without a test of their own"
    assert not WITHOUT_TEST - found, "files that have one by now, or are gone: take them off the list"


# the law itself


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import thinnet.plan", {("thinnet.plan", "")}),
        ("import thinnet.plan as p, os", {("thinnet.plan", ""), ("os", "")}),
        ("from thinnet import plan", {("thinnet", "plan")}),
        ("from thinnet.plan import Plan, Finding", {("thinnet.plan", "Plan"), ("thinnet.plan", "Finding")}),
        ("from thinnet.plan._keys import key as k", {("thinnet.plan._keys", "key")}),
        ("from . import _keys", {("thinnet.stack", "_keys")}),
        ("from ._keys import key", {("thinnet.stack._keys", "key")}),
        ("from .. import plan", {("thinnet", "plan")}),
        ("from ..plan._keys import key", {("thinnet.plan._keys", "key")}),
        ("def f():\n    if x:\n        from thinnet import plan", {("thinnet", "plan")}),
        ("if TYPE_CHECKING:\n    import thinnet.plan", {("thinnet.plan", "")}),
        ("importlib.import_module('thinnet.plan')", {("thinnet.plan", "")}),
        ("x = import_module('thinnet.plan').Plan", {("thinnet.plan", "")}),
        ("__import__('thinnet.plan')", {("thinnet.plan", "")}),
        ("thinnet = 'import thinnet.plan'", set()),
    ],
)
def test_every_form_of_import_is_seen(source: str, expected: set[tuple[str, str]]) -> None:
    assert set(imports(source, "thinnet.stack")) == expected


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}, "f": {"a", "d"}, "g": {"f"}}
    assert sorted(map(sorted, circles(graph))) == [["a", "b", "c"], ["d", "e"]]
