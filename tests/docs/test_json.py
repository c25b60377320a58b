"""docs/json.md and docs/json-schema.json are what scripts/json-schemas makes of the types, and miss no command."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from catalog.cli.main import PANELS
from scripts.json_records import COMMANDS, RECORDS
from scripts.json_schemas import made, schema


@pytest.mark.parametrize("path", made(), ids=lambda path: path.name)
def test_what_is_made_is_current(path: Path) -> None:
    assert path.read_text("utf-8") == made()[path], "run scripts/json-schemas"


def test_every_command_and_no_other_has_its_place() -> None:
    assert [*COMMANDS] == [name for panel in PANELS.values() for name in panel]


def test_the_schema_is_one_and_every_record_is_used() -> None:
    Draft202012Validator.check_schema(schema())
    text = str(schema())
    assert [name for name in RECORDS if f"'#/$defs/{name}'" not in text] == []
