"""Rules in the language of oslo.policy, made into functions.

oslo.policy reads them. It could evaluate them as well, at half a millisecond for each image of a
listing; functions that call each other take some microseconds, and say the same.
"""

import ast
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Facts = Mapping[str, object]
"""What is known of a thing that is asked for, or of who asks."""

Test = Callable[[Facts, Facts], bool]
"""Says whether something may be done, by the facts of the thing and of who asks."""

_WORDS: Final = frozenset({"and", "or", "not", "@", "!"})
_REMOTE: Final = ("http", "https")
_FIELD: Final = re.compile(r"%\((\w+)\)s")


class RuleError(Exception):
    """A rule is wrong; `rule` is its name."""

    def __init__(self, rule: str, problem: str) -> None:
        super().__init__(problem)
        self.rule = rule


def compile_rules(texts: Mapping[str, str]) -> dict[str, Test]:
    """Make a function of each rule, by their names; rules may refer to each other.

    Raise RuleError for the first that is wrong, refers to none, or goes round in circles.
    """
    compiler = _Compiler(texts)
    return {name: compiler.rule(name) for name in texts}


class _Compiler:
    def __init__(self, texts: Mapping[str, str]) -> None:
        from oslo_policy import policy  # noqa: PLC0415 - slow to import

        self._language = policy
        self._texts = texts
        self._tests: dict[str, Test] = {}
        self._under_way: list[str] = []

    def rule(self, name: str) -> Test:
        """Make a function of a rule, and of those that it refers to."""
        if name not in self._tests:
            self._under_way.append(name)
            try:
                self._tests[name] = self._test(self._parse(self._texts[name]))
            except ValueError as error:
                raise RuleError(name, str(error)) from None
            self._under_way.pop()
        return self._tests[name]

    def _parse(self, text: str) -> Any:
        words = [word.strip("()") for word in text.split()]
        for word in filter(None, words):
            if word.lower() not in _WORDS and (":" not in word or word.startswith('"')):
                raise ValueError(f"{word!r} is no check such as role:admin")
        # Of what it cannot read, it logs a trace, and makes a rule that nobody passes.
        logging.getLogger("oslo_policy").setLevel(logging.CRITICAL)
        check = self._language.RuleDefault("", text).check
        if str(check) == "!" and words != ["!"]:
            raise ValueError("not understood: look at its parentheses, and, or, not")
        return check

    def _test(self, check: Any) -> Test:
        language = self._language
        if isinstance(check, language.AndCheck):
            return _all([self._test(part) for part in check.rules])
        if isinstance(check, language.OrCheck):
            return _any([self._test(part) for part in check.rules])
        if isinstance(check, language.NotCheck):
            part = self._test(check.rule)
            return lambda thing, asker: not part(thing, asker)
        if not isinstance(check, language.Check):
            allowed = str(check) == "@"
            return lambda _thing, _asker: allowed
        if check.kind == "rule":
            return self._reference(check.match)
        if check.kind in _REMOTE:
            raise ValueError(f"{check.kind}: rules are not asked of other services")
        return _comparison(_left(check.kind), _right(check.match))

    def _reference(self, name: str) -> Test:
        if name not in self._texts:
            raise ValueError(f"there is no rule {name!r}")
        if name in self._under_way:
            raise ValueError(f"goes round in circles by way of {name!r}")
        return self.rule(name)


def _all(parts: Sequence[Test]) -> Test:
    def test(thing: Facts, asker: Facts) -> bool:
        for part in parts:  # noqa: SIM110 - a listing asks this so often that it shows
            if not part(thing, asker):
                return False
        return True

    return test


def _any(parts: Sequence[Test]) -> Test:
    def test(thing: Facts, asker: Facts) -> bool:
        for part in parts:  # noqa: SIM110 - the same
            if part(thing, asker):
                return True
        return False

    return test


def _comparison(left: Callable[[Facts, str], bool], right: Callable[[Facts], str]) -> Test:
    def test(thing: Facts, asker: Facts) -> bool:
        try:
            return left(asker, right(thing))
        except KeyError:  # what is not known, nothing is like
            return False

    return test


def _right(match: str) -> Callable[[Facts], str]:
    """Read what comes after the colon: a text into which facts of the thing are put."""
    field = _FIELD.fullmatch(match)
    if field:
        key = field[1]
        return lambda thing: str(thing[key])
    try:
        constant = match % _Anything()
    except (TypeError, ValueError):
        raise ValueError(f"{match!r}: facts are put in as %(name)s") from None
    return (lambda thing: match % thing) if "%" in match else (lambda _thing: constant)


def _left(kind: str) -> Callable[[Facts, str], bool]:
    """Read what comes before the colon: `role`, a constant, or the name of a fact of who asks."""
    if kind == "role":
        return lambda asker, text: text.lower() in asker["roles"]  # type: ignore[operator]
    try:
        constant = str(ast.literal_eval(kind))
    except SyntaxError:
        raise ValueError(f"{kind!r} is neither a constant nor the name of a fact") from None
    except ValueError:
        path = kind.split(".")
        return lambda asker, text: _is_found(asker, path, text)
    return lambda _asker, text: text == constant


def _is_found(value: Any, path: list[str], text: str) -> bool:
    if isinstance(value, list | tuple | frozenset):
        return any(_is_found(one, path, text) for one in value)
    if not path:
        return str(value) == text
    return isinstance(value, Mapping) and _is_found(value[path[0]], path[1:], text)


class _Anything(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""
