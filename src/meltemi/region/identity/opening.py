"""interim"""

from meltemi.region.identity.nobody import Nobody


def open_identity(settings, policy):
    return Nobody()
