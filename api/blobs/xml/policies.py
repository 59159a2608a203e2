"""A container's stored access policies on the wire: SignedIdentifiers (docs/wire/blobs.md, section 2.3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from retain.api.blobs.sas.fields import SERVICE_LETTERS
from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.wire.escape import DECLARATION, escape
from retain.api.blobs.wire.times import iso_date, parse_sas_time
from retain.api.blobs.xml.read import child_texts, parse_document
from retain.engine.blobs.entries import StoredPolicy

MAX_ID: Final = 64

EARLIEST: Final = parse_sas_time("1700-01-01")
LATEST: Final = parse_sas_time("2500-01-01")
"""Clients write the year 1 or 9999 for never; a record's nanoseconds in 64 bits do not reach as far."""


def parse_policies(data: bytes) -> tuple[StoredPolicy, ...]:
    """Return the policies in the body of Set Container ACL; no body at all removes every policy.

    The engine checks that a container has at most five. Raises AzureError InvalidXmlDocument (form, an id
    twice) or InvalidXmlNodeValue (a bad id, time or permission).
    """
    if not data:
        return ()
    policies: dict[str, StoredPolicy] = {}
    for identifier in parse_document(data, "SignedIdentifiers"):
        if identifier.tag != "SignedIdentifier":
            raise AzureError("InvalidXmlDocument")
        name = ""
        fields: dict[str, str] = {}
        for child in identifier:
            if child.tag == "Id":
                name = (child.text or "").strip()
            elif child.tag == "AccessPolicy":
                fields = child_texts(child)
            else:
                raise AzureError("InvalidXmlDocument")
        if not 1 <= len(name) <= MAX_ID:
            raise _bad_value("Id", name)
        if name in policies or not fields.keys() <= {"Start", "Expiry", "Permission"}:
            raise AzureError("InvalidXmlDocument")
        permissions = _permissions(fields.get("Permission", "").strip())
        policies[name] = StoredPolicy(name, _time("Start", fields), _time("Expiry", fields), permissions)
    return tuple(policies.values())


def policies_document(policies: Iterable[StoredPolicy]) -> bytes:
    """Return the body of Get Container ACL."""
    identifiers = "".join(map(_identifier, policies))
    inner = (
        f"<SignedIdentifiers>{identifiers}</SignedIdentifiers>" if identifiers else "<SignedIdentifiers />"
    )
    return f"{DECLARATION}{inner}".encode()


def _identifier(policy: StoredPolicy) -> str:
    start = "" if policy.start is None else f"<Start>{iso_date(policy.start)}</Start>"
    expiry = "" if policy.expiry is None else f"<Expiry>{iso_date(policy.expiry)}</Expiry>"
    letters = "" if not policy.permissions else f"<Permission>{escape(policy.permissions)}</Permission>"
    fields = start + expiry + letters
    access = f"<AccessPolicy>{fields}</AccessPolicy>" if fields else ""
    return f"<SignedIdentifier><Id>{escape(policy.policy_id)}</Id>{access}</SignedIdentifier>"


def _time(name: str, fields: dict[str, str]) -> int | None:
    text = fields.get(name, "").strip()
    if not text:
        return None
    try:
        return min(max(parse_sas_time(text), EARLIEST), LATEST)
    except ValueError:
        raise _bad_value(name, text) from None


def _permissions(letters: str) -> str | None:
    if len(set(letters)) != len(letters) or not SERVICE_LETTERS.issuperset(letters):
        raise _bad_value("Permission", letters)
    return letters or None


def _bad_value(name: str, value: str) -> AzureError:
    return AzureError("InvalidXmlNodeValue", extras=(("XmlNodeName", name), ("XmlNodeValue", value)))
