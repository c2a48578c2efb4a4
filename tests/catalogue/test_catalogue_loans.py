"""What images borrow from other regions, and who is at work on that."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest

from meltemi.catalogue.sql import SqlCatalogue
from meltemi.errors import ConflictError
from meltemi.model.record import Content, Loan, Record
from tests.catalogue.recording import ADMIN, data, filled, fresh


def loan_of(record: Record) -> Loan:
    return Loan(str(uuid4()), "RegionOne", str(uuid4()), record.content or "")


def borrowed(content: Content) -> Content:
    """Give what borrows in place of a content."""
    return replace(content, id=f"{uuid4()}/borrowed/{uuid4().hex}/{uuid4().hex}")


async def whole(catalogue: SqlCatalogue) -> tuple[Record, Loan]:
    """Give an image with its data, and what it is to borrow."""
    record = await filled(catalogue)
    loan = loan_of(record)
    await catalogue.loans.begin(loan)
    return record, loan


async def test_a_loan_is_made(catalogue: SqlCatalogue) -> None:
    loans = catalogue.loans
    record, loan = await whole(catalogue)
    clone = await catalogue.clone(record.image.id, fresh())
    other = await filled(catalogue)
    assert await loans.claim_next("holder") == loan
    assert await loans.is_used(loan.hold)
    content = await loans.whole(loan.source)
    assert (content.id, content.size) == (record.content, record.image.size)
    new = borrowed(content)
    await loans.fill(loan.hold, new, 77, "holder")
    for image in (record, clone):
        found = await catalogue.get(image.image.id, ADMIN)
        assert found == replace(image, content=new.id, version=image.version + 1)
    assert await catalogue.get(other.image.id, ADMIN) == other
    assert await catalogue.loose() == [content]
    assert await catalogue.known([new.id]) == {new.id}
    assert await loans.of(new.id) == replace(loan, content=new.id, own=77)
    assert await loans.of(loan.source) is None
    assert await loans.claim_next("holder") is None


async def test_it_is_ended_when_the_last_image_is_gone(catalogue: SqlCatalogue) -> None:
    loans = catalogue.loans
    record, loan = await whole(catalogue)
    clone = await catalogue.clone(record.image.id, fresh())
    await loans.claim_next("holder")
    new = borrowed(await loans.whole(loan.source))
    await loans.fill(loan.hold, new, 0, "holder")
    await catalogue.remove(record.image.id)
    assert await loans.claim_next("holder") is None
    assert await catalogue.remove(clone.image.id) == new
    found = await loans.claim_next("holder")
    assert found == replace(loan, content=new.id, own=0)
    assert not await loans.is_used(loan.hold)
    await loans.end(loan.hold)
    assert await loans.claim_next("holder") is None


async def test_one_whose_image_goes_before_it_is_made(catalogue: SqlCatalogue) -> None:
    record, loan = await whole(catalogue)
    await catalogue.loans.claim_next("holder")
    content = await catalogue.loans.whole(loan.source)
    await catalogue.remove(record.image.id)
    assert not await catalogue.loans.is_used(loan.hold)
    new = borrowed(content)
    with pytest.raises(ConflictError):
        await catalogue.loans.fill(loan.hold, new, 0, "holder")
    assert not await catalogue.known([new.id])
    await catalogue.forget(content.id)
    with pytest.raises(ConflictError):
        await catalogue.loans.whole(loan.source)


async def test_one_holder_at_a_time(catalogue: SqlCatalogue) -> None:
    loans = catalogue.loans
    _, loan = await whole(catalogue)
    holders = [f"holder {number}" for number in range(4)]
    for holder in holders:
        await catalogue.beat(holder)
    found = await asyncio.gather(*map(loans.claim_next, holders))
    [mine] = [holder for holder, one in zip(holders, found, strict=True) if one]
    assert await loans.claim_next(mine) == loan
    [other, *_] = [holder for holder in holders if holder != mine]
    with pytest.raises(ConflictError):
        await loans.fill(loan.hold, borrowed(data()), 0, other)
    await loans.release(loan.hold, other)
    assert await loans.claim_next(other) is None
    await catalogue.bury(mine)
    assert await loans.claim_next(other) == loan
    await loans.release(loan.hold, other)
    assert await loans.claim_next(mine) == loan


async def test_what_was_tried_least_comes_first(catalogue: SqlCatalogue) -> None:
    loans = catalogue.loans
    _, one = await whole(catalogue)
    _, two = await whole(catalogue)
    seen = []
    for _ in range(4):
        found = await loans.claim_next("holder")
        assert found is not None
        await loans.release(found.hold, "holder")
        seen.append(found)
    assert seen[:2] == seen[2:]
    assert {loan.hold for loan in seen} == {one.hold, two.hold}


async def test_clones_are_made_while_it_begins_to_borrow(catalogue: SqlCatalogue) -> None:
    """None of them is told that the image is gone, and all have what it has then."""
    loans = catalogue.loans
    record, loan = await whole(catalogue)
    await loans.claim_next("holder")
    new = borrowed(await loans.whole(loan.source))
    clones = [catalogue.clone(record.image.id, fresh()) for _ in range(12)]
    filling = loans.fill(loan.hold, new, 0, "holder")
    await asyncio.gather(*clones[:6], filling, *clones[6:])
    images = [record.image.id, *(await catalogue.having([new.id]))]
    assert len(set(images)) == 13
    assert not await catalogue.having([loan.source])
