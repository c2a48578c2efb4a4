"""Faults: wrong input, failing services, processes that die; everything else is real."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("tests.support.services")
