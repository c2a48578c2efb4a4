"""Run the command line with `python -m meltemi`."""

from meltemi.cli.main import main

main()
