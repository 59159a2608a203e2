"""What is installed: one package, `retain`, with its types; and the source archive, which is whole.

The wheel is built from the source archive as an installer would, and installed into an environment that holds
nothing but the dependencies it names.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import urllib.request
import venv
import zipfile
from email.parser import Parser
from hashlib import sha256
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.kit.manual import builder
from tests.kit.server import ROOT

pytestmark = pytest.mark.slow

FOLDERS = ("examples", "api", "bench", "deploy", "docs", "engine", "journal", "tests")
PARTS = ("api", "bench", "engine", "journal")
LEFT_OUT = {".venv", "__pycache__", "node_modules", "results", ".hypothesis"}

PROGRAM = """
import trio

from api import greeting
from retain import EngineError, open_engine
from retain.engine.areas import CreateArea, queries


async def main() -> None:
    async with open_engine("data") as engine:
        area: str = await engine.submit(
            CreateArea(
                actor="import", name="letter", resource=engine.entropy(16), values={"Key": greeting()}, ttl=60
            )
        )
        print(await engine.read(lambda state, now: queries.listing(state.areas, area, None, now)))
        try:
            await engine.read(lambda state, now: queries.listing(state.areas, "another", None, now))
        except EngineError as error:
            print(error.code)


trio.run(main)
"""


BUILT = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
"""As packagers build: with a time that does not depend on when they do (reproducible-builds.org)."""


def run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=BUILT, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive."""
    folder = tmp_path_factory.mktemp("archive")
    run(sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", folder, folder=ROOT)
    (found,) = folder.glob("retain-*.tar.gz")
    return found


@pytest.fixture(scope="module")
def wheel(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the unpacked source archive."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder, folder=source)
    (found,) = folder.glob("retain-*.whl")
    return found


def test_two_builds_are_equal_byte_for_byte(archive: Path, wheel: Path, tmp_path: Path) -> None:
    """From files with other times, in another folder, at another moment."""
    run(sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", tmp_path, folder=ROOT)
    (again,) = tmp_path.glob("retain-*.tar.gz")
    assert sha256(again.read_bytes()).hexdigest() == sha256(archive.read_bytes()).hexdigest()
    with tarfile.open(again) as file:
        file.extractall(tmp_path, filter="data")
    (source,) = (path for path in tmp_path.iterdir() if path.is_dir())
    for path in source.rglob("*"):
        os.utime(path, (1_800_000_000, 1_800_000_000))
    run(
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        "wheel",
        "--directory",
        tmp_path,
        folder=source,
    )
    (other,) = tmp_path.glob("retain-*.whl")
    assert sha256(other.read_bytes()).hexdigest() == sha256(wheel.read_bytes()).hexdigest()


@pytest.mark.parametrize("tool", ["uv", "pipx"])
def test_it_is_installed_as_a_tool_and_serves_in_an_empty_folder(
    tool: str, wheel: Path, tmp_path: Path
) -> None:
    """As the installation page says: `uv tool install` or `pipx install`, then `retain serve`."""
    program = shutil.which(tool, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.skip(f"{tool} is not installed")
    places = {
        "UV_TOOL_DIR": str(tmp_path / "tools"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"),
        "PIPX_HOME": str(tmp_path / "tools"),
        "PIPX_BIN_DIR": str(tmp_path / "bin"),
        "PIPX_MAN_DIR": str(tmp_path / "man"),
    }
    command = [program, *(["tool"] if tool == "uv" else []), "install", "--python", sys.executable]
    installed = subprocess.run(
        [*command, wheel],
        env={**os.environ, **places},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    if installed.returncode != 0 and re.search("(?i)failed to fetch|network|connect", installed.stderr):
        pytest.skip(f"{tool} reaches no package index")
    assert installed.returncode == 0, installed.stderr
    folder = tmp_path / "empty"
    folder.mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RETAIN_")}
    process = subprocess.Popen(
        [tmp_path / "bin" / "retain", "serve", "--bind", "127.0.0.1:0"],
        cwd=folder,
        env={**environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = next(
            match for line in process.stdout if (match := re.search(r"listens on (http://\S+)", line))
        )
        with urllib.request.urlopen(f"{found[1]}/readyz", timeout=60) as answer:
            assert answer.read() == b"ok\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()
    assert [path.name for path in folder.iterdir()] == ["retain-data"]


def needed(name: str, found: set[str]) -> set[str]:
    """The distributions that `name` needs, without extras, added to `found`."""
    for text in distribution(name).requires or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if requirement.name not in found:
            found.add(requirement.name)
            needed(requirement.name, found)
        for extra in requirement.extras:
            for more in map(Requirement, distribution(requirement.name).requires or []):
                if more.marker is not None and more.marker.evaluate({"extra": extra}):
                    found.add(more.name)
    return found


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel and its dependencies, which are linked from ours."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as file:
        metadata = Parser().parsestr(
            file.read(f"{'-'.join(wheel.stem.split('-')[:2])}.dist-info/METADATA").decode()
        )
        file.extractall(site)
    names: set[str] = set()
    for text in metadata.get_all("Requires-Dist", []):
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            names |= needed(requirement.name, {requirement.name})
    for name in names:
        for top in {path.parts[0] for path in distribution(name).files or [] if path.parts[0] != ".."}:
            target = site / top
            if top != "__pycache__" and not target.exists():
                target.symlink_to(Path(str(distribution(name).locate_file(top))))
    return folder / "bin" / "python"


def test_the_archive_is_whole(archive: Path) -> None:
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    files += [ROOT / name for name in ("Makefile", "README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml")]
    files += [ROOT / ".ci" / "run", ROOT / "retain" / "__init__.py", ROOT / "retain" / "py.typed"]
    wanted = {path.relative_to(ROOT).as_posix() for path in files if not LEFT_OUT & set(path.parts)}
    assert len(wanted) > 500
    assert wanted - names == set()
    assert not {name for name in names if name.startswith(tuple(f"retain/{part}/" for part in PARTS))}


def test_the_wheel_and_the_archive_hold_the_documentation(wheel: Path, archive: Path) -> None:
    if missing := builder().missing():
        pytest.skip(f"not installed, so packed without it: {', '.join(missing)}")
    wanted = {
        f"retain/site/{name}" for name in ("index.html", "areas/index.html", "search/search_index.json")
    }
    wanted |= {f"retain/site/api/{name}" for name in ("index.html", "viewer.js", "swagger-ui-bundle.js")}
    with zipfile.ZipFile(wheel) as file:
        assert wanted <= set(file.namelist())
    with tarfile.open(archive) as file:
        assert wanted <= {name.partition("/")[2] for name in file.getnames()}


def test_the_wheel_holds_one_package_and_all_of_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"retain"}
    wanted = {
        f"retain/{path.relative_to(ROOT).as_posix()}"
        for part in PARTS
        for path in (ROOT / part).rglob("*")
        if path.is_file() and not LEFT_OUT & set(path.parts)
    }
    assert wanted <= names
    assert {"retain/__init__.py", "retain/__main__.py", "retain/py.typed"} <= names


def test_the_metadata_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(file.read(name).decode())
    assert metadata["Name"] == "retain"
    assert metadata["Author"] == "Retain maintainers"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert {"bench", "crc64", "dev"} <= set(metadata.get_all("Provides-Extra", []))
    assert any(
        "kinto" in text and "extra == 'bench'" in text for text in metadata.get_all("Requires-Dist", [])
    )


def test_a_program_with_an_api_package_of_its_own_embeds_it(bare: Path, tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "__init__.py").write_text('def greeting() -> str:\n    return "hello"\n')
    (tmp_path / "program.py").write_text(PROGRAM)
    assert run(bare, "program.py", folder=tmp_path).splitlines() == ["[('Key', 'hello')]", "not-found"]
    checked = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", ".mypy", "--python-executable", bare]
    run(*checked, "program.py", folder=tmp_path)

    (tmp_path / "wrong.py").write_text(PROGRAM.replace("area: str", "area: int"))
    done = subprocess.run(
        [*checked, "wrong.py"], cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 1
    assert 'has incompatible type "CreateArea"' in done.stdout


def test_the_readmes_example_runs(bare: Path, tmp_path: Path) -> None:
    embed = (ROOT / "README.md").read_text().partition("\n## Embed it\n")[2]
    (code,) = re.findall(r"```python\n(.*?)```", embed.partition("\n## ")[0], re.DOTALL)
    (tmp_path / "example.py").write_text(code)
    assert run(bare, "example.py", folder=tmp_path) == "[('Key1', 'Value1')]\n"


def test_the_command_line_is_installed(bare: Path, tmp_path: Path) -> None:
    assert "serve" in run(bare, "-m", "retain", "--help", folder=tmp_path)
    listed = run(
        bare,
        "-c",
        "import json, pkgutil; print(json.dumps([m.name for m in pkgutil.iter_modules()]))",
        folder=tmp_path,
    )
    assert not {"api", "engine", "journal", "bench"} & set(json.loads(listed))
