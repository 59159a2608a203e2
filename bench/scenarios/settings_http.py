"""Settings over HTTP, beside an empty handler and Kinto; and the journal bytes of a PATCH."""

from __future__ import annotations

import json
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from retain import journal
from retain.api.identity import hash_password
from retain.bench.load import Load
from retain.bench.load import measure as ask
from retain.bench.load.requests import Client, request
from retain.bench.metrics import Measurement
from retain.bench.peers import kinto, servers
from retain.bench.peers.cluster import postgres_alone
from retain.bench.result import RunResult
from retain.bench.scenario import Case, RunSettings, Scenario, in_rounds, processors

ROOT: Final = "/mobileservices/Storage/v1/runtime/application/bench"
HEADERS: Final = {
    "Authorization": "Basic " + b64encode(b"ann:sesame").decode(),
    "Content-Type": "application/json",
}
DEVICES: Final = 1000
PROPERTIES: Final = 12
TEXT: Final = "x" * 40
CHANGE: Final = {"home": {"menu": {"title": "changed"}}}

EMPTY, KINTO = "empty Quart-Trio handler", "Kinto, in memory"
KINTO_ON_POSTGRES: Final = "Kinto on PostgreSQL"


def document(seed: int) -> dict[str, Any]:
    """Return about 1 KiB: one configuration of short properties and a nested object."""
    flat = {f"property{number}": f"{seed} {TEXT}" for number in range(PROPERTIES)}
    return {"home": {**flat, "menu": {"order": [1, 2, 3], "title": TEXT, "seed": seed}}}


def encoded(value: Any) -> bytes:
    """Return the body of a request."""
    return json.dumps(value).encode()


def configuration(folder: Path) -> Path:
    """Write a configuration file with the one user, and return its path."""
    path = folder / "retain.toml"
    path.write_text(f'[[users]]\nname = "ann"\npassword = "{hash_password("sesame")}"\n')
    return path


def measure(settings: RunSettings, result: RunResult) -> None:
    """Measure GET of a merged device document, PUT and PATCH."""
    ours, theirs = processors()
    cases: dict[tuple[str, str], Case] = {}

    def case(name: str, server: str, at: tuple[int, int], requests: list[bytes], *expect: int) -> None:
        load = Load(
            at[0],
            requests,
            expect or 200,
            settings.connections,
            settings.seconds,
            pid=at[1],
            processor=theirs,
            seed=settings.seed,
        )
        cases[name, server] = lambda: ask(load)

    names = [f"d{number}" for number in range(DEVICES)]
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL's user reaches its own folders
        at = stack.enter_context(
            servers.retain(folder / "data", configuration(folder), ours, checkout=settings.checkout)
        )
        prepare(at[0])
        body, change = encoded(document(7)), encoded(CHANGE)
        case("GET", "retain", at, [request("GET", f"{ROOT}/device/{one}", headers=HEADERS) for one in names])
        case(
            "PUT", "retain", at, [request("PUT", f"{ROOT}/device/{one}", body, HEADERS) for one in names], 204
        )
        case(
            "PATCH",
            "retain",
            at,
            [request("PATCH", f"{ROOT}/device/{one}", change, HEADERS) for one in names],
            204,
        )
        if settings.with_peers:
            empty = stack.enter_context(servers.empty_handler(ours))
            case("GET", EMPTY, empty, [request("GET", "/", headers=HEADERS)])
            case("POST", EMPTY, empty, [request("POST", "/", body, HEADERS)])
            for peer, there, written in _kintos(stack, folder, ours, result):
                patching = {**HEADERS, "Content-Type": "application/merge-patch+json"}
                case("GET", peer, there, kinto.requests_of("GET", names, None, HEADERS))
                case("PUT", peer, there, kinto.requests_of("PUT", names, document(7), HEADERS), *written)
                case("PATCH", peer, there, kinto.requests_of("PATCH", names, CHANGE, patching), *written)
        in_rounds(settings, result, cases)
        journal_cost(result, at[0], folder / "data")
    if settings.with_peers:
        result.ratio("GET / empty GET", result.row("GET"), result.row("GET", EMPTY), goal=5)
        result.ratio("PUT / empty POST", result.row("PUT"), result.row("POST", EMPTY))
        result.ratio("PATCH / empty POST", result.row("PATCH"), result.row("POST", EMPTY), goal=2.5)
        for peer in (KINTO, KINTO_ON_POSTGRES):
            if ("GET", peer) in cases:
                for method in ("GET", "PUT", "PATCH"):
                    result.ratio(
                        f"{method} / {method} of {peer}", result.row(method), result.row(method, peer)
                    )


def _kintos(
    stack: ExitStack, folder: Path, processor: int | None, result: RunResult
) -> Iterator[tuple[str, tuple[int, int], tuple[int, ...]]]:
    """Start each Kinto that can be started; yield its name, port and process, and its answers to writes."""
    found = kinto.command()
    if found is None:
        result.notes.append("Kinto is not installed; install it with: pip install 'retain[bench]'")
        return
    values = {f"d{number}": document(number) for number in range(DEVICES)}
    try:
        at = stack.enter_context(kinto.kinto(HEADERS, values, processor))
    except RuntimeError as error:
        result.notes.append(str(error))
        return
    yield KINTO, at, kinto.WRITTEN
    result.notes.append("Kinto neither merges nor, in memory, keeps anything when it stops")
    if not kinto.may_use_postgres(found):
        result.notes.append("Kinto cannot reach PostgreSQL; it can with: pip install 'kinto[postgresql]'")
        return
    try:
        database = stack.enter_context(postgres_alone(folder / "postgres"))
        at = stack.enter_context(kinto.kinto(HEADERS, values, processor, database))
    except RuntimeError as error:
        result.notes.append(str(error))
        return
    yield KINTO_ON_POSTGRES, at, kinto.WRITTEN_OR_NOT
    result.notes.append(
        "the processor time of Kinto on PostgreSQL is Kinto's alone; writes that it refuses with 409, "
        "because others wrote to the collection in the same millisecond, count as done"
    )


def prepare(port: int, devices: int = DEVICES) -> None:
    """Create one application, one user, many devices: each read merges three documents of about 1 KiB."""
    with Client(port) as client:
        client.send("POST", f"{ROOT}/global", encoded(document(0)), HEADERS, 201)
        client.send("POST", f"{ROOT}/currentuser", encoded(document(1)), HEADERS, 201)
        for number in range(devices):
            client.send("PUT", f"{ROOT}/device/d{number}", encoded(document(number)), HEADERS, 204)


def journal_cost(result: RunResult, port: int, data: Path) -> None:
    """Measure the journal's bytes for a PATCH of one property, in documents of 1 KiB and of 1 MiB."""
    with Client(port) as client:
        for name, members in (("1 MiB", 18_000), ("1 KiB", 18)):
            value = {"c": {f"name{number}": TEXT for number in range(members)}}
            where = f"{ROOT}/device/{name.replace(' ', '')}"
            client.send("PUT", where, encoded(value), HEADERS, 204)
            client.send("PATCH", f"{where}/c", b'{"name7":"changed"}', HEADERS, 204)
            last = list(journal.scan(journal.RealDisk(data, create=False)))[-1].header
            case = f"PATCH of one property in {name}"
            result.add(case, Measurement({"journal_bytes": float(last.details_size + last.content_size)}))
        large, small = (result.row(f"PATCH of one property in {name}") for name in ("1 MiB", "1 KiB"))
        result.ratio("journal bytes of a PATCH: in 1 KiB / in 1 MiB", large, small, "journal_bytes")


SCENARIO = Scenario(
    "settings-http",
    "The settings interface: merged GET, PUT and PATCH; what a PATCH costs the journal.",
    measure,
    ("an empty handler", "Kinto in memory and on PostgreSQL"),
    over_http=True,
)
