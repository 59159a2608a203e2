"""What exists is documented, and what is documented works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from api.app import App
from api.cli import main
from api.config import SECTIONS, TABLES, Config
from api.config_document import page
from api.config_fields import keys_of
from api.identity import hash_password
from engine.testing import open_memory_engine
from tests.kit.server import ROOT, Server

OPERATING = (ROOT / "docs" / "operating.md").read_text()


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
    documented = "\n".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    for path, command in commands(main):
        assert f"retain {' '.join(path)}" in documented, path
        assert command.help, path
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert parameter.help, (path, parameter.name)


async def test_every_route_is_documented() -> None:
    async with open_memory_engine() as engine:
        app = App(engine, Config(), [])
        rules = [rule.rule for rule in app.quart.url_map.iter_rules()]
    assert {"/healthz", "/readyz", "/metrics"} <= set(rules)
    for rule in rules:
        assert f"`{rule.split('<')[0]}" in OPERATING, rule


async def test_every_metric_is_documented() -> None:
    async with open_memory_engine() as engine:
        app = App(engine, Config(), [])
        app.counters.watch(engine, lambda: 0)
        for metric in app.counters.registry.collect():
            assert f"`{metric.name}" in OPERATING, metric.name


def test_every_exit_code_is_documented() -> None:
    from api import cli

    codes = {getattr(cli, name) for name in ("DONE", "FAILED", "WRONG", "IN_USE", "DAMAGED")}
    sentence = re.search(r"Exit codes: ([^\n]+\n?[^\n]*)", OPERATING)
    assert sentence is not None
    assert {int(digit) for digit in re.findall(r"\b(\d) ", sentence[1])} == codes


def pages() -> list[Path]:
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "journal").glob("*.md")]
    return sorted([*found, *(ROOT / "bench").glob("*.md")])


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for path in (ROOT / "docs").glob("*.md"):
        assert path.name == "README.md" or f"]({path.name})" in index, path.name


def sessions() -> list[list[tuple[str, str]]]:
    """The README's console blocks: commands, each with the output shown under it."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL):
        steps: list[tuple[str, str]] = []
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], ""))
            else:
                steps[-1] = (steps[-1][0], steps[-1][1] + line)
        found.append(steps)
    return found


def matches(shown: str, got: str) -> bool:
    """Whether `got` is what was `shown`, with any id for an id; … stands for the rest of one."""
    identity = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    pattern = re.escape(shown)
    pattern = re.sub(r"[0-9a-f]{8}\\-(?:[0-9a-f\\-]{28,40}|…)", lambda _: identity, pattern)
    return re.fullmatch(pattern, got) is not None


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_readmes_sessions_run_as_shown(launch: Callable[..., Server], tmp_path: Path) -> None:
    users = f"[[users]]\nname = 'operator'\npassword = '{hash_password('secret')}'\n"
    server = launch(users)
    shutil.copy(ROOT / "LICENSE", tmp_path)
    environ = dict(os.environ)
    steps = [step for session in sessions() for step in session]
    assert len(steps) >= 12
    for command, shown in steps:
        line = command.replace("http://127.0.0.1:8080", server.url)
        if assigned := re.fullmatch(r"(APP)=(\S+)", line):
            environ[assigned[1]] = assigned[2]
        if not line.startswith("curl "):
            continue
        result = subprocess.run(
            # curl's own configuration and progress are the user's business, not the session's.
            ["/bin/sh", "-c", line.replace("curl ", "curl -qsSf ", 1)],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        got = result.stdout.replace(server.url, "http://127.0.0.1:8080")
        assert result.returncode == 0, (command, result.stderr)
        assert matches(shown, got), (command, shown, got)
        if found := re.search(r'"id":"([0-9a-f-]{36})"', got):
            environ["ID"] = found[1]
    assert (tmp_path / "LICENSE.copy").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_make_alone_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = re.search(r"\.PHONY: (.*)", text)
    assert targets is not None
    for target in targets[1].split():
        assert re.search(rf"(?m)^{target}:.* ## \S", text), target
    if shutil.which("make"):
        listed = subprocess.run(
            ["make"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
        ).stdout
        assert all(f"make {target}" in listed for target in targets[1].split())
