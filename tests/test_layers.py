"""The rules of the code that a reader should be able to rely on, read from the syntax tree."""

from __future__ import annotations

import ast
import gc
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = frozenset(("api", "bench", "engine", "journal", "tests"))
FOLDERS = (*OURS, "retain")
SHIPPED = ("journal", "engine", "api")

#: Aim at 300; a module that tells one story from top to bottom may have 500.
MODULE_LINES = 500
FUNCTION_LINES = 60
#: What is longer today may not grow; whoever shortens one lowers its number here.
LONG_MODULES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}

MAY_IMPORT = {
    "journal": frozenset(("journal",)),
    "engine": frozenset(("engine", "journal")),
    "api": frozenset(("api", "engine", "journal")),
}
#: Where the engine knows Trio; the rest is plain functions and data.
TRIO_IN_ENGINE = (
    "engine/writing/",
    "engine/erasure/",
    "engine/following/",
    "engine/nodes/",
    "engine/snapshots/",
    "engine/engine.py",
    "engine/testing.py",
)
DOMAINS = ("areas", "settings", "blobs", "tokens", "holds", "history")
INTERFACES = frozenset(("api/areas", "api/settings", "api/blobs"))
GROUND = frozenset(("api/config", "api/http", "api/identity", "api/refusals.py", "api/importing.py"))
DATA = frozenset(("engine/areas", "engine/blobs", "engine/core", "engine/holds", "engine/settings"))
STATE = frozenset(("engine/core", "engine/state.py", "engine/wire.py"))
FILES = frozenset(("journal/disk", "journal/errors.py", "journal/format", "journal/segments"))
ROOMS: dict[str, frozenset[str]] = {
    "journal/options.py": frozenset(("journal/format",)),
    "journal/mended.py": frozenset(("journal/disk", "journal/errors.py")),
    "journal/log.py": frozenset(("journal/format",)),
    "journal/tail.py": FILES | {"journal/log.py"},
    "journal/erasure": FILES,
    "journal/lookup": FILES | {"journal/erasure"},
    "journal/followed.py": FILES | {"journal/lookup", "journal/tail.py"},
    "journal/proofs": FILES | {"journal/lookup"},
    "journal/compaction": FILES | {"journal/erasure", "journal/lookup"},
    "journal/replay.py": FILES | {"journal/erasure", "journal/verified"},
    "journal/verified": FILES | {"journal/uncollected.py"},
    "journal/check": FILES
    | {
        "journal/compaction",
        "journal/erasure",
        "journal/lookup",
        "journal/mended.py",
        "journal/payloads",
        "journal/proofs",
    },
    "journal/backup": FILES
    | {"journal/erasure", "journal/mended.py", "journal/payloads", "journal/replay.py"},
    "journal/format": frozenset(("journal/errors.py",)),
    "journal/disk": frozenset(("journal/errors.py",)),
    "journal/payloads": frozenset(("journal/disk", "journal/errors.py")),
    "journal/segments": frozenset(
        ("journal/disk", "journal/errors.py", "journal/format", "journal/mended.py")
    ),
    "journal/writer": frozenset(
        (
            "journal/disk",
            "journal/errors.py",
            "journal/format",
            "journal/log.py",
            "journal/options.py",
            "journal/segments",
        )
    ),
    "journal/shared": frozenset(("journal/errors.py", "journal/log.py")),
    "journal/testing": frozenset(
        ("journal/disk", "journal/errors.py", "journal/format", "journal/log.py", "journal/shared")
    ),
    "engine/core": frozenset(),
    "engine/areas": frozenset(("engine/core",)),
    "engine/settings": frozenset(("engine/core",)),
    "engine/blobs": frozenset(("engine/core",)),
    "engine/tokens": frozenset(("engine/core", "engine/blobs")),
    "engine/history": frozenset(("engine/core",)),
    "engine/holds": frozenset(("engine/core", "engine/areas", "engine/blobs", "engine/settings")),
    "engine/losses": frozenset(("engine/core", "engine/areas", "engine/blobs", "engine/history")),
    "engine/persons": DATA | STATE,
    "engine/state.py": DATA | {"engine/history", "engine/losses", "engine/persons", "engine/tokens"},
    "engine/wire.py": DATA | {"engine/history", "engine/tokens"},
    "engine/outlook.py": DATA | {"engine/state.py"},
    "engine/statistics.py": frozenset(("engine/core",)),
    "engine/options.py": frozenset(("engine/core",)),
    "engine/writing": STATE,
    "engine/erasure": STATE | {"engine/options.py", "engine/writing"},
    "engine/snapshots": STATE | {"engine/options.py", "engine/writing"},
    "engine/access.py": STATE | {"engine/statistics.py", "engine/writing"},
    "engine/audit": DATA | STATE | {"engine/history", "engine/persons", "engine/snapshots", "engine/tokens"},
    "api/config": frozenset(),
    "api/http": frozenset(("api/config",)),
    "api/identity": frozenset(("api/config", "api/http")),
    "api/html": frozenset(),
    "api/areas": GROUND | {"api/html"},
    "api/settings": GROUND,
    "api/blobs": GROUND,
    "api/openapi": frozenset(),
    "api/web": GROUND | {"api/html", "api/openapi"},
    "api/notifications": GROUND | {"api/blobs"},  # ETags
    "api/admin": GROUND
    | {"api/blobs", "api/notifications", "api/settings", "api/web"},  # tokens, transfer, readiness
    "api/console": GROUND | {"api/admin", "api/blobs", "api/html", "api/settings", "api/web"},
    "api/server": GROUND | {"api/web"},
    "api/nodes": GROUND | {"api/admin", "api/web"},
    "api/workers": GROUND | {"api/admin", "api/server", "api/web"},
}
"""What a room, or a file beside the rooms, may import of its own package."""
UNBOUND = frozenset(
    (
        "engine/engine.py",
        "engine/following",
        "engine/nodes",
        "engine/testing.py",
        "journal/errors.py",
        "journal/journal.py",
        "journal/open.py",
        "journal/uncollected.py",
    )
)
"""What puts rooms together, or imports none: bound by the rules above alone."""
NOBODYS: dict[str, tuple[str, ...]] = {
    "journal/testing": ("engine/testing.py",),
    "engine/testing.py": (),
    "engine/audit": ("api/",),
    "api/cli": ("api/cli/",),
}
"""Rooms that may be imported only from these places, besides from themselves."""
#: What others need who keep files of their own under the data folder.
DISK_NAMES = frozenset(("journal.Disk", "journal.NoSpace", "journal.ObjectDisk", "journal.RealDisk"))
INTERFACE_ROOMS = ("areas", "settings", "blobs")
PARTS = frozenset(("journal", "engine", "forms", "pages", "sessions", "static"))
"""Packages whose face or parent says it."""

CLOCKS = frozenset(
    f"time.{name}{suffix}"
    for name in ("time", "monotonic", "perf_counter", "process_time", "clock_gettime", "localtime", "gmtime")
    for suffix in ("", "_ns")
) | frozenset(("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now"))
CLOCK_FILES = frozenset(("engine/core/clock.py",))

FILE_CALLS = frozenset(("open", "io.open", "click.open_file"))
OS_CALLS = frozenset(
    """access chmod chown close copy_file_range fdatasync fstat fsync ftruncate link listdir lstat makedirs
    mkdir mkfifo open posix_fallocate pread pwrite read remove removedirs rename replace rmdir scandir
    sendfile stat statvfs symlink sync truncate unlink utime walk write""".split()  # noqa: SIM905 - read as a paragraph
)
FILE_METHODS = frozenset(
    """chmod exists glob hardlink_to is_dir is_file iterdir lstat mkdir open read_bytes read_text rglob rmdir
    stat symlink_to touch unlink write_bytes write_text""".split()  # noqa: SIM905 - read as a paragraph
)
DISKS = frozenset(
    """disk _disk source _source target _target folder store _payloads PayloadStore
    Administration sessions _OPENER opener""".split()  # noqa: SIM905 - read as a paragraph
)
"""Receivers of such methods that touch no file: a disk, a store on one, an `open` of ours, a URL."""
FILE_MODULES = frozenset(("shutil", "tempfile", "fcntl", "mmap", "glob"))
#: Who touches files besides the disk, and why that is not the data folder.
FILES_ELSEWHERE = {
    "engine/following/board.py": "shares a page of memory between processes; no file",
    "engine/writing/own_thread.py": "closes an eventfd",
    "api/server/stream.py": "reads and writes sockets; no file",
    "api/config/load.py": "reads the configuration",
    "api/cli/with_nodes.py": "reads the cluster's secret",
    "api/nodes/transport.py": "hands a key to the TLS library, which reads it from a file only",
    "api/config/credentials.py": "reads what a service manager hands over",
    "api/web/journald.py": "compares standard error with what systemd says it is",
    "api/admin/command_line.py": "looks for the command in the search path",
    "api/admin/control_client.py": "opens the data folder to reach its socket by a short name",
    "api/cli/assemble.py": "looks at the key file's mode",
    "api/cli/main.py": "looks for a configuration",
    "api/workers/supervisor.py": "reads how much memory this process occupies (/proc/self/statm)",
    "api/cli/audit/proofs.py": "reads keys, checkpoints and receipts that an auditor names",
    "api/admin/exports.py": "opens members of a zip that is being sent",
    "api/html/documentation.py": "looks which pages the built documentation has",
    "journal/disk/objects.py": "is the disk with a store: its parent's calls",
    "journal/disk/interface.py": "is the disk: its own open",
    "journal/disk/probe.py": "looks at modes and measures syncs for `retain doctor`; keeps nothing",
    "api/server/certificate.py": "reads the TLS certificate",
    "api/web/documentation.py": "reads the built documentation in the package",
    "api/identity/keys.py": "reads the key set an operator named",
}

RANDOM_MODULES = frozenset(("random", "secrets"))
#: Seeded, for tests and for embedding programs' tests.
RANDOM_FILES = frozenset(("journal/testing/memory.py", "journal/testing/sectors.py", "engine/testing.py"))
RANDOM_CALLS = frozenset(("os.urandom", "uuid.uuid1", "uuid.uuid4", "os.getrandom"))


@dataclass(frozen=True, eq=False)
class Module:
    path: Path
    name: str
    tree: ast.Module
    lines: int

    @property
    def package(self) -> str:
        return self.name.partition("/")[0]

    @property
    def dotted(self) -> str:
        """As it is imported."""
        return self.name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@pytest.fixture(autouse=True, scope="module")
def _trees_stay() -> Iterator[None]:
    """Keep the collector from walking the trees of all modules again and again: a third of the time."""
    gc.disable()
    yield
    gc.enable()


def modules(*packages: str) -> tuple[Module, ...]:
    return tuple(module for package in packages for module in _parsed(package))


@cache
def _parsed(package: str) -> tuple[Module, ...]:
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        text = path.read_text()
        name = path.relative_to(ROOT).as_posix()
        found.append(Module(path, name, ast.parse(text, name), len(text.splitlines())))
    return tuple(found)


@cache
def nodes(module: Module) -> tuple[ast.AST, ...]:
    """All nodes of a module's tree, walked once."""
    return tuple(ast.walk(module.tree))


def imported(module: Module) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything a module imports, also inside functions."""
    for node in nodes(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, _ours(alias.name)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.name}:{node.lineno}: relative import"
            yield from ((node.lineno, _ours(f"{node.module}.{alias.name}")) for alias in node.names)


def _ours(name: str) -> str:
    """A module of ours as its folder is called, without the package."""
    return name.removeprefix("retain.")


def calls(module: Module) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every call whose target is a plain dotted name."""
    for node in nodes(module):
        if isinstance(node, ast.Call) and (name := dotted(node.func)):
            yield node.lineno, name


def file_calls(module: Module) -> Iterator[tuple[int, str]]:
    """(line, call) of everything that touches files, whatever expression a method is called on."""
    for node in nodes(module):
        if not isinstance(node, ast.Call):
            continue
        call = dotted(node.func)
        owner, _, name = call.rpartition(".")
        if call in FILE_CALLS or (owner == "os" and name in OS_CALLS):
            yield node.lineno, call
        elif (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in FILE_METHODS
            and _receiver(node.func) not in DISKS
        ):
            yield node.lineno, ast.unparse(node.func)


def _receiver(method: ast.Attribute) -> str:
    """The last name of what a method is called on: `disk` in `self.disk.open`, `Path` in `Path(x).open`."""
    value = method.value.func if isinstance(method.value, ast.Call) else method.value
    return dotted(value).rpartition(".")[2]


def file_findings(module: Module) -> list[str]:
    found = [f"{module.name}:{line} calls {name}" for line, name in file_calls(module)]
    return found + [
        f"{module.name}:{line} imports {name}"
        for line, name in imported(module)
        if name.partition(".")[0] in FILE_MODULES
    ]


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


@pytest.mark.parametrize("package", SHIPPED)
def test_imports_go_in_one_direction(package: str) -> None:
    wrong = [
        f"{module.name}:{line} imports {name}"
        for module in modules(package)
        for line, name in imported(module)
        if (top := name.partition(".")[0]) in OURS and top not in MAY_IMPORT[package]
    ]
    assert wrong == []


def test_modules_of_ours_are_imported_from_the_package() -> None:
    """A folder imported by its own name would be a second copy of every module in it."""
    suspicious = re.compile(rf"\b(import|from)\s.*\b({'|'.join(SHIPPED)})\b")
    wrong = [
        f"{path.name}:{node.lineno}"
        for folder in (*SHIPPED, "bench", "tests")
        for path in (ROOT / folder).rglob("*.py")
        if suspicious.search(text := path.read_text())
        for node in ast.walk(ast.parse(text, path.name))
        for name in _imported_names(node)
        if name.partition(".")[0] in SHIPPED
    ]
    assert wrong == []


def _imported_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def test_modules_do_not_import_one_another_in_circles() -> None:
    """Imports inside functions and for the type checker count: a circle is two modules that are one."""
    names = {module.dotted for module in modules(*SHIPPED)}
    imports = {
        module.dotted: {known for _, name in imported(module) if (known := _module_of(name, names))}
        for module in modules(*SHIPPED)
    }
    assert [name for name in sorted(names) if name in _reached(imports, name)] == []


def _module_of(name: str, names: set[str]) -> str:
    """The module that an imported name is, or comes from; empty if that is none of ours."""
    return name if name in names else name.rpartition(".")[0] if name.rpartition(".")[0] in names else ""


def _reached(imports: Mapping[str, set[str]], start: str) -> set[str]:
    """All that a module imports, directly or not."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = imports[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def test_queries_import_nothing_that_decides_or_applies() -> None:
    names = {module.dotted for module in modules("engine")}
    imports = {
        module.dotted: {known for _, name in imported(module) if (known := _module_of(name, names))}
        for module in modules("engine")
    }
    queries = [name for name in names if name.rpartition(".")[2] in ("queries", "listing")]
    assert len(queries) >= len(INTERFACE_ROOMS)
    wrong = [
        f"{name} imports {found}"
        for name in queries
        for found in _reached(imports, name)
        if found.rpartition(".")[2].startswith(("decide", "apply", "commands"))
    ]
    assert wrong == []


def test_the_journal_and_most_of_the_engine_know_no_trio() -> None:
    wrong = [
        f"{module.name}:{line}"
        for module in modules("journal", "engine")
        for line, name in imported(module)
        if name.partition(".")[0] == "trio" and not module.name.startswith(TRIO_IN_ENGINE)
    ]
    assert wrong == []


def room_of(name: str) -> str:
    """The folder below a package that a file is in; the file itself if there is none."""
    parts = name.split("/")
    return "/".join(parts[:2])


def folder_of(name: str) -> str:
    """The innermost folder that a file is in; the file itself if that is the package."""
    return name.rpartition("/")[0] if name.count("/") > 1 else name


def room_imports(package: str) -> Iterator[tuple[Module, int, Module]]:
    """(module, line, imported module) of everything that a package imports of ours."""
    known = {module.dotted: module for module in modules(*SHIPPED)}
    for module in modules(package):
        for line, name in imported(module):
            if found := _module_of(name, set(known)):
                yield module, line, known[found]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_its_line_allows(room: str) -> None:
    package = room.partition("/")[0]
    assert (ROOT / room).exists()
    wrong = [
        f"{module.name}:{line} imports {target.name}"
        for module, line, target in room_imports(package)
        if room_of(module.name) == room
        and target.package == package
        and target.name != f"{package}/__init__.py"
        and room_of(target.name) not in ROOMS[room] | {room}
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_allows_nothing_that_is_not_there(room: str) -> None:
    assert all((ROOT / allowed).exists() for allowed in ROOMS[room])


@pytest.mark.parametrize("package", SHIPPED)
def test_rooms_do_not_import_one_another_in_circles(package: str) -> None:
    """A package's face may import every room, and its modules beside the rooms count as rooms."""
    imports: dict[str, set[str]] = {room_of(module.name): set() for module in modules(package)}
    for module, _, target in room_imports(package):
        rooms = room_of(module.name), room_of(target.name)
        if target.package == package and rooms[0] != rooms[1] and f"{package}/__init__.py" not in rooms:
            imports[rooms[0]].add(rooms[1])
    assert [room for room in sorted(imports) if room in _reached(imports, room)] == []


@pytest.mark.parametrize("package", SHIPPED)
def test_folders_within_rooms_do_not_import_one_another_in_circles(package: str) -> None:
    """As above, for every folder however deep: a folder and its own subfolder count as two."""
    imports: dict[str, set[str]] = {folder_of(module.name): set() for module in modules(package)}
    for module, _, target in room_imports(package):
        folders = folder_of(module.name), folder_of(target.name)
        if target.package == package and folders[0] != folders[1] and f"{package}/__init__.py" not in folders:
            imports[folders[0]].add(folders[1])
    assert [folder for folder in sorted(imports) if folder in _reached(imports, folder)] == []


def test_every_room_of_the_api_has_a_line() -> None:
    found = {room_of(module.name) for module in modules("api") if module.name.count("/") > 1}
    assert found - {"api/cli"} == {room for room in ROOMS if room.startswith("api/")}


@pytest.mark.parametrize("room", NOBODYS)
def test_some_rooms_are_imported_from_few_places(room: str) -> None:
    wrong = [
        f"{module.name}:{line} imports {target.name}"
        for package in SHIPPED
        for module, line, target in room_imports(package)
        if target.name.startswith(room) and not module.name.startswith((room, *NOBODYS[room]))
    ]
    assert wrong == []


def test_only_the_format_and_the_indexes_compute_checksums_of_the_journal() -> None:
    found = {m.name for m in modules("journal") for _, name in imported(m) if name.startswith("crc32c.")}
    assert {name for name in found if not name.startswith("journal/format/")} == {"journal/lookup/index.py"}


@pytest.mark.parametrize("package", ["engine", "journal"])
def test_every_room_of_the_engine_and_the_journal_has_a_rule(package: str) -> None:
    found = {room_of(module.name) for module in modules(package)} - {f"{package}/__init__.py"}
    assert sorted(found - set(ROOMS) - UNBOUND) == []
    assert sorted(name for name in UNBOUND if not (ROOT / name).exists()) == []


def test_a_domain_is_one_of_the_engines_rooms() -> None:
    """A new domain gets a line above: it would be bound by none of its rules."""
    found = {path.parent.name for path in (ROOT / "engine").glob("*/events.py")}
    assert found == set(DOMAINS)
    assert {f"engine/{domain}" for domain in DOMAINS} <= set(ROOMS)
    assert set(ROOMS) >= INTERFACES


def test_every_room_says_what_it_holds_and_what_it_does_not() -> None:
    rooms = [m for m in modules(*SHIPPED) if m.path.name == "__init__.py" and m.path.parent.name not in PARTS]
    short = [m.name for m in rooms if len((ast.get_docstring(m.tree) or "").splitlines()) < 3]
    assert short == []


def test_only_the_command_line_imports_more_of_the_journal_than_its_disk() -> None:
    wrong = [
        f"{module.name}:{line} imports {name}"
        for module in modules("api")
        for line, name in imported(module)
        if name.partition(".")[0] == "journal"
        and name not in DISK_NAMES
        and not module.name.startswith("api/cli/")
    ]
    assert wrong == []


def test_the_pages_way_through_one_write_and_one_read_is_short() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    section = text.partition("## One write and one read, file by file\n")[2].partition("\n## ")[0]
    files = re.findall(r"^\d+\. `([\w/.]+)`: ", section, re.MULTILINE)
    assert 7 <= len(files) <= 10
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_files_and_folders_named_by_the_architecture_are_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`((?:api|engine|journal|bench|tests)/[\w/.]*)", text))
    assert len(named) > 30
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


@pytest.mark.parametrize("interface", INTERFACE_ROOMS)
def test_interfaces_do_not_import_one_another(interface: str) -> None:
    others = tuple(f"api.{other}" for other in INTERFACE_ROOMS if other != interface)
    own = [m for m in modules("api") if m.name.startswith((f"api/{interface}/", f"api/{interface}.py"))]
    wrong = [
        f"{module.name}:{line} imports {name}"
        for module in own
        for line, name in imported(module)
        if any(name == other or name.startswith(f"{other}.") for other in others)
    ]
    assert wrong == []


def test_only_one_module_reads_a_clock() -> None:
    wrong = [
        f"{module.name}:{line} calls {name}"
        for module in modules(*SHIPPED)
        if module.name not in CLOCK_FILES
        for line, name in calls(module)
        if name in CLOCKS
    ]
    assert wrong == []


def test_only_the_disk_touches_files() -> None:
    wrong = []
    for module in modules(*SHIPPED):
        if module.name != "journal/disk/real.py" and module.name not in FILES_ELSEWHERE:
            wrong += file_findings(module)
    assert wrong == []


@pytest.mark.parametrize("name", ["journal/disk/real.py", *FILES_ELSEWHERE])
def test_every_exception_to_the_file_rule_is_needed(name: str) -> None:
    (module,) = (module for module in modules(*SHIPPED) if module.name == name)
    assert file_findings(module)


@pytest.mark.parametrize(
    "code",
    [
        "open(name)",
        "os.stat(name)",
        "path.open()",
        "Path(name).stat()",
        "(folder / name).read_text()",
        "self.path.parent.exists()",
        "import shutil",
    ],
)
def test_what_touches_files_is_found(code: str) -> None:
    assert file_findings(Module(ROOT / "example.py", "example.py", ast.parse(code), 1))


@pytest.mark.parametrize("code", ["self._disk.open(name)", "disk.unlink(name)", "text.replace('a', 'b')"])
def test_what_asks_the_disk_is_not(code: str) -> None:
    assert not file_findings(Module(ROOT / "example.py", "example.py", ast.parse(code), 1))


def test_random_bytes_are_injected() -> None:
    wrong = []
    for module in (module for module in modules(*SHIPPED) if module.name not in RANDOM_FILES):
        wrong += [
            f"{module.name}:{line} calls {name}" for line, name in calls(module) if name in RANDOM_CALLS
        ]
        wrong += [
            f"{module.name}:{line} imports {name}"
            for line, name in imported(module)
            if name.partition(".")[0] in RANDOM_MODULES
        ]
    assert wrong == []


@pytest.mark.parametrize("package", [*SHIPPED, "bench"])
def test_modules_stay_short(package: str) -> None:
    wrong = [
        f"{module.name} has {module.lines} lines"
        for module in modules(package)
        if module.lines > LONG_MODULES.get(module.name, MODULE_LINES)
    ]
    assert wrong == []


@pytest.mark.parametrize("package", [*SHIPPED, "bench", "tests"])
def test_functions_stay_short(package: str) -> None:
    wrong = []
    for module in modules(package):
        for node in nodes(module):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                name = f"{module.name}:{node.name}"
                if length > LONG_FUNCTIONS.get(name, FUNCTION_LINES):
                    wrong.append(f"{name} has {length} lines")
    assert wrong == []


def test_nothing_is_left_for_later_and_no_error_is_swallowed() -> None:
    later = ("TODO", "FIXME", "XXX", "HACK")
    wrong = []
    for module in modules(*SHIPPED, "bench"):
        text = module.path.read_text()
        wrong += [f"{module.name}: {word}" for word in later if word in text]
        wrong += [
            f"{module.name}:{node.lineno} swallows every error"
            for node in nodes(module)
            if isinstance(node, ast.ExceptHandler)
            and (node.type is None or dotted(node.type) in ("Exception", "BaseException"))
            and all(isinstance(statement, ast.Pass) for statement in node.body)
        ]
    assert wrong == []


def test_no_module_is_called_after_nothing() -> None:
    empty = ("utils", "util", "helpers", "common", "misc", "tools")
    assert [module.name for module in modules(*SHIPPED, "bench") if module.path.stem in empty] == []


def test_every_module_says_what_it_is_for() -> None:
    assert [module.name for module in modules(*SHIPPED, "bench") if not ast.get_docstring(module.tree)] == []


def test_no_file_names_a_place_of_its_makers_machine() -> None:
    places = ("/" + "work/", "/" + "root/")
    wrong = [
        f"{path.relative_to(ROOT)}: {place}"
        for pattern in ("*.py", "*.md", "Makefile", "*.toml", "*.html")
        for folder in (*FOLDERS, "docs", "deploy")
        for path in [*(ROOT / folder).rglob(pattern), *ROOT.glob(pattern)]
        for place in places
        if place in path.read_text()
    ]
    assert sorted(set(wrong)) == []
