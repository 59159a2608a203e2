"""A desk for containers, blobs and tokens of one account."""

from __future__ import annotations

from typing import Any

from retain.engine.blobs.answers import Written
from retain.engine.blobs.commands import PutBlob
from retain.engine.blobs.container_commands import CreateContainer
from retain.engine.blobs.entries import BlobEntry, ContentHeaders
from retain.engine.blobs.queries import get_blob
from retain.engine.core.body import Body
from tests.kit.slices import Desk, inline

ACCOUNT = "mytenant"


class BlobDesk(Desk):
    """With short forms for what nearly every test does, all in container `recordings` unless said
    otherwise.
    """

    def where(self, container: str = "recordings") -> dict[str, Any]:
        """The fields that say who and where."""
        return {"actor": "user:test", "account": ACCOUNT, "container": container}

    def create(self, container: str) -> Written:
        """Makes a container."""
        return self.do(CreateContainer(**self.where(container), resource=self.fresh()))

    def putting(
        self, name: str, data: bytes | Body = b"data", container: str = "recordings", **fields: Any
    ) -> PutBlob:
        """The command that writes a blob whole."""
        body = inline(data) if isinstance(data, bytes) else data
        fields.setdefault("headers", ContentHeaders("audio/mpeg"))
        return PutBlob(
            **self.where(container), name=name, resource=self.fresh(), body=body, md5=body.md5, **fields
        )

    def put(
        self, name: str, data: bytes | Body = b"data", container: str = "recordings", **fields: Any
    ) -> Written:
        """Writes a blob whole."""
        return self.do(self.putting(name, data, container, **fields))

    def get(self, name: str, container: str = "recordings") -> BlobEntry:
        """The blob, as a reader finds it now."""
        return get_blob(self.state.blobs, ACCOUNT, container, name, self.now)
