"""P11, what it takes to start: held on the modules that a process has imported by its end, not on time.

What `import catalog` takes along is in tests/catalog/test_public.
"""

import subprocess
import sys
from collections.abc import Sequence
from uuid import uuid4

import pytest

from azurite.launch import Azurite
from tests.cli.driver import Blobcat

PROGRAM = "import sys; from catalog.cli.main import run; run(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
HEAVY = {"aiohttp", "asyncio", "azure", "duckdb", "lark", "pyarrow", "pydantic", "rich", "sqlite3", "ulid"}
SDKS = {"azure.data", "azure.identity", "azure.storage", "cryptography", "requests"}


def imported(*arguments: str) -> set[str]:
    """Each module that a command has imported, and each package above one."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    *said, modules = done.stderr.splitlines()
    assert said == [], "the command failed"
    return {".".join(parts[: n + 1]) for parts in (name.split(".") for name in modules.split()) for n in range(5)}


@pytest.fixture
def remote(empty: Blobcat, azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Blobcat:
    """On Azurite, opened with the account's key; it has one file."""
    name = f"t{uuid4().hex}"
    monkeypatch.setenv("BLOBCAT_URL", f"{azurite.url}/{name}?table={name}")
    empty("init", "--shards", "1")
    assert empty("put", "-", "a", stdin=b"one").code == 0
    return empty


@pytest.mark.parametrize("arguments", [["--help"], ["stat", "--help"], ["--version"]], ids=" ".join)
def test_help_imports_no_part_of_the_library(arguments: Sequence[str]) -> None:
    modules = imported(*arguments)
    ours = {name for name in modules if name.split(".")[0] in ("catalog", "storage")}
    assert {name for name in ours if not name.startswith("catalog.cli")} == {"catalog"}
    assert modules & HEAVY <= {"pydantic"}  # which typer takes for a command's options
    assert not imported("--help") & HEAVY


@pytest.mark.parametrize(
    "arguments", [["ls"], ["query"], ["count"], ["stat", "a"], ["get", "a", "-"], ["put", "in/b", "b"]], ids=" ".join
)
def test_a_catalog_of_this_machine_starts_without_the_sdks_of_azure(blobcat: Blobcat, arguments: Sequence[str]) -> None:
    blobcat("put", "-", "a", stdin=b"one")
    blobcat.file("b")
    modules = imported(*arguments)
    assert "sqlite3" in modules
    assert not modules & {"aiohttp", "azure", "duckdb", "lark", "pyarrow", "rich"}


def test_who_says_a_condition_pays_for_the_parser(blobcat: Blobcat) -> None:
    blobcat("put", "-", "a", stdin=b"one")
    assert "lark" not in imported("query")
    assert "lark" in imported("query", "--where", "size > 1")


@pytest.mark.parametrize("arguments", [["ls"], ["stat", "a"], ["get", "a", "-"], ["put", "in/b", "b"]], ids=" ".join)
def test_one_on_azure_starts_with_aiohttp_and_without_the_clients_of_the_sdks(
    remote: Blobcat, arguments: Sequence[str]
) -> None:
    remote.file("b")
    modules = imported(*arguments)
    assert {"aiohttp", "azure.core"} <= modules
    assert not modules & (SDKS | {"rich", "sqlite3"})


def test_not_even_who_wants_a_url_signed_pays_for_the_sdks(remote: Blobcat) -> None:
    modules = imported("sign", "a", "--expires-in", "1m")
    assert "storage.azure_signing" in modules
    assert not modules & SDKS


COLLECTED = """
import atexit, gc, sys
from catalog.cli.main import main
generations = []
gc.callbacks.append(lambda _, told: generations.append(told["generation"]))
atexit.register(lambda: print(gc.isenabled(), 2 in generations, file=sys.stderr))
main()
"""


@pytest.mark.parametrize(("command", "expected"), [("--help", ["False", "False"]), ("volumes", ["True", "False"])])
def test_nobody_looks_for_garbage_in_all_that_is_being_imported(
    blobcat: Blobcat, command: str, expected: Sequence[str]
) -> None:
    """But as soon as there is a catalog."""
    done = subprocess.run([sys.executable, "-c", COLLECTED, command], capture_output=True, text=True, check=True)
    assert done.stderr.split() == expected
