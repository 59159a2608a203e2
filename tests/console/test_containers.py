"""The story of a blob in a real browser: uploaded, found, played from the middle, held, deleted."""

from __future__ import annotations

import io
import wave
from pathlib import Path

from tests.console.conftest import ADMINISTRATOR, Open
from tests.kit.site import Site

AT = "/console/containers/harbour/recordings"
MORE = ("/retention?keep=days&days=1", "/remove", "/holds")
DROP = """(data) => {
  const bag = new DataTransfer();
  bag.items.add(new File([data], "dropped.txt", { type: "text/plain" }));
  const drop = new DragEvent("drop", { dataTransfer: bag, bubbles: true });
  document.querySelector("[data-drop]").dispatchEvent(drop);
}"""


def sound(seconds: int) -> bytes:
    """A recording of silence, longer than one block of an upload from 66 seconds on."""
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16_000 * seconds))
    return made.getvalue()


def test_a_recording_is_uploaded_played_held_and_deleted(page: Open, tmp_path: Path) -> None:
    call = tmp_path / "call.wav"
    call.write_bytes(sound(100))
    note = tmp_path / "note.txt"
    note.write_text("first")
    with page(user=ADMINISTRATOR) as seen:
        seen.open(AT)
        tab = seen.page
        tab.get_by_label("Files to upload").set_input_files([call, note])
        tab.get_by_text("on disk, 1.6").wait_for()
        tab.get_by_text("on disk, 5").wait_for()
        tab.get_by_role("link", name="Show the list with what was uploaded").click()
        tab.get_by_role("link", name="call.wav", exact=True).click()
        audio = tab.get_by_label("The recording")
        audio.evaluate("(player) => { player.preload = 'auto'; player.load(); }")
        audio.evaluate("(p) => new Promise((done) => { p.oncanplay = done; if (p.readyState > 2) done(); })")
        assert audio.evaluate("(player) => Math.round(player.duration)") == 100
        audio.evaluate("(p) => new Promise((done) => { p.onseeked = done; p.currentTime = 90; })")
        assert audio.evaluate("(player) => player.currentTime") == 90

        tab.get_by_text("Edit tags").click()
        tab.get_by_role("textbox", name="Tags").fill("RecordingType=CALL\nStoredTime=2026-11-28T10:00:00Z")
        tab.get_by_role("button", name="Save tags").click()
        tab.get_by_role("status").get_by_text("Saved the tags.").wait_for()
        tab.get_by_label("Reason").fill("Complaint 2026-1187")
        tab.get_by_role("button", name="Set a hold").click()
        tab.get_by_text("“Complaint 2026-1187”").wait_for()
        assert tab.get_by_role("button", name="Delete…").is_disabled()
        tab.get_by_role("button", name="Lift this hold").click()
        tab.get_by_role("link", name="Delete…").click()
        tab.get_by_role("button", name="Delete this blob for good").click()
        tab.get_by_role("status").get_by_text("Deleted call.wav").wait_for()
        assert tab.get_by_role("link", name="call.wav", exact=True).count() == 0


def test_a_name_that_is_taken_is_replaced_only_on_request(page: Open, tmp_path: Path) -> None:
    file = tmp_path / "taken.txt"
    file.write_text("one")
    with page(user=ADMINISTRATOR) as seen:
        seen.expected.add(409)
        seen.open(AT)
        tab = seen.page
        tab.get_by_label("Files to upload").set_input_files(file)
        tab.get_by_text("on disk, 3").wait_for()
        file.write_text("four")
        tab.get_by_label("Files to upload").set_input_files(file)
        tab.get_by_role("button", name="Replace taken.txt").click()
        tab.get_by_text("on disk, 4").wait_for()
        tab.get_by_role("link", name="Open").last.click()
        assert tab.get_by_role("group", name="The text").inner_text() == "four"


def test_a_lost_connection_is_resumed_and_a_dropped_file_arrives(page: Open, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(range(256)) * 4096 * 5)
    sent: list[str] = []
    with page(user=ADMINISTRATOR) as seen:
        seen.open(AT)
        tab = seen.page
        broken = "**/blocks?*block=2*"
        tab.route(broken, lambda route: route.abort())
        tab.get_by_label("Files to upload").set_input_files(large)
        tab.get_by_text("Connection lost at 2.1").wait_for()
        tab.unroute(broken)
        tab.on("request", lambda request: sent.append(f"{request.method} {request.url}"))
        seen.faults.clear()  # the browser reports the lost connection
        tab.get_by_role("button", name="Resume large.bin").click()
        tab.get_by_text("on disk, 5.2").wait_for()
        assert len([one for one in sent if one.startswith("PUT")]) == 3, "blocks 0 and 1 were kept"
        tab.evaluate(DROP, "hello")
        tab.get_by_text("on disk, 5\u00a0B").wait_for()


def test_an_upload_is_cancelled_and_resumed(page: Open, tmp_path: Path) -> None:
    large = tmp_path / "cancelled.bin"
    large.write_bytes(bytes(range(256)) * 4096 * 3)
    with page(user=ADMINISTRATOR) as seen:
        seen.open(AT)
        tab = seen.page
        tab.route("**/blocks?*block=1*", lambda _route: None)  # is never answered
        tab.get_by_label("Files to upload").set_input_files(large)
        tab.get_by_text("block 1 of 3").wait_for()
        tab.get_by_role("button", name="Cancel cancelled.bin").click()
        tab.get_by_text("Cancelled; sent blocks are kept for 7 days").wait_for()
        tab.unroute("**/blocks?*block=1*")
        seen.faults.clear()  # the browser may report the request that was ended
        tab.get_by_role("button", name="Resume cancelled.bin").click()
        tab.get_by_text("on disk, 3.1").wait_for()


def test_a_container_is_emptied_with_progress(page: Open, site: Site) -> None:
    for number in range(3):
        site.put(f"gone-{number}.txt", b"gone", {}, "gim-export")
    with page(user=ADMINISTRATOR) as seen:
        seen.open("/console/containers/harbour/gim-export/remove")
        tab = seen.page
        go = tab.get_by_role("button", name="Delete 3")
        assert go.is_disabled()
        tab.get_by_label("To empty it, type").fill("harbour/gim-export")
        go.click()
        tab.get_by_text("Deleted 3\u00a0blobs of gim-export.").wait_for()
        seen.open("/console/containers/harbour/gim-export")
        tab.get_by_text("This container is empty").wait_for()


def test_a_search_marks_its_fault_and_offers_the_repair(page: Open, site: Site) -> None:
    site.put("8888/found.wav", b"RIFF", {"StoredTime": "2026-11-02T10:00:00Z"})
    with page(user=ADMINISTRATOR) as seen:
        seen.expected.add(400)
        seen.open(AT)
        tab = seen.page
        tab.get_by_label("Tags", exact=True).fill("StoredTime >= 2026-11-01")
        tab.get_by_role("button", name="Search", exact=True).click()
        assert tab.locator("mark.fault").inner_text() == "2026-11-01"
        assert tab.evaluate("document.activeElement.id") == "where"
        assert seen.findings() == []
        tab.get_by_role("link", name="Put the quotes there and search").click()
        tab.get_by_role("link", name="8888/found.wav", exact=True).wait_for()


def test_blobs_are_previewed_beside_the_list_by_keyboard(page: Open, site: Site) -> None:
    for number in range(30):
        site.put(f"preview/{number:02}.wav", sound(1), {"RecordingType": "CALL"})
    site.put("preview/note.txt", b"<script>document.title = 'ran'</script>", {})
    with page(user=ADMINISTRATOR, width=1440) as seen:
        tab = seen.page
        seen.open(f"{AT}?prefix=preview/")
        tab.get_by_role("link", name="Preview of 25.wav").focus()
        tab.keyboard.press("Enter")
        pane = tab.get_by_role("complementary", name="Preview")
        pane.get_by_label("The recording 25.wav").wait_for()
        assert tab.locator("tr.here").inner_text().startswith("25.wav")
        assert tab.locator("tr.here").is_visible()
        box, row = pane.bounding_box(), tab.locator("tr.here").bounding_box()
        assert box["x"] > row["x"] + row["width"], "beside the list"
        assert 0 <= box["y"] < 900, "and seen without scrolling"
        assert 0 <= row["y"] < 900
        for width in (1440, 1280):
            tab.set_viewport_size({"width": width, "height": 900})
            assert seen.cut_times() == []
        tab.get_by_role("link", name="Preview of note.txt").click()
        assert pane.get_by_label("The text note.txt").inner_text().startswith("<script>")
        assert "ran" not in tab.title()
        seen.fits(shift=0.01)
        tab.set_viewport_size({"width": 390, "height": 800})
        below = tab.locator("table.listing").bounding_box()
        assert pane.bounding_box()["y"] >= below["y"] + below["height"], "below the list"
        pane.get_by_role("link", name="Close").click()
        pane.wait_for(state="detached")


def test_an_uploaded_page_runs_nothing(page: Open, site: Site) -> None:
    evil = b"<svg xmlns='http://www.w3.org/2000/svg'><script>document.title = 'ran'</script></svg>"
    site.put("evil.svg", evil, {})
    with page(user=ADMINISTRATOR) as seen:
        seen.open(f"{AT}/blob?name=evil.svg")
        seen.page.get_by_alt_text("evil.svg").wait_for()
        source = seen.page.get_by_alt_text("evil.svg").get_attribute("src")
        seen.page.goto(f"{seen.base}{source}")
        assert "ran" not in seen.page.title()
        seen.faults[:] = [fault for fault in seen.faults if "sandboxed" not in fault]


def test_the_pages_fit_and_move_nothing(page: Open, site: Site) -> None:
    name = "8888/2026-11-28/0004C06AN88TN2MP904S02LAES000001_2026-11-28_18-59-26-0064021D.wav"
    site.put(name, sound(2), {"RecordingType": "CALL", "Queue": "claims"})
    with page(user=ADMINISTRATOR) as seen:
        seen.open("/console/containers")
        seen.fits()
        for path in (
            "",
            "?prefix=8888/2026-11-28/",
            f"/blob?name={name}",
            f"/blob/delete?name={name}",
            *MORE,
        ):
            seen.open(f"{AT}{path}")
            seen.fits(shift=0.01 if seen.page.locator("audio").count() else 0.001)
