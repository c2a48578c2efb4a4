"""Every error that Meltemi raises on purpose.

    MeltemiError                 exit  HTTP
    ├── UsageError                 2    400   an argument, a selection, an address
    │   └── ConfigurationError     2    400   meltemi.yaml, clouds.yaml: the file and its line
    ├── ImageError                 3    502   one image could not be replicated
    │   ├── VanishedError          3    404   the image is gone
    │   ├── ForbiddenError         3    403   the library does not allow it
    │   ├── ConflictError          3    409   the id is taken, or the image is in another state
    │   ├── RefusedError           3    400   the library does not accept what it was sent
    │   │   ├── MediaTypeError     3    415   data that is not what it should be, or of another type
    │   │   └── RangeError         3    416   a range that is not within the data
    │   ├── GoneError              3    410   the image was deleted while it was filled
    │   ├── PreconditionError      3    412   the data is not that which a request is about
    │   ├── QuotaError             3    413   over quota, or full
    │   ├── CorruptionError        3    502   bytes and their recorded hash disagree
    │   ├── StaleRecordError       3    409   the image changed since it was read
    │   ├── BusyError              3    409   another replicator is at work on the image
    │   └── InterruptedTransfer    3    503   a connection broke, or a server failed; worth a retry
    ├── StalePlanError             4    412   the image changed since the plan was made
    ├── AuthenticationError        5    401   no token, or one that is not accepted
    │   └── UnauthorizedError      5    401   the same, of a request that came in
    ├── UnreachableError           6    504   nothing listens there
    │   ├── IdentityError          6    503   nobody can say now whose a token is, what is allowed
    │   ├── UnavailableError       6    503   what a request takes is away, or pauses
    │   ├── SilentError            6    504   no answer in the time that was given
    │   ├── UntrustedError         6    502   a certificate that is not accepted
    │   └── NotALibraryError       6    502   an answer, but not from an Image API v2
    ├── GuardError                 7    409   more deletions than allowed
    ├── ArchiveError               8    422   an archive that is damaged or not to be trusted
    ├── StoreError                 9    503   a chunk store, its backend or its index failed
    │   ├── MissingError           9    500   an object that should be there is not
    │   ├── DamageError            9    500   what is stored is not what was stored
    │   └── SessionLostError       9    503   a put was taken for dead, and must be made again
    ├── CatalogueError             9    503   a region's database failed, or is not ready
    ├── StateError                 9    503   the daemon's database failed
    │   └── LeaseError             9    503   another daemon has taken over
    └── OutputError               74    500   what was found or done cannot be printed
        └── ClosedOutputError    141    500   nobody reads stdout any more

A command ends with the exit code of the error that ended it; a run in which single images
failed ends with 3. Exit 0 is "in sync", 1 is "differences found", 70 a defect in Meltemi itself,
130 an interrupt. Messages are one line: what happened, to which image, where, what to do.
"""

from collections.abc import Mapping
from typing import ClassVar

__all__ = [
    "ArchiveError",
    "AuthenticationError",
    "BusyError",
    "CatalogueError",
    "ClosedOutputError",
    "ConfigurationError",
    "ConflictError",
    "CorruptionError",
    "DamageError",
    "ForbiddenError",
    "GoneError",
    "GuardError",
    "IdentityError",
    "ImageError",
    "InterruptedTransfer",
    "LeaseError",
    "MediaTypeError",
    "MeltemiError",
    "MissingError",
    "NotALibraryError",
    "OutputError",
    "PreconditionError",
    "QuotaError",
    "RangeError",
    "RefusedError",
    "SessionLostError",
    "SilentError",
    "StalePlanError",
    "StaleRecordError",
    "StateError",
    "StoreError",
    "UnauthorizedError",
    "UnavailableError",
    "UnreachableError",
    "UntrustedError",
    "UsageError",
    "VanishedError",
    "is_passing",
    "printable",
]


class MeltemiError(Exception):
    """An error with a message for the user; the base of all others.

    `library` names the library that as a whole failed, where it was one.
    """

    exit_code: ClassVar[int] = 70
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, library: str | None = None) -> None:
        super().__init__(message)
        self.library = library

    def __str__(self) -> str:
        """Give the message as one line, whatever a server put in it."""
        return printable(" ".join(super().__str__().split()))


class UsageError(MeltemiError):
    """What the user asked for cannot be understood."""

    exit_code = 2
    http_status = 400


class ConfigurationError(UsageError):
    """A configuration file is wrong."""


class ImageError(MeltemiError):
    """One image could not be replicated; the others go on."""

    exit_code = 3
    http_status = 502


class VanishedError(ImageError):
    """The image is not there, or not visible to these credentials."""

    http_status = 404


class ForbiddenError(ImageError):
    """The library's policy does not allow the request."""

    http_status = 403


class ConflictError(ImageError):
    """The id is taken or burnt, or the image is in a state that forbids the request."""

    http_status = 409


class RefusedError(ImageError):
    """The library does not accept what it was sent."""

    http_status = 400


class MediaTypeError(RefusedError):
    """Data is not of the type that was announced, or not safe to have.

    `headers` tell an HTTP client what would be accepted.
    """

    http_status = 415

    def __init__(self, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.headers = headers or {}


class RangeError(RefusedError):
    """A range is not within the data."""

    http_status = 416


class PreconditionError(ImageError):
    """The image's data is not that which a request is about."""

    http_status = 412


class GoneError(ImageError):
    """The image was deleted while its data came."""

    http_status = 410


class QuotaError(ImageError):
    """The library is full, or the project is over its quota."""

    http_status = 413


class CorruptionError(ImageError):
    """Bytes do not have the hash that is recorded for them."""


class StaleRecordError(ImageError):
    """The image has changed since it was read; what was to be changed must be decided anew."""

    http_status = 409


class BusyError(ImageError):
    """Another replicator holds a claim on the image, or is sending it."""

    http_status = 409


class InterruptedTransfer(ImageError):  # noqa: N818 - it names what happened
    """A connection broke or a server failed; the same request may succeed later.

    `repeated` says that it has been sent again already, as often as makes sense.
    """

    http_status = 503
    repeated = False


class StalePlanError(MeltemiError):
    """An image is no longer what it was when the plan was made."""

    exit_code = 4
    http_status = 412


class AuthenticationError(MeltemiError):
    """The identity service or the library did not accept the credentials."""

    exit_code = 5
    http_status = 401


class UnauthorizedError(AuthenticationError):
    """A request came in without a token, or with one that is not accepted.

    `challenge` tells its sender how to authenticate: the header WWW-Authenticate of the answer.
    """

    def __init__(self, message: str, *, challenge: str) -> None:
        super().__init__(message)
        self.challenge = challenge


class UnreachableError(MeltemiError):
    """Nothing answers at the address."""

    exit_code = 6
    http_status = 504


class IdentityError(UnreachableError):
    """The identity service is away, or does not do its part.

    Nobody can say whose a token is, or what a project may have.

    `retry_after` is in how many seconds it is worth asking again.
    """

    http_status = 503
    retry_after = 5


class UnavailableError(UnreachableError):
    """What a request takes is not to be had at the moment; `told` says so to whoever sent it.

    The message is for operators, who may know of addresses that are no users' business.
    """

    http_status = 503

    def __init__(self, message: str, *, told: str) -> None:
        super().__init__(message)
        self.told = told


class SilentError(UnreachableError):
    """The library has been silent for as long as it may be; asking again would take as long."""


class UntrustedError(UnreachableError):
    """The certificate at the address is not accepted."""

    http_status = 502


class NotALibraryError(UnreachableError):
    """Something answers at the address, but it is no Image service with API v2."""

    http_status = 502


class GuardError(MeltemiError):
    """The run would delete more than the operator allowed."""

    exit_code = 7
    http_status = 409


class ArchiveError(MeltemiError):
    """An archive is damaged, or holds something it must not hold."""

    exit_code = 8
    http_status = 422


class StoreError(MeltemiError):
    """A chunk store cannot be used: its backend or its index failed."""

    exit_code = 9
    http_status = 503


class MissingError(StoreError):
    """An object that should be there is not."""

    http_status = 500


class DamageError(StoreError):
    """What is stored is not what was stored; it is never served."""

    http_status = 500


class SessionLostError(StoreError):
    """A put was taken for dead, or lost what it relied on; made again, it may succeed."""


class CatalogueError(MeltemiError):
    """A region's catalogue cannot be used: its database failed, or does not have its tables."""

    exit_code = 9
    http_status = 503


class StateError(MeltemiError):
    """The daemon's database failed."""

    exit_code = 9
    http_status = 503


class LeaseError(StateError):
    """Another daemon has taken over."""


class OutputError(MeltemiError):
    """Stdout does not take the result; what was to be done is done."""

    exit_code = 74


class ClosedOutputError(OutputError):
    """Whoever read stdout has gone; the shell says the same of a program that SIGPIPE ended."""

    exit_code = 141


def is_passing(error: Exception) -> bool:
    """Say whether the same request may succeed in a moment.

    Not where it was repeated in vain: whoever asked for it would multiply the repetitions.
    """
    if isinstance(error, InterruptedTransfer):
        return not error.repeated
    broken = isinstance(error, UnreachableError)
    return broken and not isinstance(error, SilentError | UntrustedError | NotALibraryError)


def printable(text: str) -> str:
    """Take out what could break a line or command a terminal: names come from strangers."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
