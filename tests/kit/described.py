"""Requests made from the description of the interfaces, sent to a running server, and their answers checked
against it.

Every operation first gets the request that the description's own examples make, which must succeed; then
what schemathesis draws from its schemas, valid and not. No answer may have a status, a header, a media type
or a shape that the description does not know, and none may be a fault.

``python -m tests.kit.described --minutes 5`` is the long run of ``make fuzz``.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, fromstring

import jsonschema_rs
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from retain.api.blobs.sas import shared_key
from retain.api.identity.passwords import hash_password
from retain.api.openapi import NAMES, document_of
from tests.kit.blob_client import authorization
from tests.kit.server import Server, running

KEY = "dGhlIGtleSBvZiB0aGUgZGVzY3JpYmVkIHRlbmFudA=="
CONFIG = """
[storage]
segment_bytes = 1048576

[operations]
metrics_from = ["127.0.0.0/8"]

[settings]
max_wait_seconds = 1

[console]
administrator_roles = ["Administrator"]

[[tenants]]
name = "mytenant"
key = "{key}"
containers = ["recordings"]

[[users]]
name = "ann"
password = "{password}"
roles = ["Administrator"]
"""
GENERAL = frozenset(
    ("connection", "content-length", "content-type", "date", "keep-alive", "server", "transfer-encoding")
)
"""Headers of HTTP itself, which need no description."""
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
BATCH = (
    "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: 0\r\n\r\n"
    "DELETE /mytenant/recordings/gone HTTP/1.1\r\nContent-Length: 0\r\n\r\n\r\n--b--\r\n"
)
NEVER = frozenset(("abortCopy",))
"""Operations that never succeed: no copy is ever pending."""


class Undescribed(AssertionError):
    """An answer that the description does not allow."""


@dataclass
class Exercise:
    """Requests to one server after one interface's description, the server's own unless another is given."""

    server: Server
    name: str
    described: dict[str, Any] | None = None
    area: str = ""
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    _fresh: str = ""
    _http: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.document = self.described or document_of(self.name, self.server.url)
        self.schema = schemathesis.openapi.from_dict(self.document)
        self.schema.config.update(base_url=self.server.url)
        self.operations = [found.ok() for found in self.schema.get_all_operations()]
        self._http.trust_env = False

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # What is there before each operation.

    def prepare(self, operation: Any) -> None:
        """Make the things that the examples name, if a write may have changed them."""
        reads = operation.method in ("get", "head", "options")
        if reads and self._fresh == operation.path:
            return
        self._fresh = operation.path if reads else ""
        if self.name == "areas":
            answer = self.raw("POST", "/genesys/1/storage/3600", data={"Key1": "Value1"})
            self.area = answer.json()["id"]
            storage = "/genesys/1/storage"
            self.raw(
                "POST", f"{storage}/custom/letter/3600", data={"Key1": "V"}, headers={"gms_user": "anna"}
            )
        elif self.name == "settings":
            level = operation.path.partition("{application}/")[2].split("/")[0]
            path = {"user": "user/ann", "device": "device/phone-1"}.get(level, level)
            target = f"/mobileservices/Storage/v1/runtime/application/app/{path}"
            self.raw("DELETE", target)
            self.raw("POST", target, json={"ui": {"theme": "light"}})
        elif self.name == "blobs":
            self._prepare_blobs()

    def _prepare_blobs(self) -> None:
        container, blob = "/mytenant/recordings", "/mytenant/recordings/8888%2Fcall.mp3"
        self.raw("PUT", f"{container}?restype=container")
        breaks = {"x-ms-lease-action": "break", "x-ms-lease-break-period": "0"}
        self.raw("PUT", f"{container}?restype=container&comp=lease", headers=breaks)
        self.raw("PUT", f"{blob}?comp=lease", headers=breaks)
        headers = {"x-ms-blob-type": "BlockBlob", "x-ms-tags": "RecordingType=CALL"}
        self.raw("PUT", blob, headers=headers, data=b"x" * 200)
        self.raw("PUT", f"{blob}?comp=block&blockid=YmxvY2stMDAx", data=b"x" * 200)
        example = self._example("setBlobServiceProperties")
        self.raw("PUT", "/mytenant/?restype=service&comp=properties", data=example.encode())

    def _example(self, name: str) -> str:
        for methods in self.document["paths"].values():
            for found in methods.values():
                if found["operationId"] == name:
                    (media,) = found["requestBody"]["content"].values()
                    return str(media["example"])
        raise KeyError(name)

    # Sending.

    def raw(self, method: str, target: str, **more: Any) -> requests.Response:
        """A request of our own, with credentials."""
        request = requests.Request(method, self.server.url + target, **more)
        return self.send(self._http.prepare_request(request))

    def send(self, prepared: requests.PreparedRequest) -> requests.Response:
        """Send it with the credentials that its interface asks for."""
        if self.name in ("settings", "console") and "Authorization" not in prepared.headers:
            prepared.prepare_auth(("ann", "secret"))
        if self.name == "blobs" and prepared.method != "OPTIONS":
            self._sign(prepared)
        return self._http.send(prepared, timeout=60, allow_redirects=False)

    def _sign(self, prepared: requests.PreparedRequest) -> None:
        headers = prepared.headers
        headers["x-ms-date"] = format_datetime(datetime.now(UTC), usegmt=True)
        headers.setdefault("x-ms-version", "2021-12-02")
        pairs = [(_text(name).lower(), _text(value)) for name, value in headers.items()]
        path, _, query = prepared.path_url.partition("?")
        signed = shared_key.Signed(str(prepared.method), path.encode(), query.encode(), pairs)
        account = path.split("/")[1]
        version = _text(headers["x-ms-version"])
        headers["Authorization"] = authorization(b64decode(KEY), signed, account, version)

    # The examples of the description.

    def sensible(self, operation: Any) -> requests.Response:
        """The request that the examples of an operation make."""
        raw = self._resolved(operation)
        target, query, headers = operation.path, {}, {}
        for parameter in raw.get("parameters", []):
            name, example = parameter["name"], parameter.get("example")
            if parameter["in"] == "path":
                value = self.area if name in ("id", "idOrTtl") and example != "3600" else example
                target = target.replace(f"{{{name}}}", quote(str(value), safe=""))
            elif example is not None:
                (query if parameter["in"] == "query" else headers)[name] = str(example)
        body: dict[str, Any] = {}
        for media, found in raw.get("requestBody", {}).get("content", {}).items():
            body = self._body(media, found)
            break
        if "range" in {name.lower() for name in headers} and operation.method == "head":
            del headers["Range"]
        headers |= body.pop("headers", {})
        self._make_room(operation, target)
        request = requests.Request(
            operation.method.upper(), self.server.url + target, params=query, headers=headers, **body
        )
        return self.send(self._http.prepare_request(request))

    def _make_room(self, operation: Any, target: str) -> None:
        """Remove what the request is about to create."""
        name = operation.definition.raw["operationId"]
        if name == "createContainer" or (self.name == "settings" and operation.method == "post"):
            self.raw("DELETE", target)

    def _body(self, media: str, found: Mapping[str, Any]) -> dict[str, Any]:
        example = found.get("example")
        if example is None:
            example = self._schema_of(found).get("example")
        if media == "multipart/mixed":
            return {"data": BATCH.encode(), "headers": {"Content-Type": "multipart/mixed; boundary=b"}}
        if media == "application/octet-stream":
            return {"data": b"content", "headers": {"Content-Type": media}}
        if media.endswith("json"):
            shown = example if example is not None else self._from_properties(self._schema_of(found))
            return {"data": json.dumps(shown).encode(), "headers": {"Content-Type": media}}
        if media == "application/xml":
            return {"data": str(example).encode(), "headers": {"Content-Type": media}}
        return {"data": example or {}}

    def _schema_of(self, found: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._followed(found.get("schema", {}))

    @staticmethod
    def _from_properties(schema: Mapping[str, Any]) -> dict[str, Any]:
        return {name: found["example"] for name, found in schema["properties"].items() if "example" in found}

    def _followed(self, found: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in found:
            _, _, kind, name = found["$ref"].split("/")
            found = self.document["components"][kind][name]
        return found

    def _resolved(self, operation: Any) -> dict[str, Any]:
        raw = self.document["paths"][operation.path][operation.method]
        return {**raw, "parameters": [self._followed(one) for one in raw.get("parameters", [])]}

    # What is drawn.

    def drawn(self, operation: Any, examples: int, number: int) -> None:
        """Send so many requests that schemathesis draws. Raises Undescribed, or what its checks raise."""
        batch = "multipart/mixed" in self._resolved(operation).get("requestBody", {}).get("content", {})

        @seed(number)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.data())
        def one(data: st.DataObject) -> None:
            mode = data.draw(
                st.sampled_from((GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE))
            )
            fixed = {"body": BATCH.encode(), "media_type": "multipart/mixed"} if batch else {}
            case = data.draw(operation.as_strategy(generation_mode=mode, **fixed))
            for name, known in self._names().items():
                if name in (case.path_parameters or {}) and data.draw(st.integers(0, 9)):
                    case.path_parameters[name] = quote(data.draw(st.sampled_from(known)), safe="")
            if "watch" in (case.query or {}):
                case.query["watch"] = "false"  # a stream ends after an hour; tests/api/settings has its own
            kwargs = case.as_transport_kwargs(base_url=self.server.url)
            prepared = self._http.prepare_request(requests.Request(**_sendable(kwargs)))
            self.hold(operation, self.send(prepared), case)

        one()

    def _names(self) -> dict[str, list[str]]:
        return {
            "account": ["mytenant"],
            "container": ["recordings", "recordings", "other"],
            "blob": ["8888/call.mp3", "a", "b/c d"],
            "application": ["app"],
            "sameApplication": ["app"],
            "configuration": ["ui", "ui", "other"],
            "property": ["theme", "other"],
            "name": ["ann"],
            "deviceId": ["phone-1"],
            "id": [self.area or "x", "letter"],
            "idOrTtl": [self.area or "x", "letter", "60"],
            "customId": ["letter", "other"],
            "key": ["Key1"],
            "keyOrTtl": ["Key1", "60"],
        }

    # Judging.

    def hold(self, operation: Any, answer: requests.Response, case: Any = None) -> None:
        """Check an answer against the description. Raises Undescribed, or what the checks raise."""
        name = operation.definition.raw["operationId"]
        self.statuses[name, answer.status_code] += 1
        about = f"{operation.method.upper()} {answer.request.url}: {answer.status_code}"
        if answer.status_code in (500, 408):
            raise Undescribed(f"{about}: a fault of the server: {answer.text[:300]}")
        responses = operation.definition.raw["responses"]
        if str(answer.status_code) not in responses:
            raise Undescribed(f"{about} is not described: {answer.text[:300]}")
        described = self._followed(responses[str(answer.status_code)])
        known = {header.lower() for header in described.get("headers", {})} | GENERAL
        for header in answer.headers:
            lower = header.lower()
            if lower not in known and not (lower.startswith("x-ms-meta-") and "x-ms-meta-name" in known):
                raise Undescribed(f"{about}: the header {header} is not described")
        self._hold_body(about, answer, described)
        if case is not None:
            # An answer to HEAD that has no content has no type either.
            case.validate_response(answer, checks=CHECKS[:1] if operation.method == "head" else CHECKS)

    def _hold_body(self, about: str, answer: requests.Response, described: Mapping[str, Any]) -> None:
        if answer.request.method == "HEAD":
            return
        content = described.get("content", {})
        if answer.content and not content:
            raise Undescribed(f"{about}: a body is not described: {answer.text[:300]}")
        kind = answer.headers.get("Content-Type", "").replace(" ", "").partition(";")[0].lower()
        for media, found in content.items():
            if media.partition(";")[0] == "application/xml" == kind:
                schema = self._schema_of(found)
                root = fromstring(answer.content)
                wanted = schema["xml"]["name"]
                if root.tag != wanted:
                    raise Undescribed(f"{about}: {root.tag} instead of {wanted}")
                self._validate(about, schema, self.as_json(root, schema))

    def _validate(self, about: str, schema: Mapping[str, Any], instance: Any) -> None:
        whole = {**schema, "components": self.document["components"]}
        try:
            jsonschema_rs.validate(whole, instance)
        except jsonschema_rs.ValidationError as error:
            raise Undescribed(f"{about}: {error}"[:1500]) from None

    def as_json(self, element: Element, schema: Mapping[str, Any]) -> Any:
        """An element as OpenAPI's hints on XML read it."""
        schema = self._followed(schema)
        if schema.get("type") == "array":
            return [self.as_json(child, schema["items"]) for child in element]
        if schema.get("type") == "integer":
            return int(element.text or "")
        if schema.get("type") != "object":
            return element.text or ""
        found: dict[str, Any] = dict(element.attrib)
        fields = schema.get("properties", {})
        for child in element:
            wanted = self._followed(fields.get(child.tag, {"type": "string"}))
            if wanted.get("type") == "array" and not wanted.get("xml", {}).get("wrapped"):
                found.setdefault(child.tag, []).append(self.as_json(child, wanted["items"]))
            elif child.tag in found:
                raise Undescribed(f"{child.tag} is there twice in {element.tag}")
            else:
                found[child.tag] = self.as_json(child, wanted)
        return found


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _sendable(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What `requests.Request` takes. Host and framing are the client's own business."""
    taken = {
        name: kwargs[name]
        for name in ("method", "url", "params", "cookies", "json", "data", "files")
        if name in kwargs
    }
    headers = {
        name: value
        for name, value in (kwargs.get("headers") or {}).items()
        if name.lower() not in ("host", "content-length", "transfer-encoding", "authorization")
    }
    return {**taken, "headers": headers}


def exercised(server: Server, name: str, *, examples: int, number: int) -> Exercise:
    """Exercise every operation of one interface."""
    exercise = Exercise(server, name)
    try:
        for operation in exercise.operations:
            exercise.prepare(operation)
            exercise.hold(operation, exercise.sensible(operation))
            if examples:
                exercise.drawn(operation, examples, number)
    finally:
        exercise.close()
    return exercise


def without_success(exercise: Exercise) -> Iterator[str]:
    """The operations that never answered with success."""
    for operation in exercise.operations:
        name = operation.definition.raw["operationId"]
        if name not in NEVER and not any(
            exercise.statuses[name, status] for status in (200, 201, 202, 204, 206)
        ):
            yield name


def described(folder: Path) -> str:
    """The configuration of a server to exercise."""
    folder.mkdir(parents=True, exist_ok=True)
    return CONFIG.format(key=KEY, password=hash_password("secret"))


def main() -> None:
    """Exercise all interfaces for so long, and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.kit.described")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    end = time.monotonic() + asked.minutes * 60
    number, sent = asked.seed, 0
    with tempfile.TemporaryDirectory() as name, running(Path(name), described(Path(name))) as server:
        while True:
            for interface in NAMES:
                exercise = exercised(server, interface, examples=25, number=number)
                sent += sum(exercise.statuses.values())
            number += 1
            if time.monotonic() >= end:
                break
        faults = server.log().count("unhandled exception")
    print(f"{sent:,} requests after the description, {faults} faults in the log")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
