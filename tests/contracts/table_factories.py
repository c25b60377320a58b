"""Every kind of table there is: one dict, from which all suites take theirs.

A factory makes a table that nobody has used before and that `create` was not called on; whoever made it closes it.
"""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from azure.core.credentials import AzureNamedKeyCredential

from azurite.launch import ACCOUNT_KEY, ACCOUNT_NAME, Azurite
from catalog.azure_table import AzureTable, table_client
from catalog.sqlite_table import SqliteTable
from catalog.table import Table

Factory = Callable[[pytest.FixtureRequest], Table]


def _sqlite_memory(_request: pytest.FixtureRequest) -> Table:
    return SqliteTable(":memory:")


def _sqlite_file(request: pytest.FixtureRequest) -> Table:
    folder: Path = request.getfixturevalue("tmp_path")
    return SqliteTable(folder / f"{uuid4().hex}.db")


def _azurite(request: pytest.FixtureRequest) -> Table:
    azurite: Azurite = request.getfixturevalue("azurite")
    endpoint = f"http://127.0.0.1:{azurite.table_port}/{ACCOUNT_NAME}"
    return AzureTable(table_client(endpoint, f"t{uuid4().hex}", AzureNamedKeyCredential(ACCOUNT_NAME, ACCOUNT_KEY)))


TABLES: dict[str, Factory] = {"sqlite-memory": _sqlite_memory, "sqlite-file": _sqlite_file, "azurite": _azurite}
