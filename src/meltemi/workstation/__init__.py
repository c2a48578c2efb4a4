"""Images of a library and files of this machine: push, pull, and what an image descends from."""
