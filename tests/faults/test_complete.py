"""Whatever the API offers goes through the faults: a method without a scenario is noticed here."""

import inspect
import sys
from pathlib import Path
from types import CodeType, FrameType

from catalog import Catalog, Volume
from tests.faults.scenarios import SCENARIOS, ingest, make_tree
from tests.faults.world import World

EXEMPT = {
    "Catalog.close": "it sends no request",
    "Catalog.rebuild": "it has a matrix of its own: test_rebuilding",
    "Catalog.resolve": "it has a matrix of its own: test_resolve",
    "Catalog.sql": "its requests are query's",
    "Catalog.unwrap": "it sends no request",
    "Catalog.load": "it has a matrix of its own: test_load",
    "Catalog.doctor": "it reports what fails, and has tests of its own",
    "Volume.sign": "its one request is stat's, or asks for a key of its own",
    "Volume.glob": "its requests are query's",
    "Volume.folders": "its requests are query's",
    "Volume.download": "reads have a matrix of their own: test_reading",
    "Volume.download_tree": "as download",
    "Volume.open_seekable": "as download",
}


def offered() -> dict[str, CodeType]:
    """The public methods, and by what code they are known."""
    return {
        f"{kind.__name__}.{name}": inspect.unwrap(method).__code__
        for kind in (Catalog, Volume)
        for name, method in inspect.getmembers(kind)
        if inspect.isfunction(method) and not name.startswith("_")
    }


async def test_every_public_method_has_a_scenario(tmp_path: Path) -> None:
    called: set[CodeType] = set()

    def note(frame: FrameType, _event: str, _argument: object) -> None:
        called.add(frame.f_code)

    for scenario in (*SCENARIOS, ingest(make_tree(tmp_path))):
        async with World() as world:
            await world.prepare(scenario)
            client = world.client()
            sys.setprofile(note)
            try:
                await scenario.act(client)
            finally:
                sys.setprofile(None)
    assert {name for name, code in offered().items() if code not in called} == EXEMPT.keys()
