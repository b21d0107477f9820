"""The package's own order: what may import what, no circles, no name that hides a module, no meaning in names."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import sheetgpt
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.model import forward
from sheetgpt.sheets import lay_out
from sheetgpt.sheets.tensor import Kind

ROOT = Path(sheetgpt.__file__).parent
BASE = ("errors", "system")  # everything may use them
# part of the package -> the parts that it may use, beside itself and these
MAY_USE: dict[str, set[str]] = {
    "errors": set(),
    "system": set(),
    "file_kinds": set(),
    "stopping": set(),
    "screen": set(),
    "options": set(),
    "text": set(),
    "ooxml": {"file_kinds"},
    "excel_rules": {"ooxml"},
    "gpt2": {"text", "file_kinds"},
    "inspection": {"gpt2", "text"},
    "engines": {"ooxml", "file_kinds"},
    "progress": {"ooxml"},
    "sheets": {"inspection", "gpt2", "text", "ooxml"},
    "workbook": {"sheets", "engines", "inspection", "gpt2", "text", "ooxml", "screen"},
    "verification": {"workbook", "sheets", "engines", "inspection", "gpt2", "text", "ooxml"},
}
ON_TOP = ("__init__", "cli", "commands", "look")  # use everything


def modules() -> dict[str, Path]:
    """`sheets.layout` -> its file; a package goes by its folder's name."""
    files = {path: path.relative_to(ROOT).with_suffix("") for path in ROOT.rglob("*.py")}
    return {".".join(p.parts).removesuffix(".__init__"): path for path, p in files.items()}


def imported(module: str) -> Iterator[str]:
    """The package's own modules that a module imports, inside functions too."""
    known = modules()
    for node in ast.walk(ast.parse(known[module].read_text(encoding="utf-8"))):
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{module} imports by a relative path"
        wanted = [name.name for name in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            wanted = [f"{node.module}.{name.name}" for name in node.names]
        for name in wanted:
            own = name.removeprefix("sheetgpt.")
            if name == "sheetgpt" or not name.startswith("sheetgpt."):
                continue
            yield own if own in known else own.rpartition(".")[0] or "__init__"


@pytest.mark.parametrize("module", sorted(modules()))
def test_no_module_imports_upward(module: str) -> None:
    part = module.partition(".")[0]
    if part in ON_TOP:
        return
    assert part in MAY_USE, f"{part} has no place in the order: give it one in MAY_USE"
    upward = [found for found in imported(module) if found.partition(".")[0] not in {part, *BASE, *MAY_USE[part]}]
    assert upward == [], module


def test_the_order_itself_has_no_circle() -> None:
    assert [*TopologicalSorter(MAY_USE).static_order()]


def test_no_modules_import_one_another_in_a_circle() -> None:
    graph = {module: {found for found in imported(module) if found != module} for module in modules()}
    assert [*TopologicalSorter(graph).static_order()]


def bound(path: Path) -> Iterator[str]:
    """The names that a module gives to something else than a module."""
    known = modules()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.ImportFrom):
            source = (node.module or "").removeprefix("sheetgpt").removeprefix(".")
            yield from (n.asname or n.name for n in node.names if f"{source}.{n.name}".strip(".") not in known)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (found.id for target in targets for found in ast.walk(target) if isinstance(found, ast.Name))


@pytest.mark.parametrize("package", [path for path in modules().values() if path.name == "__init__.py"])
def test_nothing_in_a_package_hides_one_of_its_modules(package: Path) -> None:
    """`import sheetgpt.verify as v` once gave a function."""
    beside = {p.stem for p in package.parent.glob("*.py")} | {
        p.parent.name for p in package.parent.glob("*/__init__.py")
    }
    assert beside.intersection(bound(package)) == set()


def test_what_the_package_offers_is_there() -> None:
    assert all(hasattr(sheetgpt, name) for name in sheetgpt.__all__)


CONFIG = GPT2Config(n_vocab=37, n_positions=9, n_embd=15, n_layer=3, n_head=5, n_inner=22, tied=False)


@pytest.mark.parametrize("weights", ["exact", "int8"])
def test_every_name_has_a_record_that_fits_its_cells(weights: str) -> None:
    layout = lay_out(CONFIG, 7, 20, 4, weights=weights)
    for tensor in layout.records.values():
        assert len(tensor.axes) <= 2, tensor
        if not tensor.axes:
            assert tensor.area.n_cells == 1, tensor
        elif len(tensor.axes) == 1:
            assert 1 in (tensor.area.n_rows, tensor.area.n_columns), tensor
        if tensor.axes[-1:] == ("token",):
            assert tensor.area.n_columns == layout.context, tensor
        if tensor.scales:
            assert layout.tensor(tensor.scales).area.n_cells == sum(area.n_columns for area in tensor.areas), tensor
        assert tensor.kind is not Kind.WEIGHT or tensor.name in layout.params
    assert len({area for tensor in layout.records.values() for area in tensor.areas}) == len(layout.records)
    assert {t.name for t in layout.records.values() if t.scales} == (
        {name for name, shape in CONFIG.parameter_shapes().items() if len(shape) == 2} if weights == "int8" else set()
    )


def test_the_traced_tensors_are_the_evaluators(odd: sheetgpt.Checkpoint) -> None:
    layout, trace = lay_out(odd.config, 7), forward(odd.params, odd.config, [1, 2, 3])
    assert set(layout.trace) == set(trace)
    for name, values in trace.items():
        assert n_rows_of(values.shape) == layout.trace[name].n_rows, name


def n_rows_of(shape: tuple[int, ...]) -> int:
    """Keys are as many as tokens in the trace, and as many as columns in the sheet."""
    return 1 if len(shape) == 1 else 7 if shape[0] == 3 else shape[0]


TAKEN_APART = "startswith|endswith|removeprefix|removesuffix|partition|rpartition|split"
NAME_PARTS = re.compile(rf"\b(name|tensor|param|matrix)\w*\.({TAKEN_APART})\(")


def test_nobody_takes_a_name_apart() -> None:
    """What a tensor is stands in its record. One place makes a name of scales out of a matrix's."""
    allowed = {"gpt2/checkpoints/quantize.py": 1}
    for part in ("sheets", "workbook", "verification", "gpt2"):
        for path in (ROOT / part).rglob("*.py"):
            found = [m[0] for m in NAME_PARTS.finditer(path.read_text(encoding="utf-8"))]
            if path.name in (
                "checkpoint.py",
                "foreign.py",
                "hub.py",
                "weight_files.py",
            ):  # files' and Hugging Face's names
                continue
            assert len(found) == allowed.get(path.relative_to(ROOT).as_posix(), 0), (path, found)


def test_the_map_names_every_room() -> None:
    """`sheetgpt/README.md`, for whoever carries on."""
    rooms = {path.parent.relative_to(ROOT) for path in ROOT.rglob("*.py")} | {Path("models")}
    named = {Path(name) for name in re.findall(r"^\| `([\w/]+)/` \|", (ROOT / "README.md").read_text("utf-8"), re.M)}
    assert named == rooms - {Path()}


MOST_MODULES = 12


def test_no_room_is_crowded() -> None:
    """Whoever looks for a formula reads a list of names first: at most a dozen of them."""
    rooms = {path.parent for path in ROOT.rglob("*.py")}
    crowds = {room.relative_to(ROOT).as_posix(): len([*room.glob("*.py")]) - 1 for room in rooms}  # less __init__
    assert {room: n for room, n in crowds.items() if n > MOST_MODULES} == {}


def test_the_files_that_scripts_and_maps_name_are_there() -> None:
    """A script that runs seldom still names its tests by where they were when it was written."""
    top = ROOT.parent
    found = {
        f"{path.relative_to(top)}: {name}"
        for folder in ("scripts", "sheetgpt")
        for path in [top / "README.md", *(top / folder).rglob("*")]
        if path.is_file() and path.suffix in ("", ".py", ".md")
        for name in re.findall(r"\b(?:tests|scripts|sheetgpt)/[\w/]+\.(?:py|md)\b", path.read_text(encoding="utf-8"))
        if not (top / name).is_file()
    }
    assert sorted(found) == []
