"""What a survey has to know where the owners of images choose their targets."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from meltemi.model.choosing import share
from meltemi.model.image import Image
from meltemi.model.plan import Action, Note
from meltemi.replication.choosing import NOT_CHOSEN, Chooser, over_quota
from meltemi.replication.context import replica_of
from meltemi.replication.gone import settle_gone
from meltemi.replication.learnt import Learnt
from meltemi.replication.ownership import own_mark

Reserved = Callable[[str, str], bool]
"""Says of an image of the source, and a target by name, whether a copy is on its way already."""

Candidate = tuple[Image, Learnt, Image | None]
"""An image of the source, a target, and what that has under the image's id."""


def nothing_reserved(_: str, __: str) -> bool:
    """Say that no copy is on its way."""
    return False


@dataclass(slots=True)
class _Account:
    """What one project has in one target, in bytes, and what it asks for beyond."""

    quota: int | None = None
    taken: int = 0
    coming: list[Candidate] = field(default_factory=list)


class Choices:
    """Which images may go where, as the listings tell it; without a chooser, all may."""

    def __init__(self, chooser: Chooser | None, reserved: Reserved) -> None:
        self._chooser = chooser
        self._reserved = reserved
        self._accounts: dict[tuple[str | None, str], _Account] = defaultdict(_Account)
        self._chosen: dict[str, set[str]] = defaultdict(set)
        self._unwanted: list[tuple[Image, Learnt, Image]] = []

    @property
    def are_made(self) -> bool:
        """Say whether owners choose."""
        return self._chooser is not None

    def concern(self, source: Image) -> bool:
        """Say whether an image may be wanted anywhere."""
        return self._chooser is None or bool(self._chooser.wishes(source))

    def refuse(self, source: Image, target: Learnt) -> str | None:
        """Say why an image is not wanted in a target, quotas aside; None where it is."""
        if self._chooser is None:
            return None
        return self._chooser.refuses(source, target.library.name)

    def has_room(self, source: Image, target: Learnt, image: Image | None, *, known: bool) -> bool:
        """Say whether an image that is wanted may go there, whatever else comes; else keep it.

        `known` says that its replica is there under its own id.
        """
        if self._chooser is None:
            return True
        name = target.library.name
        account = self._accounts[source.owner, name]
        account.quota = self._chooser.quota(source, name)
        if known:
            account.taken += source.size or 0
            return True
        self._chosen[name].add(source.id)
        if account.quota is None:
            return True
        account.coming.append((source, target, image))
        return False

    def shared_out(self) -> Iterator[tuple[Candidate, str | None]]:
        """Give what was kept, once all has been listed, and why some of it finds no room."""
        for account in self._accounts.values():
            quota, coming = account.quota, []
            for candidate in account.coming:
                source, target, _ = candidate
                placed = target.mapped_to(source) is not None
                if placed or self._reserved(source.id, target.library.name):
                    account.taken += source.size or 0
                    yield candidate, None
                else:
                    coming.append(candidate)
            if quota is None:
                continue
            fitting, _ = share(quota, account.taken, [source for source, _, _ in coming])
            fit = {image.id for image in fitting}
            for candidate in coming:
                yield candidate, None if candidate[0].id in fit else over_quota(quota)

    def unwanted(self, source: Image, target: Learnt, image: Image | None) -> None:
        """Take note of an image that is not wanted in a target, and of its replica there."""
        if image is None:
            return
        mark = own_mark(image, owner=target.owner_of(source), source_id=source.id)
        if mark is not None and replica_of(image, target.context) is not None:
            self._accounts[source.owner, target.library.name].taken += source.size or 0
            self._unwanted.append((source, target, image))

    def strays(self, target: Learnt) -> list[str]:
        """Name images with replicas under other ids that nobody wants, if they are there still."""
        if self._chooser is None:
            return []
        chosen = self._chosen[target.library.name]
        return [source_id for source_id, _ in target.mapped if source_id not in chosen]

    def withdrawals(self) -> Iterator[Action | Note]:
        """Give what becomes of replicas that are not wanted any more."""
        for source, target, image in self._unwanted:
            mark = own_mark(image, owner=target.owner_of(source), source_id=source.id)
            if mark is None:
                continue
            by_owner = self.refuse(source, target) is NOT_CHOSEN
            item = settle_gone(
                image,
                mark,
                target.context,
                source,
                withdrawn_by=source.owner if by_owner else None,
            )
            if item is not None:
                yield item
