"""What can be said of a CEL expression without running it: its syntax, its names, its bounds.

Every refusal is a UsageError that names the line and the column.
"""

import re
from collections.abc import Collection
from difflib import get_close_matches
from typing import Any, Final, NoReturn

from meltemi.errors import UsageError

MAX_LENGTH: Final = 1000
"""Characters; a chain of some thousand terms would exhaust the stack of the evaluation."""

MAX_LOOPS: Final = 3
"""Calls of all, exists, exists_one, filter and map; each one nested multiplies the time."""

VARIABLES: Final = ("image", "now")
FUNCTIONS: Final = (
    *("size", "contains", "startsWith", "endsWith", "matches", "type", "dyn"),
    *("string", "bytes", "int", "uint", "double", "duration", "timestamp"),
    *("getFullYear", "getMonth", "getDate", "getDayOfYear", "getDayOfMonth", "getDayOfWeek"),
    *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
)

_TYPES: Final = ("bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint")
_LITERAL: Final = re.compile(
    r"""[bB]?[rR][bB]?(?:\"\"\".*?\"\"\"|'''.*?'''|"[^"]*"|'[^']*')"""
    r"""|\"\"\"(?:\\.|.)*?\"\"\"|'''(?:\\.|.)*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""
    r"""|//[^\n]*""",
    re.DOTALL,
)
_LOOP: Final = re.compile(r"\b(?:all|exists|exists_one|filter|map)\s*\(\s*(?:(\w+)\s*,)?")
_IMAGE: Final = re.compile(r"\bimage\b(?:\s*\.\s*(\w+))?")
_SYNTAX_ERROR: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?([^\n]*)")
_SHOWN: Final = 80


class Expression:
    """A checked expression: `program` runs it, `asked` has the attributes of an image it names.

    `asked` is None where the expression uses the image as a whole.
    """

    def __init__(self, text: str, attributes: Collection[str]) -> None:
        self._text = text
        if len(text) > MAX_LENGTH:
            self.refuse(f"longer than {MAX_LENGTH} characters", MAX_LENGTH)
        self.program: Any = self._compile()
        # Strings and comments must not be taken for names; blanks keep every position.
        self._code = _LITERAL.sub(lambda found: " " * len(found.group()), text)
        self._check_loops()
        self._check_names()
        self.asked = self._check_attributes(attributes)

    def refuse(self, problem: str, position: int = 0) -> NoReturn:
        """Raise UsageError for a problem at an offset of the text."""
        before = self._text[:position].split("\n")
        place = f"line {len(before)}, column {len(before[-1]) + 1}"
        shown = self._text if len(self._text) <= _SHOWN else f"{self._text[:_SHOWN]}…"
        raise UsageError(f"where: {problem}, at {place} of {' '.join(shown.split())!r}")

    def _compile(self) -> Any:
        import cel  # noqa: PLC0415 - brings a console of its own: half a second

        try:
            return cel.compile(self._text)
        except BaseException as error:  # noqa: BLE001 - a Rust panic is no Exception
            raise_unless_cel(error)
            found = _SYNTAX_ERROR.search(str(error))
            if found is None:
                self.refuse(explain(error))
            line, column, message = found.groups()
            lines = self._text.split("\n")[: int(line) - 1]
            position = sum(len(text) + 1 for text in lines) + int(column) - 1
            if "Recursion limit" in message:
                message = "nested too deeply"
            self.refuse(message.partition(" expecting {")[0], position)

    def _check_loops(self) -> None:
        loops = list(_LOOP.finditer(self._code))
        if len(loops) > MAX_LOOPS:
            self.refuse(f"more than {MAX_LOOPS} loops over lists", loops[MAX_LOOPS].start())

    def _check_names(self) -> None:
        bound = {found[1] for found in _LOOP.finditer(self._code)}
        for name in self.program.variables():
            if name not in {*VARIABLES, *_TYPES, *bound}:
                self._refuse_name("variable", name, VARIABLES)
        for name in self.program.functions():
            # Operators are listed as well, with names such as _&&_.
            if re.fullmatch(r"\w+", name) and name not in FUNCTIONS:
                self._refuse_name("function", name, FUNCTIONS)

    def _check_attributes(self, attributes: Collection[str]) -> frozenset[str] | None:
        asked = set()
        for found in _IMAGE.finditer(self._code):
            name = found[1]
            if name is not None and name not in attributes:
                advice = _suggest(name, attributes) or "other keys are in image.properties"
                self.refuse(f"an image has no {name!r}; {advice}", found.start(1))
            asked.add(name)
        return None if None in asked else frozenset(asked)

    def _refuse_name(self, kind: str, name: str, known: Collection[str]) -> NoReturn:
        found = re.search(rf"\b{re.escape(name)}\b", self._code)
        advice = _suggest(name, known) or f"there are {', '.join(known)}"
        self.refuse(f"unknown {kind} {name!r}; {advice}", found.start() if found else 0)


def raise_unless_cel(error: BaseException) -> None:
    """Let through what is not the expression's doing: an interrupt, an exit.

    A panic in the evaluator's Rust code arrives as a BaseException of a class that cannot be
    imported, and is the expression's doing.
    """
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error


def explain(error: BaseException) -> str:
    """Say in a few words what an evaluation failed for."""
    if isinstance(error, KeyError):
        return f"there is no {error}; ask has() first"
    text = " ".join(str(error).split())
    for advice in (" CEL does not coerce", " Check "):
        text = text.partition(advice)[0]
    return text.rstrip(".")[:200] or type(error).__name__


def _suggest(name: str, known: Collection[str]) -> str | None:
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else None
