"""Connections between nodes: TLS 1.3, by a certificate that every node derives from the cluster's secret.

Both sides show the same certificate and trust only that one. So only a machine that knows the secret can
connect or accept a connection, and nobody issues, distributes or renews certificates. A new secret takes
effect with a restart of all nodes.
"""

from __future__ import annotations

import logging
import os
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import trio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from retain.api.config.checks import split_bind
from retain.engine.nodes.causes import leaves
from retain.engine.nodes.files import derived

LOG = logging.getLogger("retain.nodes")

HANDSHAKE_S: Final = 5.0
"""Longest time for a TLS handshake, in seconds."""
_NAME: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "retain cluster")])


class TlsTransport:
    """Connections of this node; see `retain.engine.nodes.options.Transport`.

    Args:
        link: Where this node listens, `host:port`.
        secret: The secret of the cluster.

    """

    def __init__(self, link: str, secret: bytes) -> None:
        self._host, self._port = split_bind(link)
        key = Ed25519PrivateKey.from_private_bytes(derived(secret, b"retain: link"))
        certificate = _certificate(key)
        self._server = _context(ssl.PROTOCOL_TLS_SERVER, key, certificate)
        self._client = _context(ssl.PROTOCOL_TLS_CLIENT, key, certificate)

    async def serve(self, handle: Callable[[trio.abc.Stream], Awaitable[None]]) -> None:
        """Accept connections of other nodes until cancelled.

        Raises:
            OSError: The address cannot be listened on.

        """

        async def accept(stream: trio.SocketStream) -> None:
            tls = trio.SSLStream(stream, self._server, server_side=True)
            try:
                with trio.fail_after(HANDSHAKE_S):
                    await tls.do_handshake()
            except (trio.BrokenResourceError, trio.TooSlowError) as error:
                LOG.warning("a connection was refused", extra={"facts": {"why": _reason(error)}})
                await trio.aclose_forcefully(tls)
                return
            await handle(tls)

        await trio.serve_tcp(accept, self._port, host=self._host)

    async def dial(self, url: str) -> trio.abc.Stream:
        """Return a connection to the node at `url`.

        Raises:
            OSError: The node cannot be reached, or does not have the cluster's secret.

        """
        host, port = split_bind(url)
        try:
            stream = await trio.open_tcp_stream(host, port)
        except OSError as error:
            raise ConnectionRefusedError(
                f"the node at {url} cannot be reached ({_reason(error)}); that is its cluster.link, or its "
                "cluster.announce if it has one"
            ) from error
        tls = trio.SSLStream(stream, self._client)
        try:
            with trio.fail_after(HANDSHAKE_S):
                await tls.do_handshake()
        except (trio.BrokenResourceError, trio.TooSlowError) as error:
            await trio.aclose_forcefully(tls)
            raise ConnectionRefusedError(
                f"the node at {url} is not a node of this cluster: {_reason(error)}"
            ) from error
        except BaseException:
            await trio.aclose_forcefully(tls)
            raise
        return tls


def _reason(error: BaseException) -> str:
    """Return the causes in words; Trio's own errors only count the attempts that failed."""
    return "; ".join(dict.fromkeys(_words(one) for one in leaves(error.__cause__ or error)))


def _words(error: BaseException) -> str:
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def _certificate(key: Ed25519PrivateKey) -> bytes:
    """Return the certificate as PEM, the same for the same key: Ed25519 signatures are deterministic."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(9999, 12, 31, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    return builder.sign(key, None).public_bytes(Encoding.PEM)


def _context(protocol: int, key: Ed25519PrivateKey, certificate: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the certificate names the cluster, not a machine
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=certificate.decode())
    # The TLS library reads a key from a file only.
    with tempfile.NamedTemporaryFile() as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate)
        file.flush()
        context.load_cert_chain(file.name)
    return context
