"""The house: a module imports only from below, a library only where it is owned, and reading commands stay light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = [
    {"__init__", "errors", "domain", "identity", "names"},
    {
        "settle", "timeline", "events", "ensemble", "background", "decisions", "occupancy", "deployments", "maker_notes", "jpeg",
        "clocks", "survey", "opinions", "matching", "taxonomy", "activity", "survey_figures", "survey_histories",
    },
    {"config", "card", "card_folder", "disk", "decode", "exif", "nets", "store", "export", "imports"},
    {
        "tables", "panel", "decoding", "reading", "looking", "classify", "derive", "effort", "accounts", "pipeline",
        "results", "check", "service", "logs", "metrics", "installation", "watch", "sweep", "daemon", "state", "receipts",
        "archive", "upkeep", "keeping", "observation_rows", "exchange", "labelling", "field_sheet",
    },
    {"report", "survey_tables", "retrying", "page", "surveying", "contact_sheet", "once", "cli", "demo", "__main__"},
]  # fmt: skip
OWNERS = {
    "torch": {"nets"},
    "torchvision": {"nets"},
    "safetensors": {"nets"},
    "openvino": {"nets"},
    "duckdb": {"store"},
    "PIL": {"decode", "exif", "contact_sheet", "page", "demo"},
    "cykooz_resizer": {"decode"},
    "piexif": {"exif", "demo"},
    "watchdog": {"watch"},
    "rich": {"report", "survey_tables", "once", "retrying", "cli", "demo"},
    "click": {"cli"},
    "blake3": {"identity"},
    "tomllib": {"config"},
    "csv": {"export", "imports", "deployments", "tables"},
    "sqlite3": {"export"},
}
IMPURE = {"os", "pathlib", "time", "subprocess", "socket", "threading", "random", "shutil", "tempfile", "logging"}
MODULES = sorted(path for path in (ROOT / "ctwatch").rglob("*.py"))


def room(path: Path) -> str:
    """The module or package directly below `ctwatch` that a file belongs to."""
    return path.relative_to(ROOT / "ctwatch").parts[0].removesuffix(".py")


def layer(name: str) -> int:
    return next(number for number, rooms in enumerate(LAYERS) if name in rooms)


def imported(path: Path) -> Iterator[str]:
    """Full names of what a file imports when it runs; imports for type checkers only do not count."""

    class Visitor(ast.NodeVisitor):
        def __init__(self) -> None:
            self.names: list[str] = []

        def visit_If(self, node: ast.If) -> None:
            if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
                self.generic_visit(node)

        def visit_Import(self, node: ast.Import) -> None:
            self.names += [alias.name for alias in node.names]

        def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
            self.names += [f"{node.module}.{alias.name}" for alias in node.names]

    visitor = Visitor()
    visitor.visit(ast.parse(path.read_text("utf-8")))
    return iter(visitor.names)


def ours(name: str) -> str | None:
    parts = name.split(".")
    if parts[0] != "ctwatch":
        return None
    known = set().union(*LAYERS)
    return parts[1] if len(parts) > 1 and parts[1] in known else "__init__"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_lower_layers(path: Path) -> None:
    """Downwards only; beside each other only within a package, or in the application and surface layers."""
    here = room(path)
    for name in imported(path):
        target = ours(name)
        if target is None or target == here:
            continue
        beside = layer(target) == layer(here) and layer(here) in (0, 1, 3, 4)
        assert layer(target) < layer(here) or beside, f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_library_is_imported_only_where_it_is_owned(path: Path) -> None:
    """One outside thing, one owner."""
    for name in imported(path):
        library = name.split(".")[0]
        assert library not in OWNERS or room(path) in OWNERS[library], f"{path} imports {library}"


@pytest.mark.parametrize(
    "path", [path for path in MODULES if layer(room(path)) <= 1], ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_core_knows_no_clock_disk_or_network(path: Path) -> None:
    """Layers 0 and 1 take values and return values."""
    assert not IMPURE & {name.split(".")[0] for name in imported(path)}
    text = path.read_text("utf-8")
    assert ".now(" not in text and "open(" not in text


def test_every_module_has_its_place_in_the_plan() -> None:
    """No file without a layer, no layer entry without a file."""
    assert {room(path) for path in MODULES} == set().union(*LAYERS)


def test_no_import_goes_round_in_a_circle() -> None:
    """Modules of one layer may know each other, but not mutually."""
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        targets = {target for name in imported(path) if (target := ours(name)) and target != room(path)}
        graph.setdefault(room(path), set()).update(targets - {"__init__"})
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for target in sorted(graph.get(name, ())):
                visit(target, (*trail, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


@pytest.mark.parametrize("path", [*MODULES, *sorted((ROOT / "train").rglob("*.py"))], ids=lambda path: path.stem)
def test_a_module_stays_small_and_says_what_it_is(path: Path) -> None:
    """Under 420 lines, with a docstring."""
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 420
    assert not text.strip() or ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", sorted((ROOT / "train").rglob("*.py")), ids=lambda path: path.stem)
def test_the_trainer_uses_only_the_shared_parts(path: Path) -> None:
    """What is measured is what runs: networks, decoder, events, averaging; never the daemon's store or pipeline."""
    allowed = {
        "nets",
        "domain",
        "errors",
        "identity",
        "events",
        "ensemble",
        "decode",
        "decisions",
        "demo",
        "__init__",
        "names",
        "exif",
        "timeline",
    }
    if path.parent.name == "labels":
        allowed = {*allowed, "store"}  # people's labels are read out of the database  # fmt: skip
    assert {target for name in imported(path) if (target := ours(name))} <= allowed


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["config"], ["report", "--help"]])
def test_reading_commands_never_load_torch(arguments: list[str], tmp_path: Path) -> None:
    """They start in a blink; torch alone takes seconds."""
    program = (
        "import sys; from ctwatch.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        "sys.exit(3 if 'torch' in sys.modules else 0)"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


ROOMS_OF_THE_TRAINER = ["labels", "sets", "figures", "fitting", "pages", "generate", "commands", "cli"]
ANYWHERE = {"progress", "tabular", "__init__"}


@pytest.mark.parametrize("path", sorted((ROOT / "train").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_of_the_trainer_imports_only_from_rooms_before_it(path: Path) -> None:
    """Labels, sets, figures, fitting, pages: data flows one way."""
    inside = path.relative_to(ROOT / "train").with_suffix("").parts
    here = inside[0]
    assert here in {*ROOMS_OF_THE_TRAINER, *ANYWHERE}, f"{path} has no room"
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = inside[: len(inside) - node.level]
        named = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
        for target in [base[0]] if base else named:
            if target in ANYWHERE or target == here:
                continue
            assert here not in ANYWHERE, f"{path} imports {target}"
            at = ROOMS_OF_THE_TRAINER.index
            assert target in ROOMS_OF_THE_TRAINER and at(target) < at(here), f"{path} imports {target}"
