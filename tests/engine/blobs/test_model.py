"""Random programs of commands against a dictionary, with replay, snapshot and time as further actors."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from retain.engine.blobs import expiry
from retain.engine.blobs.commands import (
    BlockSource,
    CommitBlocks,
    DeleteBlob,
    SetBlobMetadata,
    SetBlobTags,
    StageBlock,
)
from retain.engine.blobs.container_commands import DeleteContainer, SetContainerRetention
from retain.engine.blobs.entries import Composite, ContentHeaders, Pairs
from retain.engine.blobs.listing import find_blobs, list_blobs
from retain.engine.blobs.tagindex import TagQuery, TagRange
from retain.engine.core.body import Body
from retain.engine.core.command import KEEPER
from retain.engine.core.common_commands import ExpireDue
from retain.engine.core.errors import Invalid, NotFound
from retain.journal import Payload
from tests.kit.blobs import ACCOUNT, BlobDesk
from tests.kit.crash import SCALE
from tests.kit.slices import DAY, inline, payload

NAMES = st.sampled_from(["a", "a/1", "a/2", "b", "b/1"])
CONTAINERS = st.sampled_from(["recordings", "gim-export"])
VALUES = st.sampled_from(["x", "y", "z"])
TAGS = st.lists(
    st.tuples(st.sampled_from(["k", "l"]), VALUES), unique_by=lambda pair: pair[0], max_size=2
).map(tuple)
BLOCK_IDS = st.sampled_from([b"1", b"2", b"3"])


@dataclass
class Blob:
    modified: int
    tags: Pairs
    metadata: Pairs
    sizes: list[int]
    blocks: dict[bytes, int] = field(default_factory=dict)


class Blobs(RuleBasedStateMachine):
    """The model: container → name → what it should be; staged blocks likewise."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = BlobDesk()
        self.model: dict[str, dict[str, Blob]] = {}
        self.staged: dict[str, dict[str, dict[bytes, int]]] = {}
        self.staged_at: dict[tuple[str, str], int] = {}
        self.days: dict[str, int] = {}
        self.serial = 0
        for container in ("recordings", "gim-export"):
            self._create(container)

    def _create(self, container: str) -> None:
        self.desk.create(container)
        self.model[container] = {}
        self.staged[container] = {}
        self.days[container] = 30

    def _body(self, size: int, large: bool) -> Body:
        self.serial += 1
        return payload(f"{self.serial:032x}", size) if large else inline(bytes(size))

    def _forget_ended(self) -> None:
        for container, blobs in self.model.items():
            if days := self.days[container]:
                for name in [
                    name for name, blob in blobs.items() if blob.modified + days * DAY <= self.desk.now
                ]:
                    del blobs[name]
            for name in list(self.staged[container]):
                if self.staged_at[container, name] + 7 * DAY <= self.desk.now:
                    del self.staged[container][name]

    @rule(container=CONTAINERS, name=NAMES, size=st.integers(0, 9), tags=TAGS, large=st.booleans())
    def put(self, container: str, name: str, size: int, tags: Pairs, large: bool) -> None:
        written = self.desk.put(name, self._body(size, large), container, tags=tags)
        self.model[container][name] = Blob(written.modified, tags, (), [size])
        self.staged[container].pop(name, None)

    @rule(container=CONTAINERS, name=NAMES, size=st.integers(0, 9), block_id=BLOCK_IDS, large=st.booleans())
    def stage(self, container: str, name: str, size: int, block_id: bytes, large: bool) -> None:
        self.desk.do(
            StageBlock(
                **self.desk.where(container),
                name=name,
                resource=self.desk.fresh(),
                block_id=block_id,
                body=self._body(size, large),
            )
        )
        self.staged[container].setdefault(name, {})[block_id] = size
        self.staged_at[container, name] = self.desk.now

    @rule(container=CONTAINERS, name=NAMES, block_ids=st.lists(BLOCK_IDS, max_size=4))
    def commit(self, container: str, name: str, block_ids: list[bytes]) -> None:
        old = self.model[container].get(name)
        known = {**(old.blocks if old is not None else {}), **self.staged[container].get(name, {})}
        command = CommitBlocks(
            **self.desk.where(container),
            name=name,
            resource=self.desk.fresh(),
            blocks=tuple((BlockSource.LATEST, block_id) for block_id in block_ids),
            headers=ContentHeaders(),
            md5=None,
        )
        try:
            written = self.desk.do(command)
        except Invalid:
            assert not set(block_ids) <= known.keys()
            return
        assert set(block_ids) <= known.keys()
        sizes = [known[block_id] for block_id in block_ids]
        blocks = {block_id: known[block_id] for block_id in block_ids}
        self.model[container][name] = Blob(written.modified, (), (), sizes, blocks)
        self.staged[container].pop(name, None)

    @rule(container=CONTAINERS, name=NAMES, tags=TAGS)
    def set_tags(self, container: str, name: str, tags: Pairs) -> None:
        try:
            self.desk.do(SetBlobTags(**self.desk.where(container), name=name, tags=tags))
            self.model[container][name].tags = tags
        except NotFound:
            assert name not in self.model[container]

    @rule(container=CONTAINERS, name=NAMES, value=VALUES)
    def set_metadata(self, container: str, name: str, value: str) -> None:
        metadata = (("m", value),)
        try:
            written = self.desk.do(
                SetBlobMetadata(**self.desk.where(container), name=name, metadata=metadata)
            )
            self.model[container][name].metadata = metadata
            self.model[container][name].modified = written.modified
        except NotFound:
            assert name not in self.model[container]

    @rule(container=CONTAINERS, name=NAMES)
    def delete(self, container: str, name: str) -> None:
        try:
            self.desk.do(DeleteBlob(**self.desk.where(container), name=name))
            del self.model[container][name]
            self.staged[container].pop(name, None)
        except NotFound:
            assert name not in self.model[container]

    @rule(container=CONTAINERS)
    def delete_container_and_make_it_again(self, container: str) -> None:
        self.desk.do(DeleteContainer(**self.desk.where(container)))
        if self.desk.state.blobs.closed:
            self.desk.do(ExpireDue(actor=KEEPER, limit=128))
            self.desk.verify()
            self.desk.sweep()
        self._create(container)

    @rule(container=CONTAINERS, days=st.sampled_from([0, 5, 30]))
    def set_retention(self, container: str, days: int) -> None:
        self.desk.do(SetContainerRetention(**self.desk.where(container), days=days))
        self.days[container] = days
        self._forget_ended()

    @rule(days=st.sampled_from([1, 4, 8, 31]))
    def let_time_pass(self, days: int) -> None:
        self.desk.now += days * DAY
        self._forget_ended()

    @rule()
    def sweep(self) -> None:
        self.desk.sweep()

    @precondition(lambda self: self.desk.state.seq > 30)
    @rule()
    def restart(self) -> None:
        self.desk.verify()
        self.desk.state = self.desk.replayed()

    @invariant()
    def pages_agree(self) -> None:
        for container, blobs in self.model.items():
            page = list_blobs(self.desk.state.blobs, ACCOUNT, container, self.desk.now, limit=100)
            assert [item.name for item in page.items] == sorted(blobs)
            for name, blob in blobs.items():
                entry = self.desk.get(name, container)
                assert (entry.size, entry.modified) == (sum(blob.sizes), blob.modified)
                assert (entry.tags, entry.metadata) == (blob.tags, blob.metadata)
                if isinstance(entry.body, Composite):
                    assert [block.size for block in entry.body.blocks] == blob.sizes

    @invariant()
    def finds_agree(self) -> None:
        query = TagQuery({"k": TagRange.between("x", "x")})
        page = find_blobs(self.desk.state.blobs, ACCOUNT, query, self.desk.now, limit=100)
        assert [(item.container, item.name) for item in page.items] == [
            (container, name)
            for container, blobs in sorted(self.model.items())
            for name, blob in sorted(blobs.items())
            if ("k", "x") in blob.tags
        ]

    def teardown(self) -> None:
        self.desk.sweep()
        self.desk.verify()
        standing: set[str] = set()
        for container in self.desk.state.blobs.containers():
            bodies = [entry.body for entry in container.blobs.values()]
            for body in bodies:
                blocks = body.blocks if isinstance(body, Composite) else ()
                standing.update(block.body.name for block in blocks if isinstance(block.body, Payload))
                if isinstance(body, Payload):
                    standing.add(body.name)
            standing.update(b.body.name for b in container.staged.values() if isinstance(b.body, Payload))
        assert self.desk.state.shared.payloads == standing


class FewAtATime(Blobs):
    """Deleted containers are removed blob by blob."""

    def __init__(self) -> None:
        self.freed, expiry.FREED = expiry.FREED, 1
        super().__init__()

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            expiry.FREED = self.freed


TestBlobs = Blobs.TestCase
TestBlobs.settings = settings(max_examples=30 * SCALE, stateful_step_count=40, deadline=None)
TestFewAtATime = FewAtATime.TestCase
TestFewAtATime.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)
