"""What stands below an error is about the command that was typed, and in words of the command line."""

import pytest

from tests.cli.driver import Blobcat


@pytest.fixture
def filled(blobcat: Blobcat) -> Blobcat:
    for path in ("2026/a.csv", "2026/b.csv", "top.txt"):
        assert blobcat("put", "-", path, "--meta", "owner=ops", stdin=path.encode()).code == 0
    return blobcat


def test_a_token_that_a_query_cannot_take_is_spoken_of_as_a_querys(filled: Blobcat) -> None:
    after = filled("query", "--limit", "1", "--json").records[-1]["after"]
    for arguments in (["--after", "bad"], ["--after", after, "--where", "size > 1"]):
        refused = filled("query", *arguments)
        assert refused.code == 2
        assert refused.err.splitlines()[1:] == [
            "  → pass what --limit showed after --after, whole, with the same --where, PREFIX, --order-by and --as-of"
        ]
