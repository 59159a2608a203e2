"""What `retain doctor` is told of a request: with addresses as they are written into the configuration."""

from __future__ import annotations

from retain.api.config.load import ServerConfig
from retain.api.web.seen import Seen
from tests.kit.requests import make_request


def test_an_ipv4_peer_of_a_socket_for_both_kinds_is_shown_as_it_is_configured() -> None:
    """systemd's socket listens for both; `retain doctor` advises to trust what is shown."""
    seen = Seen(ServerConfig(), ())
    seen.look(make_request(peer="::ffff:10.0.0.5", headers=[("X-Forwarded-For", "192.0.2.7")]), 0.0)
    (one,) = seen.shown()
    assert (one["peer"], one["client"], one["trusted"]) == ("10.0.0.5", "10.0.0.5", False)


def test_another_peer_is_shown_as_it_is() -> None:
    seen = Seen(ServerConfig(), ())
    for peer in ("fd00::1", "unix"):
        seen.look(make_request(peer=peer), 0.0)
        (one,) = seen.shown()
        assert (one["peer"], one["client"]) == (peer, peer)
