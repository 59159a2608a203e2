"""A table or key that is there twice: the error names the file and both lines, and says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from retain.api.config.document import commented_file
from retain.api.config.load import ConfigError, load


def refused(folder: Path, text: str) -> str:
    path = folder / "retain.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert caught.value.source == str(path)
    return caught.value.reason


def test_a_table_appended_to_what_init_writes_names_the_line_it_is_declared_in(tmp_path: Path) -> None:
    written = commented_file()
    first = written.split("\n").index("[server]") + 1
    second = written.count("\n") + 1
    assert refused(tmp_path, written + "[server]\nbehind_proxy = true\n") == (
        f"line {second}: the table [server] is declared already in line {first}; "
        f"move the keys below line {second} to that table and remove line {second}"
    )


@pytest.mark.parametrize("end", ["", "\n", "\r\n", " # my own\n", "\nbind = 'localhost:1'\n"])
def test_whatever_ends_the_file(tmp_path: Path, end: str) -> None:
    reason = refused(tmp_path, f"[server]\n[log]\n[server]{end}")
    assert reason.startswith("line 3: the table [server] is declared already in line 1")


def test_a_key_that_is_set_twice_names_both_lines(tmp_path: Path) -> None:
    reason = refused(tmp_path, "[server]\nbind = 'localhost:1'\n\nbind = 'localhost:2'\n")
    assert reason == "line 4: the key bind is set already in line 2; remove one of the two lines"


def test_a_line_within_a_text_declares_nothing(tmp_path: Path) -> None:
    text = "[console]\ntitle = '''\n[server]\n'''\n[server]\n[server]\n"
    assert refused(tmp_path, text).startswith("line 6: the table [server] is declared already in line 5")


@pytest.mark.parametrize(
    "text", ["[server]\nbind = = 1", "[server\n", "[server]\nbind = 'a\n[server]\n", "bind"]
)
def test_other_mistakes_are_told_in_the_words_of_the_parser(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, text).startswith("is not TOML: ")
