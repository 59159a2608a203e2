"""Service properties that are remembered: answered as they were set, whatever else is set (section 5.4)."""

from __future__ import annotations

import pytest
import trio

from retain.api.blobs.xml.service_properties import ServiceProperties
from tests.api.blobs.test_containers import PROPERTIES, RULE, properties

POLICY = "<RetentionPolicy><Enabled>true</Enabled><Days>5</Days></RetentionPolicy>"
LOGGING = (
    "<Logging><Version>1.0</Version><Delete>true</Delete><Read>true</Read><Write>false</Write>"
    f"{POLICY}</Logging>"
)
METRICS = f"<Version>1.0</Version><Enabled>true</Enabled><IncludeAPIs>true</IncludeAPIs>{POLICY}".join(
    ("<HourMetrics>", "</HourMetrics>")
)
DELETION = "<DeleteRetentionPolicy><Enabled>true</Enabled><Days>365</Days></DeleteRetentionPolicy>"
WEBSITE = (
    "<StaticWebsite><Enabled>true</Enabled><IndexDocument>a &amp; b.html</IndexDocument>"
    "<ErrorDocument404Path>errors/404.html</ErrorDocument404Path></StaticWebsite>"
)


async def test_what_is_set_is_answered_and_stays_until_it_is_set_again(client):
    before = (await client.send("GET", PROPERTIES)).body.decode()
    off = before[before.index("<MinuteMetrics>") : before.index("<Cors")]
    assert off.count("<Enabled>false</Enabled>") == 2
    assert (await client.send("PUT", PROPERTIES, [], properties(LOGGING + METRICS))).status == 202
    document = properties(DELETION + WEBSITE + f"<Cors>{RULE}</Cors>")
    assert (await client.send("PUT", PROPERTIES, [], document)).status == 202
    answer = await client.send("GET", PROPERTIES)
    after = answer.body.decode()
    assert f"<StorageServiceProperties>{LOGGING}{METRICS}{off}<Cors>{RULE}</Cors>" in after
    assert after.endswith(f"</Cors>{DELETION}{WEBSITE}</StorageServiceProperties>")
    assert (await client.send("PUT", PROPERTIES, [], answer.body)).status == 202
    assert (await client.send("GET", PROPERTIES)).body.decode() == after
    website = properties(
        "<StaticWebsite><Enabled>FALSE</Enabled><IndexDocument>a</IndexDocument></StaticWebsite>"
    )
    assert (await client.send("PUT", PROPERTIES, [], website)).status == 202
    after = (await client.send("GET", PROPERTIES)).body.decode()
    assert f"{DELETION}<StaticWebsite><Enabled>false</Enabled></StaticWebsite>" in after


async def test_whoever_turns_soft_delete_on_is_logged(client, caplog):
    """An operator who believes in it would lose what clients delete."""
    off = "<DeleteRetentionPolicy><Enabled>false</Enabled></DeleteRetentionPolicy>"
    for document in (off, WEBSITE, LOGGING + METRICS):
        assert (await client.send("PUT", PROPERTIES, [], properties(document))).status == 202
    assert caplog.records == []
    token = client.account_sas("w")
    for sas, actor in ((None, "shared key"), (token, "account token")):
        assert (await client.send("PUT", PROPERTIES, [], properties(DELETION), sas=sas)).status == 202
        (record,) = caplog.records
        assert (record.levelname, record.facts["account"], record.facts["actor"]) == (
            "WARNING",
            "tenant",
            actor,
        )
        assert record.facts["address"] == "192.0.2.1"
        caplog.clear()
    refused = properties(DELETION.replace("365", "366"))
    assert (await client.send("PUT", PROPERTIES, [], refused)).status == 400
    assert (await client.send("PUT", PROPERTIES, [], properties(WEBSITE))).status == 202
    assert caplog.records == [], "what is refused, or leaves it as it is, turns nothing on"


async def test_an_account_has_at_most_five_rules_of_cors(client):
    assert (await client.send("PUT", PROPERTIES, [], properties(f"<Cors>{RULE * 5}</Cors>"))).status == 202
    assert (await client.send("GET", PROPERTIES)).body.count(b"<CorsRule>") == 5
    answer = await client.send("PUT", PROPERTIES, [], properties(f"<Cors>{RULE * 6}</Cors>"))
    assert (answer.status, answer.code) == (400, "InvalidXmlDocument")


async def test_the_name_of_a_page_has_at_most_1024_characters(client):
    for length, status in ((1024, 202), (1025, 400)):
        website = f"<Enabled>true</Enabled><IndexDocument>{'x' * length}</IndexDocument>"
        document = properties(f"<StaticWebsite>{website}</StaticWebsite>")
        assert (await client.send("PUT", PROPERTIES, [], document)).status == status
    assert b"x" * 1024 + b"</IndexDocument>" in (await client.send("GET", PROPERTIES)).body


async def test_two_changes_at_once_both_stay(client):
    parts = {
        "Logging": LOGGING,
        "HourMetrics": METRICS,
        "StaticWebsite": WEBSITE,
        "Cors": f"<Cors>{RULE}</Cors>",
    }
    statuses = []

    async def change(part: str) -> None:
        statuses.append((await client.send("PUT", PROPERTIES, [], properties(part))).status)

    async with trio.open_nursery() as nursery:
        for part in parts.values():
            nursery.start_soon(change, part)
    after = (await client.send("GET", PROPERTIES)).body.decode()
    assert statuses == [202] * 4
    assert [name for name, part in parts.items() if part not in after] == []


async def test_deletion_is_final_and_says_so_whatever_is_remembered(client):
    await client.put("a", b"1")
    await client.send("PUT", PROPERTIES, [], properties(DELETION))
    answer = await client.send("DELETE", "/recordings/a")
    assert (answer.status, answer.headers["x-ms-delete-type-permanent"]) == (202, "true")
    answer = await client.send("GET", "/recordings?restype=container&comp=list&include=deleted")
    assert answer.texts("Blobs/Blob/Name") == []
    assert (await client.send("PUT", "/recordings/a?comp=undelete")).code == "NotImplemented"


def test_properties_that_an_earlier_version_kept_are_read():
    stored = ServiceProperties.stored({"cors": [], "default_version": "2021-08-06"})
    assert b"<Logging><Version>1.0</Version><Delete>false</Delete>" in stored.to_xml()


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("<Logging><Read>true</Read></Logging>", "MissingRequiredXmlNode"),
        (LOGGING.replace("1.0", "3.0"), "InvalidXmlNodeValue"),
        (LOGGING.replace("<Read>true", "<Read>yes"), "InvalidXmlNodeValue"),
        (LOGGING.replace("</Logging>", "<Read>true</Read></Logging>"), "InvalidXmlDocument"),
        (LOGGING.replace("<Days>5</Days>", ""), "MissingRequiredXmlNode"),
        (METRICS.replace("<Days>5", "<Days>0"), "InvalidXmlNodeValue"),
        (METRICS.replace("<Days>5", "<Days>366"), "InvalidXmlNodeValue"),
        (METRICS.replace("<Days>5", "<Days>²"), "InvalidXmlNodeValue"),
        (METRICS.replace("<IncludeAPIs>true</IncludeAPIs>", ""), "MissingRequiredXmlNode"),
        (METRICS.replace("IncludeAPIs", "IncludeBytes"), "UnsupportedXmlNode"),
        (DELETION.replace("365", "366"), "InvalidXmlNodeValue"),
        (DELETION.replace("<Enabled>true</Enabled>", ""), "MissingRequiredXmlNode"),
        (WEBSITE.replace("errors/", "e" * 1025), "InvalidXmlNodeValue"),
        (WEBSITE.replace("404.html", "<b>404</b>"), "InvalidXmlDocument"),
    ],
)
async def test_a_setting_that_cannot_be_read_is_refused_and_changes_nothing(client, inner, code):
    before = (await client.send("GET", PROPERTIES)).body
    answer = await client.send("PUT", PROPERTIES, [], properties(inner))
    assert (answer.status, answer.code) == (400, code)
    assert (await client.send("GET", PROPERTIES)).body == before


@pytest.mark.parametrize(
    ("days", "status"),
    [
        *(("0", 400), ("1", 202), ("365", 202), ("366", 400), ("000000365", 202), (" 5", 202)),
        *(("0" * 5000, 400), ("", 400), ("-1", 400), ("1.0", 400), ("\u0661", 400)),
    ],
)
async def test_the_days_of_a_retention_policy(client, days, status):
    policy = f"<DeleteRetentionPolicy><Enabled>true</Enabled><Days>{days}</Days></DeleteRetentionPolicy>"
    assert (await client.send("PUT", PROPERTIES, [], properties(policy))).status == status
