"""Three nodes on three PostgreSQL servers, all on this machine, for trying: `make cluster`.

It begins a cluster in a folder, or continues the one that is there. It prints which processes you can kill
and what you will then see, and restarts what ended. It does what docs/cluster/installing.md describes, with
the same commands; but nothing here survives the loss of the machine.
"""

from __future__ import annotations

import argparse
import fcntl
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from databases import Database, Refused, check, claimed, follow, promote, start_all

RETAIN = [sys.executable, "-P", "-m", "retain"]
AGAIN_S = 15.0
"""Seconds after which a killed process is restarted: time to look at what happened."""
LOOK_S = 0.5
STEPPED_DOWN = 75
"""A node's exit code that asks for another start at once."""
NODE = """\
[server]
bind = "127.0.0.1:{port}"

[storage]
data = "data"
payloads = "{payloads}"

[cluster]
log = "postgresql:///retain?user=retain&host={hosts}&target_session_attrs=read-write"
name = "{name}"
link = "127.0.0.1:{link}"
secret_file = "{secret}"

[log]
format = "text"
"""


def say(text: str) -> None:
    """Print a line with the time of day."""
    print(f"{datetime.now().astimezone():%H:%M:%S}  {text}", flush=True)


class Node:
    """One node: `retain serve`, with its configuration in its folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.name, self.folder, self.port = folder.name, folder, port
        self.process: subprocess.Popen[bytes] | None = None
        self.config = folder / "retain.toml"

    def prepare(self, databases: list[Database], link: int) -> None:
        """Write its configuration."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        root = self.folder.parent
        text = NODE.format(
            port=self.port,
            link=link,
            name=self.name,
            payloads=(root / "payloads").as_uri(),
            hosts=",".join(str(one.folder) for one in databases),
            secret=root / "secret",
        )
        self.config.write_text(text)

    def start(self) -> None:
        """Start it; it answers once it follows or leads."""
        command: list[str | Path] = [*RETAIN, "serve", "--config", self.config]
        if (setpriv := shutil.which("setpriv")) is not None:  # it ends with this process, however that ends
            command = [setpriv, "--pdeathsig", "TERM", *command]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def stop(self) -> None:
        """End it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def role(self) -> str:
        """Return `leader`, `follower`, or why it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=2) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return "down"
        gauges = dict(line.split(" ", 1) for line in lines if line.startswith("retain_node_"))
        if not float(gauges["retain_node_answers"]):
            return "waiting"
        return "leader" if float(gauges["retain_node_leads"]) else "follower"


class Trial:
    """All servers, and what happens to them."""

    def __init__(self, root: Path, port: int) -> None:
        self._root = root
        hosts = [root / f"db{number}" for number in (1, 2, 3)]
        self.databases = [Database(host, hosts) for host in hosts]
        self.nodes = [Node(root / f"n{number + 1}", port + number) for number in range(3)]
        self._again: dict[str, float] = {}
        self._primary: Database | None = None
        self._roles: dict[str, str] = {}
        for number, node in enumerate(self.nodes):
            node.prepare(self.databases, port + 10 + number)
            _check_free(node.port, port + 10 + number)

    def start(self) -> None:
        """Start PostgreSQL, begin the cluster if there is none, start the nodes; return when all answer."""
        self._primary = start_all(self.databases)
        secret = self._root / "secret"
        if not secret.exists():
            made = secret.with_name("secret.new")  # interrupted here, the next start makes it anew
            made.touch(mode=0o600)
            made.write_text(secrets.token_hex(32))
            made.replace(secret)
        if self._primary.sql("SELECT to_regclass('retain.head') IS NULL") == "t":
            command: list[str | Path] = [*RETAIN, "node", "init", "--config", self.nodes[0].config]
            if (code := subprocess.run(command, check=False).returncode) != 0:
                raise Refused(f"retain node init ended with {code}")
        for node in self.nodes:
            node.start()
        deadline = time.monotonic() + 120
        while {node.role() for node in self.nodes} != {"leader", "follower"}:
            for node in self.nodes:
                if node.process is not None and node.process.poll() not in (None, STEPPED_DOWN):
                    raise Refused(f"node {node.name} ended: {_last(node.folder / 'log')}")
            if time.monotonic() > deadline:
                raise Refused(f"the nodes do not answer; their logs are {self._root}/n*/log")
            time.sleep(LOOK_S)
        self._roles = {node.name: node.role() for node in self.nodes}

    def watch(self) -> None:
        """Say what changes, and start again what ended, until interrupted."""
        while True:
            self._watch_databases()
            self._watch_nodes()
            time.sleep(LOOK_S)

    def stop(self) -> None:
        """End everything, the nodes first."""
        for node in self.nodes:
            node.stop()
        for node in self.nodes:
            if node.process is not None:
                try:
                    node.process.wait(60)
                except subprocess.TimeoutExpired:
                    node.process.kill()
        for database in self.databases:
            database.stop()

    def _watch_nodes(self) -> None:
        for node in self.nodes:
            code = None if node.process is None else node.process.poll()
            if code is not None and self._due(node.name, 0.0 if code == STEPPED_DOWN else AGAIN_S):
                say(f"{node.name} is started again")
                self._roles[node.name] = "down"
                node.start()
            elif code is not None and self._roles[node.name] != "ended":
                self._roles[node.name] = "ended"
                say(f"{node.name} ended {_how(code)}; it is started again in {AGAIN_S:.0f} s")
            elif code is None and (role := node.role()) != self._roles[node.name]:
                self._roles[node.name] = role
                say(f"{node.name} {_SAID[role]}")

    def _watch_databases(self) -> None:
        primary = self._primary
        assert primary is not None
        if not primary.runs:
            if self._roles.get(primary.name) != "ended":
                self._roles[primary.name] = "ended"
                say(f"{primary.name}, the primary, ended. Promote a standby: {self.promotion()}")
            successor = next((one for one in self.databases if one.runs and one.role() == "primary"), None)
            if successor is None:
                return
            say(f"{successor.name} is the primary; {primary.name} comes back as a standby")
            successor.keep_for(one for one in self.databases if one not in (primary, successor))
            self._primary = successor
            self._again[primary.name] = time.monotonic()
        for one in self.databases:
            if one is not self._primary and not one.runs:
                self._follow(one)

    def _follow(self, standby: Database) -> None:
        if standby.name not in self._again:
            say(f"{standby.name}, a standby, ended; it is started again in {AGAIN_S:.0f} s")
        if self._due(standby.name, AGAIN_S):
            assert self._primary is not None
            try:
                follow(standby, self._primary)
            except Refused as error:
                say(str(error))
            else:
                self._roles.pop(standby.name, None)
                say(f"{standby.name} follows {self._primary.name}")

    def _due(self, name: str, after: float) -> bool:
        """Return whether it is time to start something that ended, `after` seconds ago or more."""
        now = time.monotonic()
        if now < self._again.setdefault(name, now + after):
            return False
        del self._again[name]
        return True

    def promotion(self) -> str:
        """Return the command that promotes a standby."""
        return f"{_short(sys.executable)} {sys.argv[0]} --folder {_short(self._root)} promote"

    def show(self) -> None:
        """Print what runs, and what can be tried."""
        assert self._primary is not None
        first = self.nodes[0]
        print(f"\nThree nodes and three PostgreSQL servers run on this machine, in {self._root}:\n")
        for node in self.nodes:
            assert node.process is not None
            print(
                f"  {node.name}   http://127.0.0.1:{node.port}   process {node.process.pid:<8} {node.role()}"
            )
        for one in self.databases:
            assert one.process is not None
            role = "primary" if one is self._primary else "synchronous standby"
            print(f"  {one.name}  {'':22}  process {one.process.pid:<8} {role}")
        leader = next((one for one in self.nodes if one.role() == "leader"), first)
        follower = next(one for one in self.nodes if one is not leader)
        assert leader.process is not None
        assert follower.process is not None
        assert self._primary.process is not None
        print(
            _TEXT.format(
                retain=_short(Path(sys.executable).with_name("retain")),
                config=_short(first.config),
                first=first.port,
                last=self.nodes[-1].port,
                leader=leader.name,
                leader_pid=leader.process.pid,
                follower=follower.name,
                follower_pid=follower.process.pid,
                primary=self._primary.name,
                primary_pid=self._primary.process.pid,
                promotion=self.promotion(),
                again=AGAIN_S,
            ),
            flush=True,
        )


_SAID = {
    "leader": "leads",
    "follower": "follows",
    "waiting": "answers 503: it waits for a leader, or for PostgreSQL",
    "down": "does not answer",
    "ended": "ended",
}
_TEXT = """
Write at one node, and read at another:

  curl -d Key1=hello http://127.0.0.1:{first}/genesys/1/storage/3600
  curl http://127.0.0.1:{last}/genesys/1/storage/ID

Add a user for the console, http://127.0.0.1:{first}/console (its page Nodes shows all of this):

  {retain} user add ada --role Administrator --config {config}

List the nodes, while you end some of them:

  {retain} node list --config {config}

What you can end, and what you then see:

  kill -9 {leader_pid}   {leader}, which leads: all nodes answer 503 for up to 5 s, then another one leads
  kill -9 {follower_pid}   {follower}: a change waits for up to 2 s, then the others go on
  kill -QUIT {primary_pid}   {primary}, the primary: changes wait; after 4 s reads are answered 503, too.
                 Promote a standby, and the waiting changes are answered without an error; after
                 60 s they would be given up:
                 {promotion}

A node or standby that ended is started again after {again:.0f} s, a former primary once another one is
promoted. Ctrl-C ends everything; the data stays, and the next start continues with it.
"""


def _short(path: str | Path) -> str:
    """Return a path as it is pasted here."""
    given = Path(path)
    return str(given.relative_to(Path.cwd()) if given.is_relative_to(Path.cwd()) else given)


def _check_free(*ports: int) -> None:
    for port in ports:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            raise Refused(
                f"port {port} is in use: choose others with PORT=9081, which takes 9081 to 9093"
            ) from None


def _how(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"


def _last(log: Path) -> str:
    return log.read_text(errors="replace").strip().rpartition("\n")[2]


def _run(root: Path, port: int) -> int:
    check(root)
    with (root / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"{root}: another make cluster runs here; end it first") from None
        (root / "payloads").mkdir(mode=0o700, exist_ok=True)
        trial = Trial(root, port)
        print(f"Starting PostgreSQL and the nodes in {root} …", flush=True)
        try:
            trial.start()
            trial.show()
            trial.watch()
        except KeyboardInterrupt:
            print("\nEnding everything …", flush=True)
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            trial.stop()
    print(f"All ended. The data is in {root}; make cluster continues with it.")
    return 0


def _promote(root: Path) -> int:
    hosts = [root / f"db{number}" for number in (1, 2, 3)]
    chosen, logs = promote([Database(host, hosts) for host in hosts])
    for name, length in sorted(logs.items()):
        print(f"{name} has {length:,} bytes of the log")
    print(f"{chosen.name} has the longest log, so it has every commit; it is the primary now.")
    return 0


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("retain-cluster"), help="of all data")
    parser.add_argument("--port", type=int, default=8081, help="of the first node")
    parser.add_argument("what", nargs="?", choices=["run", "promote"], default="run")
    given = parser.parse_args()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        root = claimed(given.folder)
        return _promote(root) if given.what == "promote" else _run(root, given.port)
    except (Refused, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        sys.exit(main())
