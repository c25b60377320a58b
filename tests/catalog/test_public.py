"""The public names: all there, none by accident, and free of charge until they are used."""

import ast
import errno
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import catalog
import storage
import storage.errors

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("package", [catalog, storage], ids=["catalog", "storage"])
def test_every_public_name_is_there_once(package: object) -> None:
    names = package.__all__  # type: ignore[attr-defined]
    assert len(names) == len(set(names))
    for name in names:
        assert getattr(package, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        _ = catalog.conect


LOADED = """
import sys
{statement}
heavy = ("azure", "aiohttp", "asyncio", "duckdb", "lark", "pyarrow", "sqlite3", "typer", "rich")
print(*sorted({{name.partition(".")[0] for name in sys.modules}} & set(heavy)))
"""


@pytest.mark.parametrize(
    ("statement", "loaded"),
    [
        ("import catalog", ""),
        ("import storage", ""),
        ("from catalog import F, Create, ConflictError, parse_expression", ""),
        ("from catalog import connect", "asyncio"),
        ("from catalog import Query, Volume, blocking", "asyncio"),
    ],
)
def test_nobody_pays_for_what_is_not_used(statement: str, loaded: str) -> None:
    """P11: held on the modules that are imported, not on time."""
    command = [sys.executable, "-c", LOADED.format(statement=statement)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == loaded


def test_the_error_tree_is_what_its_module_draws() -> None:
    parents = {
        catalog.NotFoundError: (catalog.CatalogError, KeyError),
        catalog.ConflictError: (catalog.CatalogError,),
        catalog.InvalidError: (catalog.CatalogError, ValueError),
        catalog.TooLargeError: (catalog.InvalidError,),
        catalog.AccessDeniedError: (catalog.CatalogError,),
        catalog.UnavailableError: (catalog.CatalogError,),
        catalog.OutcomeUnknownError: (catalog.CatalogError,),
        catalog.IntegrityError: (catalog.CatalogError,),
    }
    assert {error: error.__bases__ for error in parents} == parents
    kinds = [error("x").kind for error in parents]
    assert kinds == [
        "not-found", "conflict", "invalid", "too-large", "access-denied", "unavailable", "outcome-unknown", "integrity"
    ]  # fmt: skip


def test_every_kind_begins_with_the_kind_of_its_class() -> None:
    """A handler of kinds may look at as much of the dotted word as it cares about."""
    from catalog import destination, sqlite_errors
    from storage import azure_errors, disk_errors, local_errors

    meanings: list[tuple[type[catalog.CatalogError], str]] = [
        *((each.error, each.kind) for each in (*azure_errors._BY_STATUS.values(), *azure_errors._BY_CODE.values())),
        *((error, kind) for error, kind, _ in (*local_errors._OWN.values(), *local_errors._BY_SQLITE.values())),
        *((error, kind) for error, kind, _ in (*sqlite_errors._BY_CODE.values(), sqlite_errors._NO_TABLE)),
        *((error, kind) for error, kind, _ in destination._OWN.values()),
        *(disk_errors.meaning(number, "target")[:2] for number in (*errno.errorcode, None)),
        *_raised(),
    ]
    assert [kind for error, kind in meanings if not f"{kind}.".startswith(f"{error.default_kind}.")] == []


def _raised() -> Iterator[tuple[type[catalog.CatalogError], str]]:
    """Every error of the tree that is made anywhere with its kind spelled out."""
    for module in sorted([*(ROOT / "catalog").rglob("*.py"), *(ROOT / "storage").rglob("*.py")]):
        for node in ast.walk(ast.parse(module.read_bytes())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            error: type[catalog.CatalogError] | None = getattr(storage.errors, node.func.id, None)
            for keyword in node.keywords:
                if error and keyword.arg == "kind" and isinstance(keyword.value, ast.Constant):
                    yield error, str(keyword.value.value)
