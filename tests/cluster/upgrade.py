"""A rolling upgrade from an older commit, under load: `python -m tests.cluster.upgrade COMMIT`.

Three nodes run the older commit's code. The followers are upgraded one after the other, then the leader,
while clients write and read at all nodes. Printed are the changes that were refused meanwhile, and why. Exit
code 1 if a history is not linearizable, a node does not end or start, or the folders differ.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from retain.engine.audit.verify import verification
from retain.journal import RealDisk
from tests.kit import postgres
from tests.kit.linear import why_not
from tests.kit.server import ROOT, Server, start
from tests.test_nodes import (
    CONFIG,
    FORM,
    STORAGE,
    Site,
    Writer,
    create,
    ended,
    eventually,
    folder_of,
    is_ready,
    show,
    update,
)

NAMES = ("n1", "n2", "n3")
KEYS = 2
WRITES = 20
"""Acknowledged writes of each key between two steps."""


def checkout(commit: str, folder: Path) -> Path:
    """Write a commit's files to a folder."""
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder


@dataclass
class Mixed(Site):
    """A cluster whose nodes run the code of one of two folders."""

    code: dict[str, Path] = field(default_factory=dict)

    def start(self, name: str) -> Server:
        return start(
            self.root / name, CONFIG, environ=self.environ(name), prefix=("env", "-C", str(self.code[name]))
        )

    def begin(self, name: str) -> None:
        folder = self.root / name
        folder.mkdir()
        (folder / "retain.toml").write_text(CONFIG)
        subprocess.run(
            [sys.executable, "-m", "retain", "node", "init", "--config", folder / "retain.toml"],
            env={**os.environ, **self.environ(name), "RETAIN_STORAGE_DATA": str(folder / "data")},
            cwd=self.code[name],
            check=True,
        )


class AtAny(Writer):
    """Writes and reads at the nodes as they are at each moment."""

    def __init__(self, nodes: dict[str, Server], name: str) -> None:
        super().__init__((), name)
        self._nodes = nodes

    def run(self) -> None:
        number = 0
        while not self.stopped.is_set():
            for server in list(self._nodes.values()):
                number += 1
                self._write(server, str(number))
                self._read(server)


def upgrade(site: Mixed, nodes: dict[str, Server], name: str, writers: list[AtAny]) -> None:
    """Stop a node, start it again with this checkout's code, and wait until clients have gone on."""
    refused = _refused(writers)
    begin = time.monotonic()
    code = nodes[name].stop()
    assert code == 0, f"{name} ended with {code}:\n{nodes[name].log()[-4000:]}"
    ended(nodes[name])
    site.code[name] = ROOT
    nodes[name] = site.start(name)
    eventually(partial(is_ready, nodes[name]))
    seconds = time.monotonic() - begin
    before = [writer.acknowledged() for writer in writers]
    eventually(
        lambda: all(one.acknowledged() >= was + WRITES for one, was in zip(writers, before, strict=True))
    )
    print(
        f"{name} upgraded in {seconds:.1f} s; changes refused or unknown since: {_refused(writers) - refused}"
    )


def _refused(writers: list[AtAny]) -> int:
    return sum(one.end == float("inf") for writer in writers for one in list(writer.history))


def tell(nodes: dict[str, Server], name: str) -> None:
    """Print what each node answers to a change, and hold a read against it."""
    for node, server in nodes.items():
        status, body = server.ask("POST", f"{STORAGE}/{name}/3600", b"other=1", FORM)
        words = "" if status < 400 else f": {json.loads(body)['message']}"
        print(f"  a change at {node} is answered {status}{words}")
        assert show(server, name)["k"], "a read fails"


def run(commit: str, root: Path, log: str) -> list[str]:
    """Upgrade three nodes; return what is wrong."""
    (root / "secret").write_bytes(os.urandom(32).hex().encode())
    (root / "secret").chmod(0o600)
    old = checkout(commit, root / "old")
    site = Mixed(root, log, code=dict.fromkeys(NAMES, old))
    site.begin(NAMES[0])
    nodes: dict[str, Server] = {}
    with ExitStack() as stack:
        stack.callback(lambda: [ended(one) for one in nodes.values()])
        for name in NAMES:
            nodes[name] = site.start(name)
            eventually(partial(is_ready, nodes[name]))
        probe = create(nodes["n1"], k="0")
        writers = [AtAny(nodes, create(nodes["n1"], k="0")) for _ in range(KEYS)]
        for writer in writers:
            writer.start()
        for name in ("n2", "n3", "n1"):
            upgrade(site, nodes, name, writers)
            tell(nodes, probe)
        for writer in writers:
            writer.stopped.set()
            writer.join(60)
        for server in nodes.values():
            assert update(server, probe, k="1") in (200, 204)
        found = [why for writer in writers if (why := why_not(writer.history, "0")) is not None]
        for server in nodes.values():
            if code := server.stop():
                found.append(f"a node ended with {code}:\n{server.log()[-4000:]}")
        one, *others = nodes.values()
        found += [str(finding) for finding in verification(RealDisk(one.data)).journal.findings]
        if any(folder_of(other) != folder_of(one) for other in others):
            found.append("the folders differ")
    print(f"writes acknowledged: {sum(writer.acknowledged() for writer in writers)}")
    return found


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("commit", help="the older code")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="retain-upgrade-") as folder, postgres.running() as servers:
        found = run(given.commit, Path(folder), servers.server().url)
    for one in found:
        print(f"WRONG: {one}", file=sys.stderr)
    print("wrong" if found else "nothing lost, all histories linearizable, folders alike")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
