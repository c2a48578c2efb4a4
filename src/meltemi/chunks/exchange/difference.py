"""The difference of images: which stretches of one are in others, and which pieces are in none.

Segments that manifests have in common are not looked into: of a tree of a million chunks, only
what leads to differences is read (docs/exchange.md).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Protocol

from meltemi.chunks.blob import BlobId
from meltemi.chunks.exchange.delta import Origin, Stretch
from meltemi.chunks.manifest import Entry, Root, Segment

TOGETHER: Final = 64
"""Segments that are asked for at once; a leaf has some 20 KB."""


class Place(NamedTuple):
    """Where a segment is in a manifest: its level, and where in the data it begins."""

    level: int
    offset: int


class Tree(Protocol):
    """A manifest that is read from somewhere."""

    @property
    def root(self) -> Root:
        """Give the top of it."""
        ...

    async def segments(self, places: Sequence[Place]) -> Sequence[Segment]:
        """Give at most `TOGETHER` segments, in the order in which they are asked for."""
        ...


class Base(NamedTuple):
    """Something that the other side has: its manifest, and what a delta calls it."""

    tree: Tree
    origin: Origin
    number: int


class Piece(NamedTuple):
    """A piece of the data that no base has: where it begins, and what it is.

    Where the same bytes occur once more, the entry is the same.
    """

    offset: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class _Node:
    """A segment of a tree, and where a base has it too; the top, which has no name, is never."""

    place: Place
    length: int
    segment: BlobId | None
    found: Stretch | None = None


async def difference(source: Tree, bases: Sequence[Base]) -> AsyncGenerator[Stretch | Piece]:
    """Tell what the source's data consists of, in order: stretches of bases, zeros, and pieces.

    Memory grows with what the bases have and the source does not share, by some 200 bytes a chunk.
    """
    for base in bases:
        if base.tree.root == source.root:
            yield Stretch(source.root.size, base.origin, base.number)
            return
    nodes, others = await _descended(source, bases)
    known = await _known(bases, others)
    for group in _groups(nodes):
        read = [node for node in group if node.found is None]
        found = iter(await _contents(source, read))
        for node in group:
            if node.found is not None:
                yield node.found
                continue
            for offset, entry in _placed(node, next(found)):
                zeros = Stretch(entry.length) if entry.chunk is None else None
                yield zeros or known.get(entry) or Piece(offset, entry)


async def _descended(source: Tree, bases: Sequence[Base]) -> tuple[list[_Node], list[list[_Node]]]:
    """Go down to the leaves, together: what both have on a level is followed no further.

    Give the source's nodes in the order of the data, leaves and what a base has too, and of each
    base the leaves that the source has not.
    """
    nodes = [_top(source.root)]
    others = [[_top(base.tree.root)] for base in bases]
    for level in range(max(tree.root.top.level for tree in (source, *_trees(bases))), -1, -1):
        known = {
            node.segment: Stretch(node.length, base.origin, base.number, node.place.offset)
            for base, theirs in zip(reversed(bases), reversed(others), strict=True)
            for node in theirs
            if node.place.level == level and node.segment is not None
        }
        nodes = [
            replace(node, found=known.get(node.segment))
            if node.place.level == level and node.segment is not None
            else node
            for node in nodes
        ]
        shared = {node.segment for node in nodes if node.found is not None}
        others = [[node for node in theirs if node.segment not in shared] for theirs in others]
        if level:
            nodes = await _expanded(source, nodes, level)
            others = [
                await _expanded(base.tree, theirs, level)
                for base, theirs in zip(bases, others, strict=True)
            ]
    return nodes, others


def _trees(bases: Sequence[Base]) -> Iterator[Tree]:
    return (base.tree for base in bases)


def _top(root: Root) -> _Node:
    return _Node(Place(root.top.level, 0), root.size, None)


async def _expanded(tree: Tree, nodes: Sequence[_Node], level: int) -> list[_Node]:
    """Put in place of the nodes of a level, as far as no base has them, those below them."""
    done: list[_Node] = []
    for group in _groups(nodes):
        open_ = [node for node in group if node.place.level == level and node.found is None]
        found = iter(await _contents(tree, open_))
        for node in group:
            if node.place.level != level or node.found is not None:
                done.append(node)
                continue
            at = node.place.offset
            for length, segment in next(found).children:
                done.append(_Node(Place(level - 1, at), length, segment))
                at += length
    return done


async def _contents(tree: Tree, nodes: Sequence[_Node]) -> list[Segment]:
    """Give what is in nodes, at most `TOGETHER`."""
    named = [node.place for node in nodes if node.segment is not None]
    read = iter(await tree.segments(named)) if named else iter(())
    return [tree.root.top if node.segment is None else next(read) for node in nodes]


async def _known(bases: Sequence[Base], leaves: Sequence[Sequence[_Node]]) -> dict[Entry, Stretch]:
    """Say where bases have the entries of their leaves."""
    known: dict[Entry, Stretch] = {}
    for base, theirs in zip(bases, leaves, strict=True):
        async for offset, entry in _entries(base.tree, theirs):
            if entry.chunk is not None:
                stretch = Stretch(entry.length, base.origin, base.number, offset)
                known.setdefault(entry, stretch)
    return known


async def _entries(tree: Tree, leaves: Sequence[_Node]) -> AsyncIterator[tuple[int, Entry]]:
    for group in _groups(leaves):
        for node, segment in zip(group, await _contents(tree, group), strict=True):
            for placed in _placed(node, segment):
                yield placed


def _placed(node: _Node, segment: Segment) -> Iterator[tuple[int, Entry]]:
    """Give the entries of a leaf, and where in the data each begins."""
    at = node.place.offset
    for entry in segment.entries:
        yield at, entry
        at += entry.length


def _groups(nodes: Sequence[_Node]) -> Iterable[Sequence[_Node]]:
    return (nodes[begin : begin + TOGETHER] for begin in range(0, len(nodes), TOGETHER))
