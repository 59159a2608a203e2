"""Read a Containerfile: its stages and their instructions, as a builder does."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

WORDS = frozenset(
    ("ARG", "FROM", "RUN", "COPY", "LABEL", "ENV", "WORKDIR", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL")
) | {"HEALTHCHECK", "ENTRYPOINT", "CMD"}


@dataclass
class Stage:
    """A stage: its name and its (instruction, argument) pairs in order."""

    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, word: str) -> str:
        """The argument of the last instruction of that name."""
        return [argument for found, argument in self.steps if found == word][-1]

    def listed(self, word: str) -> list[str]:
        """The same, of an instruction in its JSON form."""
        found: list[str] = json.loads(self.last(word))
        return found

    @property
    def environment(self) -> dict[str, str]:
        """What the ENV instructions set."""
        pairs = [pair for word, argument in self.steps if word == "ENV" for pair in shlex.split(argument)]
        return dict(pair.split("=", 1) for pair in pairs)

    @property
    def user(self) -> tuple[int, int]:
        """The ids that USER names."""
        user, _, group = self.last("USER").partition(":")
        return int(user), int(group)


def stages(path: Path) -> list[Stage]:
    """The stages of a file. Raises AssertionError on an instruction that builders do not know."""
    text = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
    found: list[Stage] = []
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        word, _, argument = line.strip().partition(" ")
        if not word:
            continue
        assert word in WORDS, word
        if word == "FROM":
            found.append(Stage(argument.partition(" AS ")[2]))
        elif word != "ARG":
            found[-1].steps.append((word, argument.strip()))
    return found
