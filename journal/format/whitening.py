"""The keystream over a segment's payloads. FORMAT.md section 5: not a secret, it only avoids zeros."""

from __future__ import annotations

from hashlib import sha256

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

_LABEL = b"retain whitening 1"
_BLOCK = 16


class Whitening:
    """Whitens, and undoes it: the same operation, by a byte's place in its segment."""

    __slots__ = ("_algorithm",)

    def __init__(self, identity: bytes, segment: int) -> None:
        self._algorithm = AES(sha256(_LABEL + identity + segment.to_bytes(8, "big")).digest()[:16])

    def stream(self, offset: int) -> CipherContext:
        """Return a cipher that continues from `offset` with every `update`."""
        blocks, rest = divmod(offset, _BLOCK)
        context = Cipher(self._algorithm, CTR(blocks.to_bytes(_BLOCK, "big"))).encryptor()
        if rest:
            context.update(bytes(rest))
        return context

    def apply(self, data: bytes, offset: int) -> bytes:
        """Whiten the `data` at `offset`, or undo it."""
        return self.stream(offset).update(data)
