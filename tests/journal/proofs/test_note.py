"""Signed notes and checkpoints against published ones.

Sources: `golang.org/x/mod/sumdb/note` (example and tests: PeterNeumann's key and note, what is malformed);
the checkpoint of sum.golang.org at size 13485 and its key, as `modfetch/key.go` and Trillian's tests have
them; the examples in C2SP's signed-note and tlog-checkpoint pages.
"""

from __future__ import annotations

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.journal.format.merkle import EMPTY_ROOT
from retain.journal.proofs.note import (
    BadNote,
    Checkpoint,
    Signature,
    Signer,
    Verifier,
    open_checkpoint,
    open_note,
    parse_note,
    sign_checkpoint,
    sign_note,
)

PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
LINE = (
    "— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
NOTE = f"{TEXT}\n{LINE}".encode()

GO_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
GO_TREE = (
    "go.sum database tree\n13485\n/ZWur4obeiqK+ASdnPK+/Rmz6LPQMUeSmHh0+UkL54Y=\n\n"
    "— sum.golang.org "
    "Az3grnQReYTvpCrRxT+w50vixbqBlB/aPS8bL8f8KW4HHP+UjLSXOJgCh4f54n8hO6lrESglzyRXMXnhaWzaeY3zqw8=\n"
)

C2SP_NOTE = """Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore \
NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
"""

OURS = Signer("retain.example/log", bytes(range(32)))


def test_gos_example_is_signed_to_the_byte() -> None:
    assert sign_note(TEXT, [Signer.parse(PRIVATE)]) == NOTE


def test_gos_example_is_opened() -> None:
    note = open_note(NOTE, [Verifier.parse(PUBLIC)])

    assert note.text == TEXT
    assert [(one.name, one.key_id.hex()) for one in note.verified] == [("PeterNeumann", "c74f20a3")]


def test_keys_come_back_as_written() -> None:
    assert str(Verifier.parse(PUBLIC)) == PUBLIC
    assert Signer.parse(PRIVATE).text() == PRIVATE
    assert str(Signer.parse(PRIVATE).verifier) == PUBLIC
    assert Signer.parse(OURS.text()).verifier.public == OURS.verifier.public


def test_a_published_tree_is_opened() -> None:
    checkpoint = open_checkpoint(GO_TREE.encode(), [Verifier.parse(GO_KEY)])

    root = b64decode("/ZWur4obeiqK+ASdnPK+/Rmz6LPQMUeSmHh0+UkL54Y=")
    assert checkpoint == Checkpoint("go.sum database tree", 13485, root)


def test_the_text_ends_at_the_last_empty_line() -> None:
    note = parse_note(C2SP_NOTE.encode())

    assert note.text.endswith("\n\ned è subito sera.\n")
    (signature,) = note.signatures
    assert (signature.name, signature.key_id) == ("quasimodo.example/salvatore", bytes.fromhex("367ba04b"))
    assert len(signature.signature) == 64


def test_signatures_of_others_are_passed_over_and_kept() -> None:
    both = sign_note(TEXT, [OURS], parse_note(NOTE).signatures)
    trusting = open_note(both, [OURS.verifier])

    assert [one.name for one in trusting.signatures] == ["PeterNeumann", "retain.example/log"]
    assert [one.name for one in trusting.verified] == ["retain.example/log"]
    assert len(open_note(both, [OURS.verifier, Verifier.parse(PUBLIC)]).verified) == 2
    assert sign_note(TEXT, [OURS], parse_note(both).signatures) == both


def test_a_signature_twice_counts_once() -> None:
    assert len(open_note(NOTE + LINE.encode(), [Verifier.parse(PUBLIC)]).verified) == 1


def test_a_note_nobody_trusted_signed_is_refused() -> None:
    with pytest.raises(BadNote, match="no trusted key signed this note; it names PeterNeumann"):
        open_note(NOTE, [OURS.verifier])
    other = Verifier("PeterNeumann", OURS.verifier.public)
    with pytest.raises(BadNote, match="no trusted key"):
        open_note(NOTE, [other])


def test_a_wrong_signature_of_a_trusted_key_is_refused_beside_a_right_one() -> None:
    wrong = Signature("retain.example/log", OURS.verifier.key_id, bytes(64))
    data = sign_note(TEXT, [Signer.parse(PRIVATE)], [wrong])

    with pytest.raises(BadNote, match=r"retain\.example/log is not valid"):
        open_note(data, [Verifier.parse(PUBLIC), OURS.verifier])


@given(st.integers(0, len(NOTE) - 1), st.integers(1, 255))
def test_every_changed_byte_is_noticed(at: int, flip: int) -> None:
    changed = NOTE[:at] + bytes([NOTE[at] ^ flip]) + NOTE[at + 1 :]

    with pytest.raises(BadNote):
        open_note(changed, [Verifier.parse(PUBLIC)])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"abc",
        TEXT.encode(),
        TEXT.encode() + LINE.encode(),
        b"\n" + LINE.encode(),
        NOTE[:-1],
        NOTE + b"x\n",
        NOTE.replace(b"answer", b"ans\tr"),
        NOTE.replace(b"answer", b"ans\xffr"),
        NOTE.replace("— Peter".encode(), b"- Peter"),
        NOTE.replace(b"PeterNeumann", b"Peter+Neumann"),
        NOTE.replace("— PeterNeumann".encode(), "— Peter\u2003Neumann".encode()),
        NOTE.replace("— PeterNeumann ".encode(), "—  ".encode()),
        NOTE.replace(b"x08go", b"x08g"),
        NOTE.replace(b"nAM=", b"nAN="),
        f"{TEXT}\n— PeterNeumann ABCD\n".encode(),
        f"{TEXT}\n{LINE * 101}".encode(),
        b"a" * 1_000_001,
    ],
)
def test_what_is_malformed_is_refused(data: bytes) -> None:
    with pytest.raises(BadNote):
        open_note(data, [Verifier.parse(PUBLIC)])


@pytest.mark.parametrize("text", ["no newline", "", "tab\t\n", "\udc80\n"])
def test_no_note_is_made_of_a_text_that_cannot_be_one(text: str) -> None:
    with pytest.raises(BadNote):
        sign_note(text, [OURS])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        PUBLIC[:-1],
        PUBLIC.replace("c74f", "c74e"),
        PUBLIC.replace("+AR", "+AB"),
        "n+00000000+AQ==",
    ],
)
def test_a_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        Verifier.parse(text)
    with pytest.raises(BadNote):
        Signer.parse("PRIVATE+KEY+" + text)


def test_a_private_key_that_is_none_is_refused() -> None:
    with pytest.raises(BadNote, match="not a private key"):
        Signer.parse(PUBLIC)
    with pytest.raises(BadNote, match="does not match its id"):
        Signer.parse(PRIVATE.replace("c74f20a3", "c74f20a4"))
    with pytest.raises(BadNote, match="32 bytes"):
        Signer("name", bytes(31))
    with pytest.raises(BadNote, match="cannot be a key's name"):
        Signer("a name", bytes(32))


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
    st.integers(0, 1 << 64),
    st.binary(min_size=32, max_size=32),
)
def test_checkpoints_come_back_as_signed(origin: str, size: int, root: bytes) -> None:
    checkpoint = Checkpoint(origin, size, root if size else EMPTY_ROOT)

    assert open_checkpoint(sign_checkpoint(checkpoint, OURS), [OURS.verifier]) == checkpoint


def test_further_lines_are_kept() -> None:
    checkpoint = Checkpoint("origin", 3, bytes(32), ("one", "two"))

    assert open_checkpoint(sign_checkpoint(checkpoint, OURS), [OURS.verifier]) == checkpoint


@pytest.mark.parametrize("origin", ["", "two\nlines"])
def test_an_origin_is_one_line(origin: str) -> None:
    with pytest.raises(BadNote):
        Checkpoint(origin, 1, bytes(32)).text()


@pytest.mark.parametrize(
    "text",
    [
        "origin\n1\n",
        "origin\n01\n" + "A" * 43 + "=\n",
        "origin\n-1\n" + "A" * 43 + "=\n",
        "origin\n٣\n" + "A" * 43 + "=\n",
        "origin\n" + "1" * 21 + "\n" + "A" * 43 + "=\n",
        "origin\n0\n" + "A" * 43 + "=\n",
        "origin\n1\n" + "A" * 42 + "==\n",
        "origin\n1\nAAAA\n",
        "\n1\n" + "A" * 43 + "=\n",
        "origin\n1\n" + "A" * 43 + "=\n\nmore\n",
    ],
)
def test_a_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        Checkpoint.parse(text)
