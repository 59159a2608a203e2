"""Signed notes and checkpoints in the formats of transparency logs (C2SP): parse, verify, sign.

C2SP signed-note (https://c2sp.org/signed-note): text, an empty line, one line for each signature. C2SP
tlog-checkpoint (https://c2sp.org/tlog-checkpoint): a note whose text is origin, tree size and root. Keys are
Ed25519 (RFC 8032), signature type 1. Texts of keys are those of Go's `golang.org/x/mod/sumdb/note`.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from retain.journal.format.merkle import EMPTY_ROOT, HASH_SIZE

MOST_SIGNATURES = 100
"""Notes with more are refused; the specification asks for at least 16."""

MOST_BYTES = 1_000_000
"""Longer notes are refused."""

_ED25519 = b"\x01"
_ID_BYTES = 4
_SEED_BYTES = 32
_DASH = "— "


class BadNote(ValueError):
    """These bytes are not a note, key or checkpoint, or not signed by a trusted key.

    The text gives the reason.
    """


@dataclass(frozen=True, slots=True)
class Signature:
    """One line under a note: the signer's name as the line gives it, and the signature itself."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note that was read. `text` ends in a newline. `verified` are the signatures of trusted keys."""

    text: str
    signatures: tuple[Signature, ...]
    verified: tuple[Signature, ...] = ()


class Verifier:
    """A public key and the name it signs under."""

    def __init__(self, name: str, public: bytes) -> None:
        """Take `public`, the 32 bytes of RFC 8032, section 5.1.5. Raises `BadNote`."""
        _check_name(name)
        try:
            self._key = Ed25519PublicKey.from_public_bytes(public)
        except ValueError as error:
            raise BadNote(f"not an Ed25519 key: {error}") from error
        self.name = name
        self.public = public

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """Read `NAME+ID+KEY`. Raises `BadNote`."""
        name, _, rest = text.strip().partition("+")
        key_id, _, packed = rest.partition("+")
        verifier = cls(name, _unpacked(packed))
        if verifier.key_id.hex() != key_id:
            raise BadNote(f"the key's id is {verifier.key_id.hex()}, not {key_id}")
        return verifier

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name ‖ newline ‖ signature type ‖ public key)."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64encode(_ED25519 + self.public).decode()}"

    def verifies(self, text: str, signature: bytes) -> bool:
        """Return whether this key made `signature` over `text`."""
        try:
            self._key.verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


class Signer:
    """A private key and the name it signs under."""

    def __init__(self, name: str, seed: bytes) -> None:
        """Take `seed`, the 32 random bytes that RFC 8032 calls the private key. Raises `BadNote`."""
        _check_name(name)
        if len(seed) != _SEED_BYTES:
            raise BadNote(f"a private key has {_SEED_BYTES} bytes, not {len(seed)}")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._seed = seed
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.verifier = Verifier(name, public)

    @classmethod
    def parse(cls, text: str) -> Signer:
        """Parse `PRIVATE+KEY+NAME+ID+SEED`. Raises `BadNote`, whose text does not contain the key."""
        head, _, rest = text.strip().partition("+KEY+")
        name, key_id, packed = [*rest.split("+", 2), "", ""][:3]
        if head != "PRIVATE":
            raise BadNote("not a private key")
        signer = cls(name, _unpacked(packed))
        if signer.verifier.key_id.hex() != key_id:
            raise BadNote("the private key does not match its id")
        return signer

    def text(self) -> str:
        """Return the private key; store it where nobody else can read it."""
        packed = b64encode(_ED25519 + self._seed).decode()
        return f"PRIVATE+KEY+{self.verifier.name}+{self.verifier.key_id.hex()}+{packed}"

    def sign(self, text: str) -> Signature:
        """Return a signature over a note's text."""
        signature = self._key.sign(text.encode())
        return Signature(self.verifier.name, self.verifier.key_id, signature)


def sign_note(text: str, signers: Sequence[Signer], others: Iterable[Signature] = ()) -> bytes:
    """Return a note over `text`, which ends in a newline. `others` signed the same text before.

    Raises `BadNote` for a text that no note can have.
    """
    _check_text(text)
    new = [signer.sign(text) for signer in signers]
    taken = {(signature.name, signature.key_id) for signature in new}
    kept = [signature for signature in others if (signature.name, signature.key_id) not in taken]
    lines = [f"{_DASH}{one.name} {b64encode(one.key_id + one.signature).decode()}\n" for one in [*kept, *new]]
    return f"{text}\n{''.join(lines)}".encode()


def parse_note(data: bytes) -> Note:
    """Return a note's text and signatures, none of them verified. Raises `BadNote`."""
    if len(data) > MOST_BYTES:
        raise BadNote(f"a note must not have {len(data)} bytes")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise BadNote("a note is UTF-8 text") from error
    body, border, tail = whole.rpartition("\n\n")
    if not border or not tail.endswith("\n"):
        raise BadNote("a note ends with an empty line and signatures")
    text = body + "\n"
    _check_text(text)
    lines = tail[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise BadNote(f"a note with {len(lines)} signatures")
    return Note(text, tuple(_parse_line(line) for line in lines))


def open_note(data: bytes, trusted: Iterable[Verifier]) -> Note:
    """Return a note that a trusted key signed. Signatures of other keys are ignored.

    Raises `BadNote` if it is not a note, if no trusted key signed it, or if a signature under a trusted key's
    name and id is not valid.
    """
    note = parse_note(data)
    keys = {(verifier.name, verifier.key_id): verifier for verifier in trusted}
    verified: dict[tuple[str, bytes], Signature] = {}
    for signature in note.signatures:
        verifier = keys.get((signature.name, signature.key_id))
        if verifier is None or (signature.name, signature.key_id) in verified:
            continue
        if not verifier.verifies(note.text, signature.signature):
            raise BadNote(f"the signature of {signature.name} is not valid")
        verified[signature.name, signature.key_id] = signature
    if not verified:
        names = ", ".join(sorted({signature.name for signature in note.signatures}))
        raise BadNote(f"no trusted key signed this note; it names {names}")
    return Note(note.text, note.signatures, tuple(verified.values()))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's tree head: `origin` names the log, `root` is over its first `size` records.

    `extensions` are further lines, opaque; ours have none.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the note's text. Raises `BadNote` for an origin that does not fit into a line."""
        lines = (self.origin, str(self.size), b64encode(self.root).decode(), *self.extensions)
        if not all(lines) or any("\n" in line for line in lines):
            raise BadNote("origin and extensions are lines, and not empty")
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a note's text. Raises `BadNote`."""
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop() or not all(lines):
            raise BadNote("a checkpoint has three lines: origin, size, root")
        origin, size, root, *extensions = lines
        if (
            not (size.isascii() and size.isdigit())
            or (size != "0" and size.startswith("0"))
            or len(size) > 20
        ):
            raise BadNote("a checkpoint's second line is a number of records")
        unpacked = _base64(root)
        if len(unpacked) != HASH_SIZE or (size == "0" and unpacked != EMPTY_ROOT):
            raise BadNote("a checkpoint's third line is the root of a tree of that size")
        return cls(origin, int(size), unpacked, tuple(extensions))


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """Return the checkpoint as a signed note. Raises `BadNote`."""
    return sign_note(checkpoint.text(), [signer])


def open_checkpoint(data: bytes, trusted: Iterable[Verifier]) -> Checkpoint:
    """Return the checkpoint in a note that a trusted key signed. Raises `BadNote`."""
    return Checkpoint.parse(open_note(data, trusted).text)


def _parse_line(line: str) -> Signature:
    if not line.startswith(_DASH):
        raise BadNote("a line under a note is not a signature")
    name, _, packed = line[len(_DASH) :].partition(" ")
    _check_name(name)
    data = _base64(packed)
    if len(data) <= _ID_BYTES:
        raise BadNote("a signature is too short")
    return Signature(name, data[:_ID_BYTES], data[_ID_BYTES:])


def _check_name(name: str) -> None:
    if not name or "+" in name or any(one.isspace() or ord(one) < 0x20 for one in name):
        raise BadNote(f"{name!r} cannot be a key's name")


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise BadNote("a note's text ends with a newline")
    if any(ord(one) < 0x20 and one != "\n" for one in text):
        raise BadNote("a note has no control characters")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadNote("a note is UTF-8 text") from error


def _unpacked(packed: str) -> bytes:
    data = _base64(packed)
    if data[:1] != _ED25519:
        raise BadNote("the key is not of type 1, Ed25519")
    return data[1:]


def _base64(text: str) -> bytes:
    """Decode Base64 in its one canonical form (RFC 4648, section 4)."""
    try:
        data = b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadNote("not canonical base64") from error
    if b64encode(data).decode() != text:
        raise BadNote("not canonical base64")
    return data
