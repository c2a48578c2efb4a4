"""What goes wrong while the lab brings up a service."""


class LabError(Exception):
    """Report that a service of the lab did not do what it should."""


class Unavailable(LabError):  # noqa: N818 - it says what the thing is
    """Report that this machine lacks something, and say how to install it.

    A test that meets this skips and shows the message, which begins with the
    name of what is missing.
    """
