"""The sessions and snippets of a page, run as they stand there.

A block `console` has commands after `$ `, each with what it prints; a block `python` is a program. In what
is shown, `…` stands for a part of a line, and a line of it alone for any lines. A page's steps run in order,
in one folder, with the variables that earlier steps set.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.kit.server import Server

SHOWN = "http://127.0.0.1:8080"
"""The server's address in the pages."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line it begins at."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Step:
    """A command with what it prints, or a program."""

    command: str
    shown: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    found: list[Block] = []
    start, language, indent, lines = 0, "", 0, list[str]()
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = re.fullmatch(r"(\s*)```(\S*)", line)
        if fence and not start:
            start, language, indent, lines = number, fence[2], len(fence[1]), []
        elif fence:
            found.append(Block(language, "\n".join(lines) + "\n", start))
            start = 0
        else:
            lines.append(line[indent:])
    return found


def steps(page: Path) -> list[Step]:
    """What a page's blocks `console` and `python` do, in order."""
    made: list[Step] = []
    for block in blocks(page):
        if block.language == "python":
            made.append(Step(f"python3 - <<'END'\n{block.text}END", "…", block.line))
        if block.language != "console":
            continue
        for number, line in enumerate(block.text.splitlines(), block.line + 1):
            if line.startswith("$ "):
                made.append(Step(line[2:], "", number))
            elif line.startswith("> "):
                made[-1] = Step(f"{made[-1].command}\n{line[2:]}", "", made[-1].line)
            else:
                made[-1] = Step(made[-1].command, f"{made[-1].shown}{line}\n", made[-1].line)
    return made


def matches(shown: str, got: str) -> bool:
    """Whether a command printed what is shown. Blanks count as one."""
    parts = []
    for line in shown.strip("\n").splitlines():
        if line.strip() == "…":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            words = " ".join(line.split())
            parts.append(re.escape(words).replace("…", r"[^\n]*") + "\n")
    text = "".join(f"{' '.join(line.split())}\n" for line in got.strip("\n").splitlines())
    return re.fullmatch("".join(parts), text) is not None


@dataclass
class Session:
    """A reader at work: a shell's variables, a folder, and the server."""

    server: Server
    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # curl's own configuration and its progress are the reader's business.
        bin_folder = self.folder.parent / "bin"
        bin_folder.mkdir(exist_ok=True)
        if real := shutil.which("curl"):
            wrapper = bin_folder / "curl"
            wrapper.write_text(f'#!/bin/sh\nexec {real} -qsS "$@"\n')
            wrapper.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RETAIN_")}
        self.environ = {
            **kept,
            "PATH": f"{bin_folder}:{Path(sys.executable).parent}:{kept['PATH']}",
            "HOME": str(self.folder),
            "RETAIN_CONFIG": str(self.server.folder / "retain.toml"),
            "RETAIN_STORAGE_DATA": str(self.server.data),
            **self.environ,
        }

    def run(self, command: str) -> str:
        """What a command prints, errors included, and how it failed; with the page's address for ours."""
        line = command.replace(SHOWN, self.server.url).replace(
            "127.0.0.1:8080", self.server.url.split("//")[1]
        )
        assigned = re.fullmatch(r"([A-Z][A-Z0-9_]*)=(.*)", line, re.DOTALL)
        if assigned:
            line = f"printf %s {assigned[2]}"
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
            check=False,
        )
        if assigned:
            assert done.returncode == 0, (command, done.stdout)
            self.environ[assigned[1]] = done.stdout
            return ""
        got = done.stdout.replace(self.server.url, SHOWN)
        return got if done.returncode == 0 else f"{got.rstrip()}\n[exit code {done.returncode}]\n"
