"""Audit and persons' rights in a real browser."""

from __future__ import annotations

import io
import re
import zipfile

from tests.console.conftest import ADMINISTRATOR, Open
from tests.kit.site import Site

DROP = """(data) => {
  const bag = new DataTransfer();
  bag.items.add(new File([data], "receipt.json", { type: "application/json" }));
  const drop = new DragEvent("drop", { dataTransfer: bag, bubbles: true, cancelable: true });
  document.querySelector("[data-drop]").dispatchEvent(drop);
}"""


def test_the_story_of_an_auditor_and_a_request_for_erasure(page: Open, site: Site) -> None:
    site.put("2026/11/49301234.wav", b"RIFF a voice", {"customer": "49301234"})
    with page(user=ADMINISTRATOR) as seen:
        seen.open("/console/audit")
        tab = seen.page
        tab.get_by_label("Actor").fill("nobody")
        tab.get_by_role("button", name="Apply").click()
        tab.get_by_text("Nothing matches").wait_for()
        assert "actor=nobody" in tab.url
        tab.get_by_role("link", name="Clear all").click()
        tab.get_by_role("button", name="Verify").click()
        tab.get_by_text("All is there and unchanged").wait_for()
        tab.get_by_role("button", name="Show what was stored").click()
        tab.locator("#state dt", has_text="Blobs").wait_for()
        tab.get_by_role("link", name="49301234.wav").first.click()
        tab.get_by_role("heading", name="History").wait_for()
        slider = tab.locator("#slide")
        slider.focus()
        slider.press("End")
        before = tab.get_by_label("Moment", exact=True).input_value()
        slider.press("Home")
        assert tab.get_by_label("Moment", exact=True).input_value() < before
        tab.get_by_role("button", name="Show").click()
        tab.get_by_text(re.compile("there was no record|Last record")).wait_for()
        with tab.expect_download() as started:
            tab.get_by_role("link", name="Download receipt").click()
        receipt = started.value.path()
        assert seen.findings() == []

        seen.open("/console/persons")
        tab.get_by_label("In names of blobs").fill("*49301234*")
        tab.get_by_role("button", name="Find").click()
        tab.get_by_role("heading", name="Found: 1").wait_for()
        assert seen.findings() == []
        tab.get_by_role("button", name="Export as zip").click()
        link = tab.get_by_role("link", name="Download export.zip")
        link.wait_for()
        with tab.expect_download() as started:
            link.click()
        with zipfile.ZipFile(io.BytesIO(started.value.path().read_bytes())) as file:
            assert "export.json" in file.namelist()
        go = tab.get_by_role("button", name=re.compile("Erase 1.resource for good"))
        assert go.is_disabled()
        tab.get_by_label(re.compile("To erase, type")).fill("erase 1 resource")
        go.click()
        tab.get_by_text(re.compile("1.resource ended")).wait_for()

        seen.open("/console/audit")
        tab.get_by_label("Receipt to check").set_input_files(receipt)
        tab.get_by_role("button", name="Check receipt").click()
        tab.get_by_role("heading", name="The receipt holds").wait_for()
        assert seen.findings() == []
        seen.open("/console/audit")
        tab.evaluate(DROP, receipt.read_text())
        tab.get_by_role("heading", name="The receipt holds").wait_for()


def test_they_fit(page: Open) -> None:
    with page(user=ADMINISTRATOR) as seen:
        for path in ("/console/audit", "/console/persons", "/console/notifications"):
            seen.open(path)
            seen.fits()
