"""`meltemi completion SHELL`."""

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the script that completes meltemi's commands and options.

    For bash: meltemi completion bash > ~/.local/share/bash-completion/completions/meltemi
    """
    from meltemi.cli.main import meltemi  # noqa: PLC0415 - which imports this on demand

    completion = get_completion_class(shell)
    if completion is None:
        raise AssertionError(f"click completes {shell}")
    click.echo(completion(meltemi, {}, "meltemi", "_MELTEMI_COMPLETE").source())
    return 0
