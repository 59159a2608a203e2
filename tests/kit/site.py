"""A real server with tenants, the ways to its tokens, and the account every emulator has."""

from __future__ import annotations

import base64
import json
import os
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from azure.storage.blob import BlobServiceClient, ContainerClient

from tests.kit.forks import retain
from tests.kit.server import Server

PASSWORD = "secret"

#: Published for emulators, and what test suites written for one have in their connection strings.
EMULATOR_ACCOUNT = "devstoreaccount1"
EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

#: Azure's default waits 15 seconds: a refusal that should be none would take a minute to show.
AT_ONCE: dict[str, Any] = {"initial_backoff": 0, "increment_base": 1, "retry_total": 2}

Token = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """The server, and what an operator does to it."""

    server: Server
    _keys: dict[str, str] = field(default_factory=dict)

    def key(self, account: str) -> str:
        """The first key of a tenant."""
        if account not in self._keys:
            self._keys[account] = self.retain("tenant", "show", account, "--keys")["keys"][0]
        return self._keys[account]

    def put(self, name: str, data: bytes, tags: dict[str, str], container: str = "recordings") -> None:
        """Put a blob with its tags into a container of the tenant `harbour`."""
        self.upload("harbour", self.key("harbour"), container, name, data, tags)

    @property
    def connection_string(self) -> str:
        """The emulator's, with our port."""
        endpoint = f"{self.server.url}/{EMULATOR_ACCOUNT}"
        parts = {
            "DefaultEndpointsProtocol": "http",
            "AccountName": EMULATOR_ACCOUNT,
            "AccountKey": EMULATOR_KEY,
            "BlobEndpoint": endpoint,
        }
        return "".join(f"{name}={value};" for name, value in parts.items())

    def service(self, **options: Any) -> BlobServiceClient:
        """The emulator's account with its key."""
        return BlobServiceClient.from_connection_string(self.connection_string, **{**AT_ONCE, **options})

    def container(self, name: str, **options: Any) -> ContainerClient:
        """A container of the emulator's account, made now unless it is there."""
        found = self.service(**options).get_container_client(name)
        if not found.exists():
            found.create_container()
        return found

    def upload(
        self, account: str, key: str, container: str, name: str, data: bytes, tags: dict[str, str]
    ) -> None:
        """Put a blob with its tags into a tenant's container."""
        credential = {"account_name": account, "account_key": key}
        service = BlobServiceClient(f"{self.server.url}/{account}", credential=credential, **AT_ONCE)
        with service:
            service.get_blob_client(container, name).upload_blob(data, tags=tags, overwrite=True)

    def retain(self, *arguments: str) -> Any:
        """`retain … --json` beside the running server; what it prints."""
        environment = {**os.environ, "RETAIN_STORAGE_DATA": str(self.server.data)}
        config = ("--config", str(self.server.folder / "retain.toml"))
        done = retain(*arguments, "--json", *config, environ=environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def console(self, fields: dict[str, Any]) -> list[Token]:
        """`POST /console/api/tokens` as the administrator."""
        credentials = base64.b64encode(f"operator:{PASSWORD}".encode()).decode()
        request = urllib.request.Request(
            f"{self.server.url}/console/api/tokens",
            json.dumps(fields).encode(),
            {"Content-Type": "application/json", "Authorization": f"Basic {credentials}"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            tokens: list[Token] = json.load(answer)["tokens"]
        return tokens
