"""Who is at work on images, and what becomes of them when they die.

A heart is a number that grows. Those who watch it tell by their own clocks how long it has stood
still, so that no clock that jumps ends a holder that lives.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select, update

from meltemi.catalogue import importing, tasks
from meltemi.catalogue.schema import holders, images


def beat(connection: Connection, holder: str) -> Mapping[str, int]:
    """Count one more beat of a heart, and give all counts."""
    counted = update(holders).where(holders.c.id == holder).values(beats=holders.c.beats + 1)
    if not connection.execute(counted).rowcount:
        connection.execute(insert(holders).values(id=holder, beats=0))
    return {row.id: row.beats for row in connection.execute(select(holders))}


def bury(connection: Connection, holder: str) -> list[str]:
    """Strike out a holder; queue what it held, and fail its tasks."""
    connection.execute(delete(holders).where(holders.c.id == holder))
    tasks.bury(connection, holder)
    held = select(images.c.id).where(images.c.holder == holder).order_by(images.c.id)
    return [
        image
        for image in connection.scalars(held).all()
        if importing.give_back(connection, image, holder)
    ]
