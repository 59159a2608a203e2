"""What exists is documented, and what is documented works."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import pytest

from retain.api import openapi
from retain.api.admin.actions import Administration
from retain.api.areas.routes import targets_of
from retain.api.blobs.request.operations import ACCOUNT, BLOB, CONTAINER
from retain.api.blobs.sas.permissions import Operation
from retain.api.cli.assemble import assembled
from retain.api.cli.main import main
from retain.api.config.document import page
from retain.api.config.fields import keys_of
from retain.api.config.load import SECTIONS, TABLES, Config
from retain.api.server.app import App
from retain.api.settings.address import RUNTIME, Address, Me, parse
from retain.engine.settings import Level
from retain.engine.testing import open_memory_engine
from tests.kit.passwords import cheap_hash
from tests.kit.server import ROOT, Server

OPERATING = (ROOT / "docs" / "operating.md").read_text()
OF_LINUX = {"tcp_mem"}


def test_the_configuration_page_is_the_one_the_fields_give() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == page(), "make fix writes it"


def test_every_configuration_key_is_documented() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    for name, section in [*SECTIONS.items(), *TABLES.items()]:
        assert f"[{name}]" in text
        for key in keys_of(section):
            assert f"| `{key.name}` |" in text


def commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def test_every_command_is_documented_and_helps() -> None:
    documented = "\n".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))
    for path, command in commands(main):
        assert f"retain {' '.join(path)}" in documented, path
        assert command.help, path
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert parameter.help, (path, parameter.name)


@asynccontextmanager
async def assembled_app() -> AsyncIterator[App]:
    """The application as `retain serve` composes it."""
    async with open_memory_engine() as engine:
        administration = await Administration.open(engine, Config())
        yield assembled(engine, Config(), administration)


async def test_every_route_of_the_pages_is_documented() -> None:
    documented = "\n".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))
    async with assembled_app() as app:
        rules = [rule.rule for rule in (await app.pages()).url_map.iter_rules()]
    assert {"/healthz", "/readyz", "/metrics", "/console/api/tokens"} <= set(rules)
    for rule in rules:
        path, parameter, _ = rule.partition("<")
        assert re.search(rf"`(?:[A-Z]+ )?{re.escape(path)}{'' if parameter else '[`?]'}", documented), rule


async def test_every_route_for_programs_is_described_in_openapi() -> None:
    described = openapi.document_of("console", "http://127.0.0.1:8080")["paths"]
    async with assembled_app() as app:
        rules = {
            (rule.rule, method)
            for rule in (await app.pages()).url_map.iter_rules()
            for method in rule.methods or ()
            if not rule.rule.startswith("/console") or rule.rule.startswith("/console/api/")
        }
    found = {(path, method.upper()) for path, methods in described.items() for method in methods}
    assert {(path, method) for path, method in rules if method != "OPTIONS"} == found


def shape(parts: list[str]) -> str:
    """A path of areas as its documentation writes it, with every name in braces as one."""
    return "/" + "/".join(part if part in ("custom", "binary") else "{}" for part in parts)


def test_every_route_of_areas_is_documented() -> None:
    page = (ROOT / "docs" / "areas.md").read_text()
    table = page.partition("| request | does | answers |")[2].partition("\n\n")[0]
    documented: set[tuple[str, str]] = set()
    for methods, path in re.findall(r"`([A-Z]+(?:`, `[A-Z]+)*) (/[^`]*)`", table):
        path = re.sub(r"\{\w+\}", "{}", path)
        documented |= {(method, path) for method in re.findall("[A-Z]+", methods)}
    offered: set[tuple[str, str]] = set()
    for words, fewest in ([], 0), (["custom"], 1), (["binary"], 2), (["binary", "custom"], 2):
        for names in range(fewest, 4):
            parts = [*words, *["name"] * names]
            offered |= {(method, shape(parts)) for method in targets_of(parts)}
    assert len(offered) >= 10
    assert offered - documented == set()
    for method, path in documented:
        parts = [part.strip("{}") or "name" for part in path.strip("/").split("/")]
        assert method in targets_of(parts), (method, path)


def test_every_form_of_a_settings_address_is_documented() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    prefixes, tails = page.partition("| prefix | then |")[2].split("| tail | means |")
    tails = tails.partition("\n\n")[0]
    found = [path.replace("{app}", "app") for path in re.findall(r"^\| `([^`]*)`", prefixes, re.MULTILINE)]
    assert len(found) == 3
    levels = set()
    for prefix in [*found, ""]:
        for tail in re.findall(r"^\| `([^`[]*)", tails, re.MULTILINE):
            path = f"{prefix}/{'/'.join(RUNTIME)}/app{tail}".replace("{name}", "ann").replace(
                "{deviceId}", "phone"
            )
            address = parse(path.split("/"), "hcpms", 255)
            assert isinstance(address, Address), path
            levels.add(address.level)
    assert levels == set(Level)
    me = re.search(r"`GET (/mobileservices/\S+/v2/Me)`", page)
    assert me is not None
    assert parse(me[1].replace("{app}", "app").split("/"), "hcpms", 255) == Me("app")


def test_every_operation_on_blobs_is_documented() -> None:
    page = (ROOT / "docs" / "wire" / "blobs.md").read_text()
    table = page.partition("\n## 5. ")[2].partition("\n### 5.1 ")[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|", table, re.MULTILINE)
    documented = {name for names, _ in rows for name in spelled_out(names)}
    requests = " ".join(request for _, request in rows)
    assert {operation.value for operation in Operation} - {
        f"{name} (break)" for name in documented
    } <= documented
    for rows_of_level in (ACCOUNT, CONTAINER, BLOB):
        for restype, comp, method in rows_of_level:
            assert method in requests
            assert not restype or f"restype={restype}" in requests
            assert not comp or f"comp={comp}" in requests, comp


def spelled_out(names: str) -> list[str]:
    """The operations of a row: `Get, Set Blob Tags` are two, and so are `Lease Blob, Lease Container`."""
    parts = names.strip().split(", ")
    last = parts[-1].split()
    return [part if " " in part else " ".join([part, *last[1:]]) for part in parts]


async def test_every_metric_is_documented() -> None:
    async with open_memory_engine() as engine:
        app = App(engine, Config(), [])
        app.counters.watch(engine, lambda: 0)
        metrics = list(app.counters.registry.collect())
    assert metrics
    for metric in metrics:
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        assert f"`{name}`" in OPERATING, name


def test_every_exit_code_is_documented() -> None:
    """In one table, and no other there."""
    from retain.api.cli import exits

    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    table = OPERATING.partition("Exit codes of every command:")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == codes


def pages() -> list[Path]:
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "journal").glob("*.md")]
    return sorted([*found, *(ROOT / "bench").glob("*.md"), *(ROOT / "examples").glob("*.md")])


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_of_the_code_that_pages_name_are_there(path: Path) -> None:
    for name in re.findall(r"`((?:api|engine|journal|tests)/[\w/]+(?:\.\w+|/))`", path.read_text()):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize(
    "page",
    [
        "CONTRIBUTING.md",
        "docs/architecture.md",
        "docs/cluster/how-it-works.md",
        "docs/cluster/installing.md",
        "docs/cluster/operating.md",
        "docs/cluster/promises.md",
        "docs/decisions.md",
    ],
)
def test_names_of_the_code_that_pages_name_are_there(page: str) -> None:
    """`parse_range_header` stayed in docs/decisions.md after the code had ceased to use it."""
    known = {name for path in sources() for name in re.findall(r"\w+", path.read_text())} | OF_LINUX
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL)
    named = re.findall(r"`(?:\w+\.)*(\w+_\w+|[A-Z][a-z]+[A-Z]\w+)(?:\(\))?`", text)
    assert [name for name in named if name not in known] == []


def sources() -> list[Path]:
    """Everything that a name of the code can be in."""
    return [
        *(
            path
            for top in ("api", "bench", "deploy", "engine", "journal")
            for path in (ROOT / top).rglob("*.py")
        ),
        *(path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)),
        ROOT / "pyproject.toml",
    ]


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    folder = ROOT / "docs"
    for path in folder.rglob("*.md"):
        name = path.relative_to(folder).as_posix()
        assert name == "README.md" or f"]({name})" in index, name


def test_the_order_of_the_site_names_every_page() -> None:
    order = (ROOT / "docs" / "site" / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    named = re.findall(r": (\S+\.md)$", order, re.MULTILINE)
    assert len(named) == len(set(named))
    folder = ROOT / "docs"
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")}
    assert found == {name for name in named if not name.startswith("beside/")}


def sessions() -> Iterator[list[tuple[str, str]] | str]:
    """The README's blocks in order: of a console, commands each with the output shown under it; of Python,
    the code. The example of embedding is run by tests/package."""
    text, _, _ = (ROOT / "README.md").read_text().partition("\n## Embed it\n")
    found = re.findall(r"```(console|python)\n(.*?)```", text, re.DOTALL)
    for kind, block in found:
        if kind == "python":
            yield block
            continue
        steps: list[tuple[str, str]] = []
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], ""))
            else:
                steps[-1] = (steps[-1][0], f"{steps[-1][1]}\n{line}".removeprefix("\n"))
        yield steps


def matches(shown: str, got: str) -> bool:
    """Whether `got` is what was `shown`, with any id for an id; … is the rest of a word."""
    identity = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    pattern = re.escape(shown)
    pattern = re.sub(r"[0-9a-f]{8}\\-(?:[0-9a-f\\-]{28,40}|…)", lambda _: identity, pattern)
    return re.fullmatch(pattern.replace("…", r"\S*"), got) is not None


class Session:
    """A shell that has read the README: its variables, its folder, and what its commands printed."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.environ = {**os.environ, "RETAIN_STORAGE_DATA": str(server.data)}
        self.tokens: list[str] = []

    def run(self, command: str) -> str:
        """What it prints, with the documented address for ours."""
        line = command.replace("http://127.0.0.1:8080", self.server.url)
        if assigned := re.fullmatch(r"([A-Z]+)=(.*)", line):
            self._assign(assigned[1], assigned[2])
            return ""
        if line.startswith(".venv/bin/retain "):
            config = shlex.quote(str(self.server.folder / "retain.toml"))
            line = line.replace(".venv/bin/retain", f"{sys.executable} -m retain", 1) + f" --config {config}"
        # curl's own configuration and progress are the user's business, not the session's.
        line = re.sub(r"^curl ", "curl -qsSf ", line)
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        got = done.stdout.replace(self.server.url, "http://127.0.0.1:8080").rstrip("\n")
        assert done.returncode == 0, (command, done.stderr)
        if found := re.search(r'"id":"([0-9a-f-]{36})"', got):
            self.environ["ID"] = found[1]
        self.tokens += re.findall(r"\?(sv=\S+)", got)
        return got

    def _assign(self, name: str, value: str) -> None:
        if name != "ID":
            value = self.tokens.pop(0) if value == "'sv=…'" else value.strip('"')
            self.environ[name] = value

    def python(self, code: str) -> None:
        """A Python block, with the connection string that the tenant was given."""
        keys = json.loads(self.run(".venv/bin/retain tenant show mytenant --keys --json"))["keys"]
        code = code.replace("BlobEndpoint=…", f"BlobEndpoint={self.server.url}/mytenant")
        code = code.replace("AccountKey=…", f"AccountKey={keys[0]}").replace(
            '"LICENSE"', repr(str(ROOT / "LICENSE"))
        )
        exec(compile(code, "README.md", "exec"), {})


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_readmes_sessions_run_as_shown(launch: Callable[..., Server], tmp_path: Path) -> None:
    users = f"[[users]]\nname = 'operator'\npassword = '{cheap_hash('secret')}'\n"
    shutil.copy(ROOT / "LICENSE", tmp_path)
    session = Session(launch(users), tmp_path)
    blocks = list(sessions())
    assert sum(len(steps) for steps in blocks if not isinstance(steps, str)) >= 22
    for steps in blocks:
        if isinstance(steps, str):
            session.python(steps)
            continue
        for command, shown in steps:
            got = session.run(command)
            assert matches(shown, got), (command, shown, got)
    for copy in ("LICENSE.copy", "call.mp3"):
        assert (tmp_path / copy).read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_make_alone_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = re.search(r"\.PHONY: (.*)", text)
    assert targets is not None
    for target in targets[1].split():
        assert re.search(rf"(?m)^{target}:.* ## \S", text), target
    if shutil.which("make"):
        listed = subprocess.run(
            ["make"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
        ).stdout
        assert all(f"make {target}" in listed for target in targets[1].split())
