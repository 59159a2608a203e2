"""Lists of words and letters, from the first to the last: these are taken, all others refused."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

import retain.engine
from retain.api.blobs.routes.listing import INCLUDES
from retain.api.blobs.sas import token as sas_token
from retain.api.blobs.sas.verify import SignedResource
from retain.api.blobs.wire.engine_errors import TABLE
from retain.api.blobs.wire.errors import AzureError
from retain.engine.core import errors
from tests.api.blobs.test_containers import PROPERTIES, properties
from tests.api.blobs.test_sas_verdicts import judge, service

OTHER = sorted(set(string.ascii_letters + string.digits + "~-_.*"))
SIGNED = f"se=2030-01-01&sv=2020-12-06&sig={'A' * 43}%3D"
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "MERGE", "PATCH", "CONNECT", "TRACE"]
WORDS = [
    "snapshots",
    "metadata",
    "uncommittedblobs",
    "copy",
    "deleted",
    "tags",
    "versions",
    "deletedwithversions",
    "immutabilitypolicy",
    "legalhold",
    "permissions",
]


def refused(query: str) -> str:
    with pytest.raises(AzureError) as caught:
        sas_token.parse_token(query.encode())
    assert caught.value.code == "AuthenticationFailed"
    return caught.value.detail or ""


@pytest.mark.parametrize(
    ("known", "query"), [("bqtf", "ss={}&srt=sco&sp=f"), ("sco", "ss=b&srt={}&sp=f")], ids=["ss", "srt"]
)
def test_the_letters_of_services_and_resource_types(known: str, query: str) -> None:
    for letter in known:
        assert sas_token.parse_token(f"{query.format(letter)}&{SIGNED}".encode()) is not None
    for letter in set(OTHER) - set(known):
        assert refused(f"{query.format(letter)}&{SIGNED}").startswith("Signature fields not well formed")


@pytest.mark.parametrize("number", [*range(0x20), 0x7F])
def test_no_control_character_is_part_of_a_token(number: int) -> None:
    """In a field whose form nothing else looks at; it would end up in a header of the answer."""
    plain = f"sr=c&sp=r&rscd=a&{SIGNED}"
    assert sas_token.parse_token(plain.encode()) is not None
    refused(plain.replace("rscd=a", f"rscd=a%{number:02X}"))
    refused(f"ss=b&srt=s&sp=f&sip=%{number:02X}&{SIGNED}")


def test_a_service_token_at_the_accounts_root_is_one_of_the_root_container() -> None:
    place = SignedResource("tenant", None, None)
    assert judge(service(container="$root"), target=place).letters == frozenset("rl")
    with pytest.raises(AzureError):
        judge(service(container="root"), target=place)


async def test_every_method_of_cors_is_taken_and_no_other(client) -> None:
    rule = (
        "<Cors><CorsRule><AllowedOrigins>*</AllowedOrigins><AllowedMethods>{}</AllowedMethods>"
        "<AllowedHeaders/><ExposedHeaders/><MaxAgeInSeconds>1</MaxAgeInSeconds></CorsRule></Cors>"
    )
    for method in METHODS:
        assert (await client.send("PUT", PROPERTIES, [], properties(rule.format(method)))).status == 202
    for method in ("QUERY", "get", "GE", "GET~", ""):
        assert (await client.send("PUT", PROPERTIES, [], properties(rule.format(method)))).status == 400


async def test_every_word_of_include_is_taken_and_no_other(client) -> None:
    assert set(WORDS) == INCLUDES
    page = "/recordings?restype=container&comp=list&include="
    for word in WORDS:
        assert (await client.send("GET", page + word)).status == 200
    for word in ("metadatas", "meta", "system", "~"):
        assert (await client.send("GET", page + word)).code == "InvalidQueryParameterValue"


def test_each_refusal_in_the_table_is_one_that_the_engine_makes() -> None:
    """A row with a reason that nothing raises would be a code that is never answered."""
    folder = Path(retain.engine.__file__).parent
    source = "".join(path.read_text() for path in folder.rglob("*.py"))
    reasons = set(re.findall(r'reason="([a-z-]+)"', source))
    codes = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")}
    assert [row for row in TABLE if row[0] not in codes or row[1] not in reasons] == []
