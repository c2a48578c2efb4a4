"""The command line: arguments, output, progress and exit codes. No logic."""
