"""Tests that need a CUDA device; they skip, and say so, where there is none."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gpu: needs a CUDA device")
