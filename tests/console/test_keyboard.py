"""Uploads, settings and persons' rights with nothing but the keyboard."""

from __future__ import annotations

import re
from pathlib import Path

from tests.console.conftest import ADMINISTRATOR, Open
from tests.kit.chromium import Watched
from tests.kit.site import Site

AT = "/console/containers/harbour/recordings"
MOST_TABS = 120
FOCUSED = """() => {
  const one = document.activeElement;
  if (one === document.body) return "";
  const label = one.labels && one.labels.length ? one.labels[0].textContent : "";
  return [one.id, one.name, one.getAttribute("aria-label"), label, one.textContent].join("|");
}"""


def reach(seen: Watched, pattern: str, key: str = "Tab") -> None:
    """Press Tab until what has the focus is called so; it must be seen to have it."""
    for _ in range(MOST_TABS):
        if re.search(pattern, str(seen.page.evaluate(FOCUSED))):
            assert seen.page.evaluate("document.activeElement.matches(':focus-visible')")
            return
        seen.page.keyboard.press(key)
    raise AssertionError(f"no {key} leads to {pattern}")


def press(seen: Watched, pattern: str, key: str = "Enter") -> None:
    """Go to what is called so, and press a key there."""
    reach(seen, pattern)
    seen.page.keyboard.press(key)


def test_a_file_is_uploaded(page: Open, tmp_path: Path) -> None:
    note = tmp_path / "by-keyboard.txt"
    note.write_text("typed")
    with page(user=ADMINISTRATOR) as seen:
        # Listened to from the start: a listener made beside the key press may come after it.
        seen.page.on("filechooser", lambda chooser: chooser.set_files(note))
        seen.open(AT)
        press(seen, "Files to upload|files")
        seen.page.get_by_text("on disk, 5").wait_for()
        press(seen, "Show the list with what was uploaded")
        seen.page.get_by_role("link", name="by-keyboard.txt", exact=True).wait_for()


def test_settings_are_edited(page: Open) -> None:
    with page(user=ADMINISTRATOR) as seen:
        seen.open("/console/settings?application=keyboard-app&user=uwe.lang&edit=user")
        reach(seen, "JSON of the user")
        seen.page.keyboard.press("Control+A")
        seen.page.keyboard.insert_text('{"ui": {"theme": "typed"}}')
        press(seen, r"\|\s*Save\s*$")
        seen.page.get_by_role("status").get_by_text("Saved the settings of the user.").wait_for()


def test_a_persons_data_are_found_and_erased(page: Open, site: Site) -> None:
    site.put("keyboard/77120099.wav", b"RIFF a voice", {"customer": "77120099"})
    with page(user=ADMINISTRATOR) as seen:
        seen.open("/console/persons")
        reach(seen, "In names of blobs")
        seen.page.keyboard.type("*77120099*")
        seen.page.keyboard.press("Enter")
        seen.page.get_by_role("heading", name="Found: 1").wait_for()
        reach(seen, "To erase, type")
        seen.page.keyboard.type("erase 1 resource")
        press(seen, "Erase 1.resource for good")
        seen.page.get_by_text(re.compile("1.resource ended")).wait_for()


def test_a_history_is_read_at_a_moment_and_verified(page: Open, site: Site) -> None:
    """The slider and the field beside it say the same, and the records of today are found by a filter."""
    site.put("keyboard/99120011.wav", b"RIFF a voice", {"customer": "99120011"})
    with page(user=ADMINISTRATOR) as seen:
        seen.open("/console/audit")
        reach(seen, r"^resource\|")
        seen.page.keyboard.type("*99120011.wav")
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_url("**resource=*99120011.wav*")
        press(seen, r"keyboard/99120011\.wav\s*$")
        seen.page.get_by_role("heading", name="History").wait_for()
        reach(seen, "Moment, on a line from")
        slide = seen.page.locator("#slide")
        most = int(slide.get_attribute("max") or 0)
        assert most > 0
        moment = seen.page.get_by_label("Moment", exact=True)
        for key, place in (("Home", 0), ("ArrowRight", 1), ("ArrowLeft", 0), ("End", most), ("Home", 0)):
            seen.page.keyboard.press(key)
            assert int(slide.input_value()) == place, key
            assert slide.get_attribute("aria-valuetext") == moment.input_value().replace("T", ", ")
        press(seen, r"\|\s*Show\s*$")
        seen.page.get_by_text(re.compile("there was no record of it yet|Last record")).wait_for()
        seen.open("/console/audit")
        press(seen, r"\|\s*Verify( again)?\s*$")
        seen.page.get_by_text("All is there and unchanged").wait_for()


def test_a_history_and_what_was_found_fit(page: Open, site: Site) -> None:
    long = "/".join(["a-folder-with-a-long-name-without-any-space"] * 6)
    site.put(f"fit/{long}/88230011.wav", b"RIFF a voice", {"customer": "88230011"})
    with page(user=ADMINISTRATOR) as seen:
        seen.open("/console/audit?resource=*88230011.wav")
        seen.page.get_by_role("link", name=re.compile(r"88230011\.wav")).first.click()
        seen.page.get_by_role("heading", name="History").wait_for()
        seen.fits()
        seen.open("/console/persons")
        seen.page.get_by_label("In names of blobs").fill("*88230011*")
        seen.page.get_by_role("button", name="Find").click()
        seen.page.get_by_role("heading", name="Found: 1").wait_for()
        seen.fits()
