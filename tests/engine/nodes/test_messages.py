"""Messages between nodes of two releases."""

from __future__ import annotations

import msgpack

from retain.engine.nodes.messages import Granted, NodeCodec


def test_a_message_of_another_release_is_read_for_what_both_know() -> None:
    codec = NodeCodec()
    assert codec.unpack(codec.pack(Granted(1, 2, 3, 4, 5))) == Granted(1, 2, 3, 4, 5)
    assert codec.unpack(msgpack.packb(["Granted", 1, 2, 3, 4])) == Granted(1, 2, 3, 4, 0)
    assert codec.unpack(msgpack.packb(["Granted", 1, 2, 3, 4, 5, "more"])) == Granted(1, 2, 3, 4, 5)
