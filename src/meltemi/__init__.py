"""One image library for every region of your cloud."""

__version__ = "0.1.0.dev0"
