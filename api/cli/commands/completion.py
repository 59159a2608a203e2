"""`retain completion`: the script with which a shell completes commands and options."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

from retain.api.cli.main import WRONG, Stopped

SHELLS: Final = ("bash", "zsh", "fish")
NAME: Final = "retain"
VARIABLE: Final = "_RETAIN_COMPLETE"


@click.command(name="completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the completion script for SHELL (bash, zsh or fish).

    \b
    bash: mkdir -p ~/.local/share/bash-completion/completions
          retain completion bash > ~/.local/share/bash-completion/completions/retain
    zsh:  retain completion zsh > "${fpath[1]}/_retain"
    fish: retain completion fish > ~/.config/fish/completions/retain.fish
    """
    from retain.api.cli.main import main  # which imports the commands by name

    found = get_completion_class(shell)
    if found is None:
        raise Stopped(f"no completion for {shell}; choose one of {', '.join(SHELLS)}", WRONG)
    try:
        script = found(main, {}, NAME, VARIABLE).source()
    except RuntimeError as error:  # a bash older than 4.4 is installed
        raise Stopped(f"{shell}: {error}", WRONG) from None
    click.echo(script)
