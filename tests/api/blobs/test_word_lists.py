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
from retain.api.blobs.wire.engine_errors import TABLE, from_engine
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


@pytest.mark.parametrize(
    ("known", "query"),
    [("racwdxyltfmeopi", "sr=c&sp={}"), ("rwdxylacupfti", "ss=b&srt=sco&sp={}")],
    ids=["service", "account"],
)
def test_the_letters_of_rights(known: str, query: str) -> None:
    for letter in known:
        assert sas_token.parse_token(f"{query.format(letter)}&{SIGNED}".encode()) is not None
    assert sas_token.parse_token(f"{query.format(known)}&{SIGNED}".encode()) is not None
    for letter in set(OTHER) - set(known):
        refused(f"{query.format(letter)}&{SIGNED}")
    refused(f"{query.format('rr')}&{SIGNED}")


async def test_the_letters_of_a_policy_are_those_of_a_service_token(client) -> None:
    body = (
        "<SignedIdentifiers><SignedIdentifier><Id>p</Id><AccessPolicy><Permission>{}</Permission>"
        "</AccessPolicy></SignedIdentifier></SignedIdentifiers>"
    )
    path = "/recordings?restype=container&comp=acl"
    for letters in ("racwdxyltfmeopi", *"racwdxyltfmeopi"):
        assert (await client.send("PUT", path, [], body.format(letters).encode())).status == 200
        assert letters in (await client.send("GET", path)).texts(".//Permission")
    for letters in sorted(set(OTHER) - set("racwdxyltfmeopi")):
        assert (await client.send("PUT", path, [], body.format(letters).encode())).status == 400


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


async def test_a_cors_rule_without_a_time_is_not_remembered_by_browsers(client) -> None:
    rule = "<CorsRule><AllowedOrigins>*</AllowedOrigins><AllowedMethods>GET</AllowedMethods>{}</CorsRule>"
    for age, status in (("", 202), ("9" * 9, 202), ("9" * 10, 400), ("-1", 400), ("1.5", 400), ("²", 400)):
        element = f"<MaxAgeInSeconds>{age}</MaxAgeInSeconds>" if age else ""
        body = properties(f"<Cors>{rule.format(element)}</Cors>")
        assert (await client.send("PUT", PROPERTIES, [], body)).status == status, age
        if status == 202:
            assert (await client.send("GET", PROPERTIES)).xml.findtext(".//MaxAgeInSeconds") == (age or "0")


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


@pytest.mark.parametrize(
    "name",
    [
        "skoid",
        "sktid",
        "skt",
        "ske",
        "sks",
        "skv",
        "saoid",
        "suoid",
        "scid",
        "skdutid",
        "sduoid",
        "srh",
        "srq",
    ],
)
def test_every_parameter_of_a_user_delegation_is_refused_as_one(name: str) -> None:
    assert refused(f"sr=c&sp=r&{SIGNED}&{name}=x") == (
        "User delegation signatures are not supported by this account."
    )


@pytest.mark.parametrize(
    ("code", "azure", "status"),
    [
        ("not-found", "BlobNotFound", 404),
        ("conflict", "InvalidBlobType", 409),
        ("forbidden", "AuthorizationFailure", 403),
        ("precondition-failed", "ConditionNotMet", 412),
        ("invalid", "InvalidInput", 400),
        ("too-large", "RequestBodyTooLarge", 413),
        ("quota-exceeded", "InsufficientAccountStorage", 507),
        ("storage-full", "InsufficientAccountStorage", 507),
        ("storage-failed", "ServerBusy", 503),
        ("closed", "ServerBusy", 503),
        ("exhausted", "ServerBusy", 503),
    ],
)
def test_a_refusal_whose_reason_is_new_is_told_by_its_class(code: str, azure: str, status: int) -> None:
    (kind,) = (one for one in vars(errors).values() if getattr(one, "code", None) == code)
    told = from_engine(kind("so it is", reason="new to the table"))
    assert (told.code, told.status) == (azure, status)


@pytest.mark.parametrize(
    "comp",
    [
        *("stats", "userdelegationkey", "undelete", "rename", "query", "expiry", "seal", "snapshot", "page"),
        *("pagelist", "appendblock", "incrementalcopy", "immutabilityPolicies", "legalhold"),
    ],
)
async def test_what_only_azure_offers_is_not_implemented(client, comp: str) -> None:
    for path in ("/", "/recordings", "/recordings/a"):
        answer = await client.send("PUT", f"{path}?comp={comp}")
        assert (answer.status, answer.code) == (501, "NotImplemented"), path


@pytest.mark.parametrize(
    ("target", "name", "value"),
    [
        ("/?restype=servic&comp=properties", "restype", "servic"),
        ("/?restype=service&comp=propertie", "comp", "propertie"),
        ("/recordings?restype=directory", "restype", "directory"),
        ("/recordings?restype=container&comp=acls", "comp", "acls"),
        ("/recordings/a?comp=tag", "comp", "tag"),
    ],
)
async def test_an_unknown_word_in_the_query_is_named(client, target: str, name: str, value: str) -> None:
    answer = await client.send("GET", target)
    assert (answer.status, answer.code) == (400, "InvalidQueryParameterValue")
    assert answer.texts("QueryParameterName") == [name]
    assert answer.texts("QueryParameterValue") == [value]


async def test_a_method_that_a_resource_lacks_is_refused_with_those_it_has(client) -> None:
    for target, allowed in (
        ("/recordings/a?comp=tags", "GET, PUT"),
        ("/recordings/a?comp=block", "PUT"),
        ("/recordings/a", "DELETE, GET, HEAD, PUT"),
    ):
        answer = await client.send("PATCH", target)
        assert (answer.status, answer.code) == (405, "UnsupportedHttpVerb")
        assert answer.headers["allow"] == allowed


async def test_a_doubled_parameter_is_named_with_its_first_value(client) -> None:
    answer = await client.send("GET", "/recordings?restype=container&comp=list&prefix=a&prefix=b")
    assert answer.code == "InvalidQueryParameterValue"
    assert answer.texts("QueryParameterName") == ["prefix"]
    assert answer.texts("QueryParameterValue") == ["a"]
    answer = await client.send("GET", "/recordings?restype=container&comp=list&prefix=&prefix=b")
    assert answer.texts("QueryParameterValue") in ([None], [""])
    answer = await client.send("GET", "/recordings?timeout=1&timeout=2&restype=container&restype=x&comp=list")
    assert answer.texts("QueryParameterName") == ["restype"], "always the same one"
