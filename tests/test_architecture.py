"""The shape of the house, held by tests: who may import whom, how long a module may be, what no module does."""

import ast
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("benchmarks", "lrp_core", "models", "pages", "tests", "training")
MODULES = sorted([*ROOT.glob("*.py"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))])
APP_MODULES = [path for path in MODULES if path.relative_to(ROOT).parts[0] in ("app.py", "lrp_core", "models", "pages")]

LONGEST = 320  # lines

# Which of these a folder's modules may import; everything that is not in this table is free.
GUARDED = {"app", "benchmarks", "lrp_core", "models", "pages", "streamlit", "tests", "training"}
ALLOWED = {
    "app.py": {"lrp_core", "models", "pages", "streamlit"},
    "pages": {"lrp_core", "models", "pages", "streamlit"},
    "models": {"models"},
    "lrp_core": {"lrp_core"},
    "training": {"models", "training"},
    "benchmarks": {"benchmarks", "lrp_core", "models", "streamlit", "training"},
    "tests": {"benchmarks", "lrp_core", "models", "pages", "streamlit", "tests", "training"},
}
PEERS = {"captum", "zennit", "lxt", "autolrp"}

# The floors of each house, the lowest first: a room imports from floors below its own, never sideways and never up.
# A room is a folder, or a module by itself, which is written with a dot.
FLOORS = {
    "pages": (
        "serving settings",
        "explaining components",
        "workbench views",
        "digits photos text questions language ._digits ._photos ._text ._question_answering ._language",
        "home",
    ),
    "lrp_core": (
        ".errors .limits .modes .rules .rows .target .heatmap",
        ".composite .message",
        ".presets .steps",
        ".ledger .registry .blocks",
        ".explanation",
        ".tokens propagation",
        ".walk",
        ".stacking .conditional .inside",
        ".many",
        ".tape",
        "recording evaluation",
        ".__init__",
    ),
    "models": (
        ".__init__ .torchvision_compat",
        "weights",
        "digits photos text scenes",
        "language",
    ),
}


def identify(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def syntax(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported(path: Path) -> set[str]:
    """The outermost packages that a module imports, wherever in it the import stands."""
    names = set()
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside = path.relative_to(ROOT).parts[0] if node.level else None
            names.add(inside or str(node.module).split(".")[0])
    return names


def attributes(path: Path) -> set[str]:
    """Every name that is read from, or called on, something: `x.name`."""
    return {node.attr for node in ast.walk(syntax(path)) if isinstance(node, ast.Attribute)}


def test_the_modules_are_found():
    assert {"lrp_core", "models", "tests"} <= {path.relative_to(ROOT).parts[0] for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_imports_run_one_way(path: Path):
    allowed = ALLOWED.get(path.relative_to(ROOT).parts[0], set())
    assert imported(path) & GUARDED <= allowed
    if path in APP_MODULES:
        assert not imported(path) & PEERS, "peers belong in tests and benchmarks"


def room_of(house: str, parts: tuple[str, ...]) -> str:
    """The room that these parts of a path or of a dotted name lead to; "" where they only name the house."""
    if len(parts) > 1 and (ROOT / house / parts[1]).is_dir():
        return parts[1]
    return f".{parts[1]}" if len(parts) > 1 and (ROOT / house / f"{parts[1]}.py").is_file() else ""


def rooms_imported(path: Path) -> set[str]:
    """The other rooms of its house that a module imports, also where it runs; not what only its types name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    for_types = {
        id(inner)
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    rooms = set()
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.ImportFrom) and id(node) not in for_types:
            base = parts[: len(parts) - node.level] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            if base[0] == parts[0]:
                rooms |= {room_of(parts[0], (*base, alias.name)) for alias in node.names}
    return rooms - {room_of(parts[0], parts), ""}


HOUSED = [path for path in MODULES if path.relative_to(ROOT).parts[0] in FLOORS]


@pytest.mark.parametrize("path", HOUSED, ids=identify)
def test_rooms_import_from_floors_below(path: Path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    floors = [floor.split() for floor in FLOORS[parts[0]]]
    own = [number for number, floor in enumerate(floors) if room_of(parts[0], parts) in floor]
    assert own, f"{identify(path)} has no floor: give its room a place in FLOORS"
    below = {room for floor in floors[: own[0]] for room in floor}
    assert rooms_imported(path) <= below


@pytest.mark.parametrize("house", FLOORS)
def test_every_room_is_there(house: str):
    rooms = [room for floor in FLOORS[house] for room in floor.split()]
    assert len(rooms) == len(set(rooms))
    for room in rooms:
        assert (ROOT / house / (f"{room[1:]}.py" if room.startswith(".") else room)).exists(), room


def test_the_engine_is_installed_with_all_its_rooms():
    found = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"][
        "find"
    ]
    assert found == {"include": ["lrp_core*"]}
    rooms = [path for path in (ROOT / "lrp_core").iterdir() if path.is_dir() and list(path.glob("*.py"))]
    assert rooms and all((room / "__init__.py").is_file() for room in rooms)


def test_tests_mirror_the_house():
    """Whoever looks for the tests of a room finds them in the folder of the same name."""
    for house in (*FLOORS, "training", "benchmarks"):
        folders = {path.name for path in (ROOT / "tests" / house).iterdir() if list(path.glob("*.py"))}
        assert folders <= {path.name for path in (ROOT / house).iterdir() if path.is_dir()}, house


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_modules_stay_short_and_are_named_for_what_they_hold(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "misc"}


@pytest.mark.parametrize("path", APP_MODULES, ids=identify)
def test_no_hooks_no_raw_html_no_swallowed_errors(path: Path):
    used = attributes(path)
    assert not {name for name in used if name.startswith("register_") and name.endswith("_hook")}
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Call):
            assert "unsafe_allow_html" not in {keyword.arg for keyword in node.keywords}
        if isinstance(node, ast.ExceptHandler):
            silent = all(isinstance(statement, ast.Pass) for statement in node.body)
            broad = node.type is None or (isinstance(node.type, ast.Name) and "Exception" in node.type.id)
            assert not (silent and broad), f"line {node.lineno} swallows every error"


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.stem.startswith(("test_", "conftest"))], ids=identify
)
def test_tests_wait_for_a_condition_and_never_sleep(path: Path):
    assert "sleep" not in attributes(path)


def test_the_engine_loads_torch_alone():
    """A researcher who imports `lrp_core` pays for torch and nothing else."""
    code = (
        "import sys, lrp_core, lrp_core.heatmap\n"
        "heavy = {'streamlit', 'transformers', 'torchvision', 'plotly', 'matplotlib', 'models', 'pages'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == ""


def test_streamlit_knows_every_setting():
    """A misspelt option is ignored with a warning that nobody reads."""
    from streamlit import config

    known = set(config._config_options_template)

    def keys(table: dict, above: str = ""):
        for key, value in table.items():
            yield from keys(value, f"{above}{key}.") if isinstance(value, dict) else [above + key]

    settings = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))
    assert set(keys(settings)) <= known


def test_pages_use_no_primary_button():
    """Streamlit writes white on it, and the accent of the dark theme is chosen to be read as text instead."""
    for path in APP_MODULES:
        for node in ast.walk(syntax(path)):
            if isinstance(node, ast.keyword) and node.arg == "type" and isinstance(node.value, ast.Constant):
                assert node.value.value != "primary", f"{identify(path)} line {node.value.lineno}"


def luminance(colour: list[float]) -> float:
    """Relative luminance of an sRGB colour (0 to 255), as WCAG 2.2 defines it."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in colour)]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a: list[float], b: list[float]) -> float:
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("surface", ["backgroundColor", "secondaryBackgroundColor"])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_colours_can_be_read(mode: str, surface: str):
    theme = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))["theme"][mode]

    def rgb(hexadecimal: str) -> list[float]:
        return [int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5)]

    ground, text = rgb(theme[surface]), rgb(theme["textColor"])
    caption = [0.6 * a + 0.4 * b for a, b in zip(text, ground, strict=True)]
    readable = [text, caption, rgb(theme["primaryColor"]), rgb(theme["linkColor"])]
    assert min(contrast(colour, ground) for colour in readable) >= 4.5
