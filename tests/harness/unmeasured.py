"""Processes that run without coverage.py, whatever this one does: it imports a good deal by itself."""

import os


def unmeasured() -> dict[str, str]:
    """The environment of this process, for one whose modules are counted."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
