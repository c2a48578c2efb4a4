"""The command line as a user starts it, Python and all, each time anew."""

from functools import partial

from tests.support import cli

meltemi = partial(cli.meltemi, anew=True)
succeed = partial(cli.succeed, anew=True)
