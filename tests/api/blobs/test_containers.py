"""Containers, their access policies, listings, searches, leases and the account over HTTP
(docs/wire/blobs.md, sections 2.3, 5 and 6)."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from retain.api.blobs.wire.times import iso_date
from retain.engine.blobs import expiry
from tests.kit.blob_client import HOUR

KV, ABOVE = quote("k = 'v'"), quote("k > 'a'")
ELSEWHERE, NAMED = quote("@container='nothing' AND k > 'a'"), quote("@container='recordings'")


async def listing(client, query="", **more):
    return await client.send("GET", f"/recordings?restype=container&comp=list{query}", **more)


async def test_the_life_of_a_container(client):
    headers = [("x-ms-meta-a", "1"), ("x-ms-blob-public-access", "blob")]
    answer = await client.send("PUT", "/exports?restype=container", headers)
    assert answer.status == 201
    assert {"etag", "last-modified"} <= answer.headers.keys()
    answer = await client.send("PUT", "/exports?restype=container")
    assert (answer.status, answer.code) == (409, "ContainerAlreadyExists")
    for method in ("GET", "HEAD"):
        answer = await client.send(method, "/exports?restype=container")
        assert answer.status == 200
        for name, value in {
            "x-ms-meta-a": "1",
            "x-ms-lease-status": "unlocked",
            "x-ms-lease-state": "available",
            "x-ms-has-immutability-policy": "false",
            "x-ms-has-legal-hold": "false",
            "x-ms-blob-public-access": "blob",
        }.items():
            assert answer.headers[name] == value
    changed = await client.send("PUT", "/exports?restype=container&comp=metadata", [("x-ms-meta-b", "2")])
    assert changed.status == 200
    assert changed.headers["etag"] != answer.headers["etag"]
    answer = await client.send("GET", "/exports?restype=container&comp=metadata")
    assert answer.headers["x-ms-meta-b"] == "2"
    assert not {"x-ms-meta-a", "x-ms-lease-status"} & answer.headers.keys()
    assert (await client.send("DELETE", "/exports?restype=container", [("if-match", '"0x8"')])).status == 412
    assert (await client.send("DELETE", "/exports?restype=container")).status == 202
    for method in ("GET", "HEAD", "DELETE"):
        answer = await client.send(method, "/exports?restype=container")
        assert (answer.status, answer.code) == (404, "ContainerNotFound")


@pytest.mark.parametrize(("name", "code"), [("ab", "OutOfRangeInput"), ("Abc", "InvalidResourceName")])
async def test_container_names(client, name, code):
    assert (await client.send("PUT", f"/{name}?restype=container")).code == code


async def test_a_public_access_level_that_is_none(client):
    answer = await client.send("PUT", "/exports?restype=container", [("x-ms-blob-public-access", "all")])
    assert answer.code == "InvalidHeaderValue"


def policies(*names, expiry):
    inner = "".join(
        f"<SignedIdentifier><Id>{name}</Id><AccessPolicy><Expiry>{iso_date(expiry)}</Expiry>"
        "<Permission>rl</Permission></AccessPolicy></SignedIdentifier>"
        for name in names
    )
    return f"<SignedIdentifiers>{inner}</SignedIdentifiers>".encode()


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("9999-12-31T23:59:59.9999999Z", "2500-01-01T00:00:00.0000000Z"),
        ("2499-12-31T23:59:59Z", "2499-12-31T23:59:59.0000000Z"),
        ("0001-01-01", "1700-01-01T00:00:00.0000000Z"),
    ],
)
async def test_a_policys_time_that_means_never_is_taken(client, written, kept):
    body = (
        "<SignedIdentifiers><SignedIdentifier><Id>x</Id><AccessPolicy>"
        f"<Expiry>{written}</Expiry></AccessPolicy></SignedIdentifier></SignedIdentifiers>"
    )
    target = "/recordings?restype=container&comp=acl"
    assert (await client.send("PUT", target, body=body.encode())).status == 200
    answer = await client.send("GET", target)
    assert answer.texts(".//Expiry") == [kept]


async def test_a_stored_policy_gives_and_its_removal_takes_at_once(client):
    await client.put("a", b"1")
    path = "/recordings?restype=container&comp=acl"
    expiry = client.engine.now() + HOUR
    assert (await client.send("PUT", path, [], policies("p1", "p2", expiry=expiry))).status == 200
    answer = await client.send("GET", path)
    assert answer.texts("SignedIdentifier/Id") == ["p1", "p2"]
    assert answer.texts("SignedIdentifier/AccessPolicy/Expiry") == [iso_date(expiry)] * 2
    token = client.service_sas(None, expiry=None, policy="p1")
    assert (await client.get("a", sas=token)).status == 200
    assert (await listing(client, sas=token)).status == 200
    assert (await client.put("b", sas=token)).code == "AuthorizationPermissionMismatch"
    assert (await client.send("PUT", path, [], policies("p2", "p3", expiry=expiry))).status == 200
    answer = await client.get("a", sas=token)
    assert (answer.status, answer.code) == (403, "AuthenticationFailed")
    assert answer.xml.findtext("AuthenticationErrorDetail") == (
        "SAS identifier cannot be found for specified signed identifier"
    )
    assert (await client.send("PUT", path)).status == 200
    assert (await client.send("GET", path)).texts("SignedIdentifier/Id") == []
    six = policies(*"abcdef", expiry=expiry)
    assert (await client.send("PUT", path, [], six)).code == "InvalidXmlDocument"


async def test_no_token_touches_access_policies(client):
    path = "/recordings?restype=container&comp=acl"
    for token in (client.service_sas("racwdlt"), client.account_sas("rwdlacupft")):
        for method in ("GET", "HEAD", "PUT"):
            answer = await client.send(method, path, sas=token)
            assert (answer.status, answer.code) == (403, "AuthorizationFailure")


async def test_blobs_are_listed_flat_in_the_order_of_their_names(client):
    for name in ("b", "A", "a/1", "a/2", "a", "Z", "ä"):
        await client.put(name, b"1")
    answer = await listing(client, "&prefix=&delimiter=&marker=&include=")
    assert answer.texts("Blobs/Blob/Name") == ["A", "Z", "a", "a/1", "a/2", "b", "ä"]
    assert answer.xml.attrib == {
        "ServiceEndpoint": "http://retain.test:8080/tenant/",
        "ContainerName": "recordings",
    }
    assert [child.tag for child in answer.xml] == ["Blobs", "NextMarker"]
    assert answer.texts("NextMarker") == [None]


async def test_a_hierarchy_is_paged_with_prefixes_counting(client):
    for name in ("a", "d/1", "d/2", "e/1", "f"):
        await client.put(name, b"1")
    found, marker, pages = [], "", 0
    while True:
        answer = await listing(client, f"&delimiter=/&maxresults=2&marker={quote(marker)}")
        found += [entry.findtext("Name") for entry in answer.xml.find("Blobs")]
        pages += 1
        marker = answer.xml.findtext("NextMarker") or ""
        assert answer.xml.findtext("MaxResults") == "2"
        assert answer.xml.findtext("Delimiter") == "/"
        if not marker:
            break
    assert (found, pages) == (["a", "d/", "e/", "f"], 2)
    answer = await listing(client, "&prefix=d/&delimiter=/")
    assert answer.texts("Blobs/Blob/Name") == ["d/1", "d/2"]
    assert answer.xml.findtext("Prefix") == "d/"


async def test_include_adds_metadata_and_tags(client):
    await client.put("a", b"1", [("x-ms-meta-m", "1"), ("x-ms-tags", "k=v")])
    plain = await listing(client)
    assert plain.texts("Blobs/Blob/Properties/TagCount") == ["1"]
    assert plain.xml.find("Blobs/Blob/Metadata") is None
    full = await listing(client, "&include=METADATA,tags,copy,snapshots")
    assert full.texts("Blobs/Blob/Metadata/m") == ["1"]
    assert full.texts("Blobs/Blob/Tags/TagSet/Tag/Key") == ["k"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("&maxresults=0", "OutOfRangeQueryParameterValue"),
        ("&maxresults=-1", "OutOfRangeQueryParameterValue"),
        ("&maxresults=ten", "InvalidQueryParameterValue"),
        ("&maxresults=--1", "InvalidQueryParameterValue"),
        ("&maxresults=%C2%B2", "InvalidQueryParameterValue"),
        ("&include=everything", "InvalidQueryParameterValue"),
        ("&include=snapshots&delimiter=/", "InvalidQueryParameterValue"),
        ("&marker=2!nonsense", "InvalidQueryParameterValue"),
        ("&prefix=a&prefix=b", "InvalidQueryParameterValue"),
        ("&prefix=%zz", "InvalidUri"),
    ],
)
async def test_a_listing_refuses_bad_parameters(client, query, code):
    answer = await listing(client, query)
    assert (answer.status, answer.code) == (400, code)


async def test_a_page_has_at_most_5000_entries(client):
    for maximum in ("5001", "99999999999"):
        answer = await listing(client, f"&maxresults={maximum}")
        assert answer.xml.findtext("MaxResults") == "5000"


async def test_tags_in_a_listing_need_the_letter_t(client):
    assert (await listing(client, sas=client.service_sas("l"))).status == 200
    answer = await listing(client, "&include=tags", sas=client.service_sas("l"))
    assert answer.code == "AuthorizationPermissionMismatch"
    assert (await listing(client, "&include=tags", sas=client.service_sas("lt"))).status == 200


async def test_containers_are_listed_and_paged(client):
    for name in ("bbb", "aaa", "ccc"):
        await client.send("PUT", f"/{name}?restype=container", [("x-ms-meta-m", name)])
    answer = await client.send("GET", "/?comp=list&include=metadata")
    assert answer.texts("Containers/Container/Name") == ["aaa", "bbb", "ccc", "recordings"]
    assert answer.texts("Containers/Container/Metadata/m") == ["aaa", "bbb", "ccc"]
    assert answer.xml.find("Containers/Container/Properties/Etag").text.startswith('"0x')
    answer = await client.send("GET", "?comp=list&maxresults=2")
    marker = answer.xml.findtext("NextMarker")
    assert marker == "/tenant/ccc"
    answer = await client.send("GET", f"?comp=list&marker={quote(marker)}&prefix=c")
    assert answer.texts("Containers/Container/Name") == ["ccc"]
    assert (await client.send("GET", "/?comp=list&include=blobs")).code == "InvalidQueryParameterValue"


DATED = {
    "one": "RecordingType=CALL&StoredTime=2022-01-10T06:01:34Z&Agent=7",
    "two": "RecordingType=CALL&StoredTime=2022-01-12T00:00:00Z",
    "three": "RecordingType=SCREEN&StoredTime=2022-01-10T06:01:34Z",
}
SEED = (
    "@container='recordings' AND RecordingType = 'CALL' AND StoredTime >= '2022-01-09T00:00:00Z' "
    "AND StoredTime < '2022-01-11T00:00:00Z'"
)


async def test_the_search_of_the_genesys_page_with_its_token(client):
    for name, tags in DATED.items():
        await client.put(name, b"1", [("x-ms-tags", tags)])
    token = client.account_sas("f", version="2020-08-04")
    for path in (f"/?comp=blobs&where={quote(SEED)}", f"/recordings?comp=blobs&where={quote(SEED)}"):
        answer = await client.send("GET", path, sas=token, version=None)
        assert answer.status == 200
        assert answer.headers["x-ms-version"] == "2020-08-04"
        assert answer.xml.findtext("Where") == SEED
        assert answer.texts("Blobs/Blob/Name") == ["one"]
        assert answer.texts("Blobs/Blob/ContainerName") == ["recordings"]
        assert answer.texts("Blobs/Blob/Tags/TagSet/Tag/Key") == ["RecordingType", "StoredTime"]
    plus = (
        SEED.replace(" ", "+").replace("'", "%27").replace("=", "%3d").replace(">", "%3e").replace("<", "%3c")
    )
    answer = await client.send("GET", f"/?comp=blobs&where={plus}", sas=token)
    assert answer.texts("Blobs/Blob/Name") == ["one"]
    for path in ("/recordings?restype=container&comp=list", "/recordings/one"):
        answer = await client.send("GET", path, sas=token)
        assert (answer.status, answer.code) == (403, "AuthorizationPermissionMismatch")


async def test_a_search_is_paged_over_containers(client):
    await client.create("exports")
    for number in range(5):
        for container in ("recordings", "exports"):
            await client.put(f"n{number}", b"1", [("x-ms-tags", "k=v")], container=container)
    found, marker = [], ""
    while True:
        path = f"/?comp=blobs&where={KV}&maxresults=3&marker={quote(marker)}"
        answer = await client.send("GET", path)
        found += list(
            zip(answer.texts("Blobs/Blob/ContainerName"), answer.texts("Blobs/Blob/Name"), strict=True)
        )
        marker = answer.xml.findtext("NextMarker") or ""
        if not marker:
            break
    assert found == [(container, f"n{n}") for container in ("exports", "recordings") for n in range(5)]


async def test_a_search_in_a_container(client):
    await client.put("a", b"1", [("x-ms-tags", "k=v")])
    path = f"/recordings?restype=container&comp=blobs&where={ABOVE}"
    for token in (
        client.service_sas("f"),
        client.account_sas("f", types="c"),
        client.account_sas("f", types="o"),
    ):
        assert (await client.send("GET", path, sas=token)).texts("Blobs/Blob/Name") == ["a"]
    missing = f"/nothing?restype=container&comp=blobs&where={ABOVE}"
    assert (await client.send("GET", missing)).code == "ContainerNotFound"
    answer = await client.send("GET", f"/?comp=blobs&where={ELSEWHERE}")
    assert (answer.status, answer.texts("Blobs/Blob")) == (200, [])
    named = f"/recordings?restype=container&comp=blobs&where={NAMED}"
    assert (await client.send("GET", named)).code == "InvalidQueryParameterValue"
    assert (await client.send("GET", "/?comp=blobs")).code == "InvalidQueryParameterValue"


async def test_the_life_of_a_lease(client):
    await client.put("a", b"1")
    ours, other = "b9b08cc1-e388-4b09-ae39-000000000001", "b9b08cc1-e388-4b09-ae39-000000000002"

    async def lease(action, *headers, path="/recordings/a?comp=lease"):
        return await client.send("PUT", path, [("x-ms-lease-action", action), *headers])

    answer = await lease("acquire", ("x-ms-lease-duration", "15"), ("x-ms-proposed-lease-id", ours))
    assert (answer.status, answer.headers["x-ms-lease-id"]) == (201, ours)
    head = await client.head("a")
    assert (head.headers["x-ms-lease-state"], head.headers["x-ms-lease-duration"]) == ("leased", "fixed")
    assert (await client.put("a", b"2")).code == "LeaseIdMissing"
    assert (
        await client.put("a", b"2", [("x-ms-lease-id", other)])
    ).code == "LeaseIdMismatchWithBlobOperation"
    assert (await client.put("a", b"2", [("x-ms-lease-id", ours)])).status == 201
    assert (await lease("renew", ("x-ms-lease-id", ours))).status == 200
    assert (await lease("acquire", ("x-ms-lease-duration", "-1"))).code == "LeaseAlreadyPresent"
    answer = await lease("change", ("x-ms-lease-id", ours), ("x-ms-proposed-lease-id", other))
    assert (answer.status, answer.headers["x-ms-lease-id"]) == (200, other)
    answer = await lease("break", ("x-ms-lease-break-period", "5"))
    assert (answer.status, answer.headers["x-ms-lease-time"]) == (202, "5")
    assert (await lease("release", ("x-ms-lease-id", other))).status == 200
    for wrong in (
        ("x-ms-lease-duration", "soon"),
        ("x-ms-lease-duration", "5"),
        ("x-ms-proposed-lease-id", "none"),
    ):
        refused = await lease("acquire", wrong)
        assert (refused.code, refused.xml.findtext("HeaderName")) == ("InvalidHeaderValue", wrong[0])
    assert (await lease("steal")).code == "InvalidHeaderValue"
    assert (await client.send("PUT", "/recordings/a?comp=lease")).code == "MissingRequiredHeader"
    assert (await lease("renew")).code == "MissingRequiredHeader"
    container = "/recordings?restype=container&comp=lease"
    assert (await lease("acquire", ("x-ms-lease-duration", "-1"), path=container)).status == 201
    assert (await client.send("DELETE", "/recordings?restype=container")).code == "LeaseIdMissing"
    answer = await client.send("DELETE", "/recordings?restype=container", [("x-ms-lease-id", other)])
    assert answer.code == "LeaseIdMismatchWithContainerOperation"
    assert (await lease("break", path=container)).status == 202


@pytest.mark.parametrize(("seconds", "shown"), [("-1", "infinite"), ("60", "fixed")])
@pytest.mark.parametrize(
    ("target", "listed"),
    [
        ("/recordings/a?", "/recordings?restype=container&comp=list"),
        ("/recordings?restype=container&", "/?comp=list"),
    ],
)
async def test_a_lease_is_shown_with_its_kind_while_it_is_held(client, target, listed, seconds, shown):
    await client.put("a", b"1")
    shapes = []
    for change in (None, ("x-ms-lease-duration", seconds), ("x-ms-lease-break-period", "0")):
        if change is not None:
            action = ("x-ms-lease-action", "acquire" if change[0] == "x-ms-lease-duration" else "break")
            assert (await client.send("PUT", f"{target}comp=lease", [action, change])).status in {201, 202}
        headers = (await client.send("HEAD", target.rstrip("?&"))).headers
        found = tuple(headers.get(f"x-ms-lease-{name}") for name in ("status", "state", "duration"))
        answer = await client.send("GET", listed)
        names = ("LeaseStatus", "LeaseState", "LeaseDuration")
        assert tuple(answer.xml.findtext(f".//{name}") for name in names) == found
        shapes.append(found)
    assert shapes == [
        ("unlocked", "available", None),
        ("locked", "leased", shown),
        ("unlocked", "broken", None),
    ]


async def test_account_information_is_answered_anywhere(client):
    await client.put("a", b"1")
    query = "?restype=account&comp=properties"
    for path, token in (
        ("/", None),
        ("/recordings", client.service_sas("r")),
        ("/recordings/a", client.account_sas("c")),
    ):
        for method in ("GET", "HEAD"):
            answer = await client.send(method, path + query, sas=token)
            assert (answer.status, answer.headers["x-ms-account-kind"]) == (200, "StorageV2")
            assert answer.headers["x-ms-is-hns-enabled"] == "false"


PROPERTIES = "/?restype=service&comp=properties"
RULE = (
    "<CorsRule><AllowedOrigins>https://app.test,https://b.test</AllowedOrigins>"
    "<AllowedMethods>GET,PUT</AllowedMethods><AllowedHeaders>x-ms-*,content-type</AllowedHeaders>"
    "<ExposedHeaders>x-ms-*</ExposedHeaders><MaxAgeInSeconds>60</MaxAgeInSeconds></CorsRule>"
)


def properties(inner):
    return f"<StorageServiceProperties>{inner}</StorageServiceProperties>".encode()


async def test_service_properties_are_kept_and_completed(client):
    answer = await client.send("GET", PROPERTIES)
    assert [child.tag for child in answer.xml] == [
        "Logging",
        "HourMetrics",
        "MinuteMetrics",
        "Cors",
        "DeleteRetentionPolicy",
        "StaticWebsite",
    ]
    document = properties(f"<Cors>{RULE}</Cors><DefaultServiceVersion>2021-08-06</DefaultServiceVersion>")
    assert (await client.send("PUT", PROPERTIES, [], document)).status == 202
    answer = await client.send("GET", PROPERTIES)
    assert answer.xml.findtext("DefaultServiceVersion") == "2021-08-06"
    assert answer.xml.findtext("Cors/CorsRule/AllowedMethods") == "GET,PUT"
    off = properties(
        "<Logging><Version>1.0</Version><Delete>false</Delete><Read>false</Read><Write>false</Write>"
        "<RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></Logging><Cors/>"
    )
    assert (await client.send("PUT", PROPERTIES, [], off)).status == 202
    answer = await client.send("GET", PROPERTIES)
    assert answer.texts("Cors/CorsRule") == []
    assert answer.xml.findtext("DefaultServiceVersion") == "2021-08-06"
    assert (await client.send("PUT", PROPERTIES, [], answer.body)).status == 202


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("<Other/>", "UnsupportedXmlNode"),
        ("<DefaultServiceVersion>new</DefaultServiceVersion>", "InvalidXmlNodeValue"),
        ("<Cors><Rule/></Cors>", "InvalidXmlDocument"),
        (f"<Cors>{RULE * 6}</Cors>", "InvalidXmlDocument"),
        (f"<Cors>{RULE.replace('GET', 'STEAL')}</Cors>", "InvalidXmlNodeValue"),
        (f"<Cors>{RULE.replace('60', 'long')}</Cors>", "InvalidXmlNodeValue"),
        (f"<Cors>{RULE.replace('x-ms-*', 'a&#10;b')}</Cors>", "InvalidXmlNodeValue"),
        ("<Cors><CorsRule><AllowedMethods>GET</AllowedMethods></CorsRule></Cors>", "MissingRequiredXmlNode"),
    ],
)
async def test_service_properties_that_cannot_be_read_are_refused(client, inner, code):
    answer = await client.send("PUT", PROPERTIES, [], properties(inner))
    assert (answer.status, answer.code) == (400, code)


async def test_cross_origin_requests_follow_the_rules(client):
    await client.put("a", b"1")
    ask = [("origin", "https://app.test"), ("access-control-request-method", "GET")]
    refused = await client.raw("OPTIONS", "/tenant/recordings/a", ask)
    assert (refused.status, refused.code) == (403, "CorsPreflightFailure")
    await client.send("PUT", PROPERTIES, [], properties(f"<Cors>{RULE}</Cors>"))
    wanted = [*ask, ("access-control-request-headers", "x-ms-version, content-type")]
    answer = await client.raw("OPTIONS", "/tenant/recordings/a", wanted)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.test"
    assert answer.headers["access-control-allow-methods"] == "GET"
    assert answer.headers["access-control-allow-headers"] == "x-ms-version,content-type"
    assert answer.headers["access-control-max-age"] == "60"
    for changed in (
        [("origin", "https://evil.test"), ask[1]],
        [ask[0], ("access-control-request-method", "DELETE")],
        [*ask, ("access-control-request-headers", "authorization")],
    ):
        assert (await client.raw("OPTIONS", "/tenant/recordings/a", changed)).code == "CorsPreflightFailure"
    for missing in (ask[:1], ask[1:]):
        answer = await client.raw("OPTIONS", "/tenant/recordings/a", missing)
        assert (answer.status, answer.code) == (400, "InvalidHeaderValue")
        assert answer.xml.findtext("Message").startswith("A required CORS header is not present.")
    found = await client.get("a", ask[:1])
    assert found.headers["access-control-allow-origin"] == "https://app.test"
    assert found.headers["access-control-expose-headers"] == "x-ms-*"
    assert found.headers["vary"] == "Origin"
    other = await client.get("a", [("origin", "https://evil.test")])
    assert "access-control-allow-origin" not in other.headers


async def test_a_large_container_is_gone_at_once_and_its_name_is_free_later(client, monkeypatch):
    monkeypatch.setattr(expiry, "FREED", 1)
    await client.put("a")
    await client.put("b")
    assert (await client.send("DELETE", "/recordings?restype=container")).status == 202
    assert (await listing(client)).code == (await client.get("a")).code == "ContainerNotFound"
    answer = await client.send("PUT", "/recordings?restype=container")
    assert (answer.status, answer.code) == (409, "ContainerBeingDeleted")
    await client.engine.sweep()
    await client.create()
    assert (await client.get("a")).code == "BlobNotFound"


@pytest.mark.parametrize("wanted", ["https://*.example.com", "https://*.example.com:8443"])
async def test_a_rule_covers_the_hosts_below_its_wildcard(client, wanted):
    rule = (
        f"<Cors><CorsRule><AllowedOrigins>{wanted}</AllowedOrigins><AllowedMethods>GET</AllowedMethods>"
        "<MaxAgeInSeconds>5</MaxAgeInSeconds><ExposedHeaders/><AllowedHeaders/></CorsRule></Cors>"
    )
    assert (await client.send("PUT", "/?restype=service&comp=properties", (), properties(rule))).status == 202
    port = ":8443" if wanted.endswith("3") else ""
    for origin, allowed in (
        (f"https://a.example.com{port}", True),
        (f"https://a.b-1.example.com{port}", True),
        (f"https://example.com{port}", False),
        (f"https://.example.com{port}", False),
        (f"http://a.example.com{port}", False),
        (f"https://a.example.com{port}1", False),
        (f"https://evil.test/.example.com{port}", False),
        (f"https://evil.test#.example.com{port}", False),
        (f"https://evilexample.com{port}", False),
        (f"https://a.example.com{port}.evil.test", False),
    ):
        answer = await client.get("none", [("origin", origin)])
        found = answer.headers.get("access-control-allow-origin")
        assert found == (origin if allowed else None), origin
    asked = [("origin", f"https://a.example.com{port}"), ("access-control-request-method", "GET")]
    assert (await client.raw("OPTIONS", "/tenant/recordings/a", asked)).status == 200


async def test_a_listing_starts_where_it_is_told(client):
    for name in ("a", "b/1", "b/2", "b/3", "c", "d/1"):
        await client.put(name)
    base = "/recordings?restype=container&comp=list&startFrom=b/2"
    answer = await client.send("GET", base)
    assert answer.texts("Blobs/Blob/Name") == ["b/2", "b/3", "c", "d/1"]
    answer = await client.send("GET", f"{base}&prefix=b/")
    assert answer.texts("Blobs/Blob/Name") == ["b/2", "b/3"]
    answer = await client.send("GET", f"{base}&delimiter=/")
    assert answer.texts("Blobs/BlobPrefix/Name") == ["b/", "d/"]
    answer = await client.send("GET", f"{base}1&delimiter=/&maxresults=1")
    names, marker = answer.texts("Blobs/BlobPrefix/Name"), answer.xml.findtext("NextMarker")
    assert names == ["b/"]
    while marker:
        answer = await client.send("GET", f"{base}1&delimiter=/&maxresults=1&marker={quote(marker)}")
        names += answer.texts("Blobs//Name")
        marker = answer.xml.findtext("NextMarker")
    assert names == ["b/", "c", "d/"]
    assert (await client.send("GET", f"{base.replace('b/2', 'e')}")).texts("Blobs/Blob/Name") == []
