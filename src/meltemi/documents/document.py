"""Read YAML into plain data, and remember the line of everything in it.

Plain words are text, save for true, false, null (or nothing) and whole numbers: `off`, `no`,
1.10, 007 and 2024-01-01 are what they look like. A file cannot make the reader spend more than a
bounded amount of time or memory.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from meltemi.errors import ConfigurationError

Place = tuple[str | int, ...]
"""Where something is in a document: keys of mappings and indexes of lists."""

MAX_BYTES: Final = 2**19
MAX_NODES: Final = 100_000
"""With aliases followed, so that a few lines cannot stand for millions."""

_MAX_DEPTH: Final = 16
_SHOWN: Final = 300
_WHOLE_NUMBER: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")
_WORDS: Final = {"true": True, "false": False, "null": None, "~": None, "": None}
_PLAIN_TAGS: Final = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))


class Problem(NamedTuple):
    """One thing that is wrong, and its line; None where it is about the file as a whole."""

    line: int | None
    text: str


@dataclass(slots=True)
class Document:
    """Plain data, and the line of every place in it: of its key in a mapping."""

    data: object = None
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, place: Place) -> int:
        """Give the line of a place, or of the nearest place around it."""
        while place not in self.lines:
            place = place[:-1]
        return self.lines[place]


def fail(file: Path, problems: list[Problem]) -> ConfigurationError:
    """Make the error for what is wrong in a file: the first problem, and how many more."""
    line, text = min(problems, key=lambda problem: problem.line or 0)
    where = f"{file}:{line}" if line else f"{file}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return ConfigurationError(f"{where}: {shown}{more}")


def read_document(file: Path) -> Document:
    """Read a file; raise ConfigurationError where it is not one document of sound YAML.

    The data of an empty one is None.
    """
    text = read_text(file)
    try:
        root = yaml.compose(text, _Loader)
        document = _Builder().build(root) if root else Document()
    except yaml.MarkedYAMLError as error:
        raise fail(file, [_explain(error)]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise fail(file, [Problem(line, "a control character, which YAML forbids")]) from None
    except RecursionError:
        raise fail(file, [Problem(None, "nested too deeply")]) from None
    if document.problems:
        raise fail(file, document.problems)
    return document


def read_versioned(file: Path, version: int) -> Document:
    """Read a file whose document is a mapping that bears this version of its format."""
    document = read_document(file)
    data = document.data
    if data is None:
        raise fail(file, [Problem(None, f"empty; it has to begin with 'version: {version}'")])
    if not isinstance(data, dict):
        problem = f"has to be a mapping that begins with 'version: {version}'"
        raise fail(file, [Problem(1, problem)])
    found = data.get("version")
    if found is None:
        raise fail(file, [Problem(1, f"version: missing; begin with 'version: {version}'")])
    if found != version or isinstance(found, bool):
        problem = f"version: this Meltemi reads version {version} only"
        raise fail(file, [Problem(document.line(("version",)), problem)])
    return document


class _Loader(yaml.SafeLoader):
    """Takes every plain word for text; `_Builder` knows the exceptions."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - as PyYAML declares it


class _Builder:
    def __init__(self) -> None:
        self._document = Document()
        self._nodes = 0

    def build(self, root: yaml.Node) -> Document:
        self._document.lines[()] = _line(root)
        self._document.data = self._value(root, ())
        return self._document

    def _value(self, node: yaml.Node, place: Place) -> object:
        self._nodes += 1
        if self._nodes > MAX_NODES or len(place) > _MAX_DEPTH:
            raise yaml.MarkedYAMLError(
                problem="nested too deeply, or too much of it", problem_mark=node.start_mark
            )
        if node.tag not in _PLAIN_TAGS:
            self._report(node, place, f"the tag {node.tag!r} has no meaning here")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, (*place, index)) for index, item in enumerate(node.value)]
        value = _scalar(node)
        if value is None:
            self._report(node, place, "has no value; remove it or fill it in")
        return value

    def _item(self, node: yaml.Node, place: Place) -> object:
        self._document.lines[place] = _line(node)
        return self._value(node, place)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, object]:
        mapping: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = _scalar(key_node)
            if not isinstance(key, str):
                self._report(key_node, place, "a key has to be text; put it in quotes")
                continue
            inner = (*place, key)
            if key in mapping:
                first = self._document.lines[inner]
                self._report(key_node, inner, f"given twice, first on line {first}")
                continue
            self._document.lines[inner] = _line(key_node)
            mapping[key] = self._value(value_node, inner)
        return mapping

    def _report(self, node: yaml.Node, place: Place, problem: str) -> None:
        text = f"{dotted(place)}: {problem}" if place else problem
        self._document.problems.append(Problem(_line(node), text))


def dotted(place: Place) -> str:
    """Write a place as a person does: routes.golden.match[0].name."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).lstrip(".")


def read_text(file: Path) -> str:
    """Read a file that people write; raise ConfigurationError where it cannot be one."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise fail(file, [Problem(None, f"cannot be read: {reason}")]) from None
    if len(content) > MAX_BYTES:
        raise fail(file, [Problem(None, f"larger than {MAX_BYTES // 1024} KiB")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise fail(file, [Problem(line, "not in UTF-8")]) from None


def _scalar(node: yaml.Node) -> object:
    """Give the value of a scalar, quoted ones always as text; None for any other node, too."""
    if not isinstance(node, yaml.ScalarNode):
        return None
    text: str = node.value
    if node.style is not None:
        return text
    if _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    return _WORDS.get(text, text)


def _explain(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else None
    if "'\\t'" in str(error.problem):
        return Problem(line, "a tab; indent with spaces")
    return Problem(line, ", ".join(filter(None, (error.context, error.problem))))


def _line(node: yaml.Node) -> int:
    line: int = node.start_mark.line + 1
    return line
