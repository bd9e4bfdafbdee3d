"""The house keeps its floors: a room imports only from floors below its own."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "thinnet"
FLOORS = [
    {"_extras", "_files", "_plain_json", "_suggest", "_text_table", "_timing", "errors"},
    {"rule"},
    {"penalties", "constraints", "dropout"},
    {"plan"},
    {"attachment", "stack", "ensemble"},
    {"compaction"},
    {"search"},
    {"report"},
    {"tabular"},
    {"cli"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def rooms_imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        modules = [node.module] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found |= {m.split(".")[1] for m in modules if m and m.startswith("thinnet.")}
    return found


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda p: str(p.relative_to(SRC)))
def test_imports_point_downward(path: Path) -> None:
    room = path.relative_to(SRC).parts[0].removesuffix(".py")
    if room == "__init__":
        return
    assert room in FLOOR, f"{room} stands on no floor"
    above = {other for other in rooms_imported(path) if other != room and FLOOR[other] >= FLOOR[room]}
    assert not above, f"{path.relative_to(SRC)} imports {above} from its own floor or above"
