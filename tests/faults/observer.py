"""An independent reader: raw rows and raw blobs, read by none of the catalog's code, and what must be true of them.

It knows the rows of a volume as 02-protocol describes them: `h…` heads, `v…` versions, `i…` intents, `g…` gates,
`q…` requests. A head that a move between two shards has claimed has two columns more, `moving` and `moving_to`, and an
intent with a `target` beside it. Versions that were copied, moved or restored share a blob with the put that wrote it.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient

from catalog.keys import RowRange
from catalog.table import (
    Table,
)
from storage import ContentStore

Values = Mapping[str, Any]
CLAIM = ("moving", "moving_to")


@dataclass(frozen=True, slots=True)
class Bytes:
    """A blob as it lies there."""

    digest: str
    size: int
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class State:
    """All that a catalog consists of."""

    rows: Mapping[tuple[str, str], Values]
    blobs: Mapping[str, Bytes]

    def of(self, letter: str) -> list[Values]:
        """The rows of a kind, in all partitions but the registry's."""
        return [values for (key, row), values in sorted(self.rows.items()) if key != "~" and row[0] == letter]

    @property
    def histories(self) -> dict[str, list[Values]]:
        """The versions of each path, oldest first."""
        found: dict[str, list[Values]] = defaultdict(list)
        for values in self.of("v"):
            found[values["path"]].append(values)
        return {path: sorted(rows, key=lambda row: int(row["version"])) for path, rows in found.items()}

    @property
    def ops(self) -> dict[str, list[str]]:
        """The op ids of each path's versions, oldest first."""
        return {path: [row["op"] for row in rows] for path, rows in self.histories.items()}

    @property
    def open_intents(self) -> list[Values]:
        """The changes that nobody has settled."""
        return [values for values in self.of("i") if values["state"] == "open"]

    @property
    def claims(self) -> set[tuple[str, str, str]]:
        """The path, op and target of each move that a head speaks of."""
        return {(row["path"], row["moving"], row["moving_to"]) for row in self.of("h") if "moving" in row}

    @property
    def moved(self) -> set[str]:
        """The paths whose move is decided, though the tombstone is not there yet: who looks will see it."""
        claims = self.claims
        ops = self.ops if claims else {}
        return {path for path, op, target in claims if op in ops.get(target, [])}

    @property
    def unreferenced(self) -> set[str]:
        """The blobs that no version names."""
        return self.blobs.keys() - {row["blob"] for row in self.of("v")}


def check(state: State) -> None:
    """What is true at any moment, whatever happened before: S4, S5, S7, S10, and no double version, move or request."""
    heads, histories = {values["path"]: values for values in state.of("h")}, state.histories
    writers: dict[str, set[str]] = defaultdict(set)
    for row in state.of("v"):
        if row["kind"] == "put":
            writers[row["blob"]].add(row["op"])
    assert heads.keys() == histories.keys(), "S10: a head and its version row are one transaction"
    for path, history in histories.items():
        assert [row["version"] for row in history] == list(range(1, len(history) + 1)), f"S7: {path} has gaps"
        head = {name: value for name, value in heads[path].items() if name not in CLAIM}
        assert head == history[-1], f"S7: the head of {path} is its last version"
        assert len({row["op"] for row in history}) == len(history), f"S9: an op made two versions of {path}"
        created = [row["created"] for row in history]
        assert created == sorted(set(created)), f"{path}: each version is labelled later than the one before"
        for row in history:
            _check_content(state, row, writers[row["blob"]])
    _check_moves(state)
    _check_requests(state)


def _check_moves(state: State) -> None:
    beside = {(row["path"], row["op"], row["target"]) for row in state.of("i") if "target" in row}
    assert state.claims == beside, "a claim and the intent beside it are one transaction"
    for path, op, _ in state.claims:
        assert op not in state.ops[path], f"the move of {path} is over, and still claimed"
    for row in state.of("v"):
        if row["kind"] == "move":
            source, _, version = row["source"].rpartition("@")
            end = state.histories[source][int(version) :][:1]
            ended = bool(end) and (end[0]["op"], end[0]["kind"]) == (row["op"], "delete")
            assert ended or (source, row["op"], row["path"]) in state.claims, f"{source} was moved, and lives on"


def _check_requests(state: State) -> None:
    """A request has one version, and a row that says which."""
    made = [(row["path"], row["version"], row["op"], row["request_id"]) for row in state.of("v") if "request_id" in row]
    named = [(row["path"], row["version"], row["op"]) for row in state.of("q")]
    assert sorted(each[:3] for each in made) == sorted(named), "a request and its version are one transaction"
    assert len({(path, request) for path, _, _, request in made}) == len(made), "a request made two versions"


def _check_content(state: State, row: Values, writers: set[str]) -> None:
    where = f"version {row['version']} of {row['path']}"
    if row["kind"] == "delete":
        assert not row["blob"], where
        return
    blob = state.blobs.get(row["blob"])
    assert blob, f"S5: the content of {where} is gone"
    assert (blob.digest, blob.size) == (row["digest"], row["size"]), f"S4: {where} has other bytes"
    assert writers == {blob.metadata["op"]}, f"S5: the content of {where} is that of one put"
    assert row["kind"] != "put" or row["op"] in writers, f"S5: {where} has another op's content"


def check_settled(state: State) -> None:
    """What is true once recovery went through: nothing is half-done, nothing is left over."""
    check(state)
    assert not state.open_intents, "an open intent is left"
    assert not state.claims, "a claimed head is left"
    assert not state.unreferenced, "content is left that no version names"


def check_grown(before: State, after: State) -> None:
    """S11: nothing of the history that was there has changed."""
    for key, values in before.rows.items():
        if key[0] != "~" and key[1][0] == "v":
            assert after.rows.get(key) == values, f"S11: {key[1]} was changed"


async def look(table: Table, content: ContentStore) -> State:
    """The state behind two ports, from below whatever stands before them. Everything is in one partition per shard."""
    rows: dict[tuple[str, str], Values] = {}
    for partition in ["~", *[p async for p in _partitions(table)]]:
        async for page in table.query(partition, RowRange(" ", "\ufffd")):
            rows.update({(partition, entity.row): entity.values for entity in page})
    blobs = {}
    async for blob in content.list():
        async with content.open(blob.name) as opened:
            data = b"".join([chunk async for chunk in opened.chunks])
        blobs[blob.name] = _bytes(data, blob.headers.metadata)
    return State(rows, blobs)


async def _partitions(table: Table) -> Any:
    async for page in table.query("~", RowRange("d", "w")):
        for entity in page:  # volumes, and the records of those that were deleted
            for shard in range(int(entity.values["shards"])):
                yield f"{entity.values['epoch']}~{shard:02x}"


async def look_at(tables: TableServiceClient, blobs: BlobServiceClient, name: str) -> State:
    """The state of a catalog on Azure, whose table and container have this name, read by plain SDK clients."""
    rows = {}
    async for entity in tables.get_table_client(name).list_entities():
        values = {key: getattr(value, "value", value) for key, value in entity.items()}
        rows[values.pop("PartitionKey"), values.pop("RowKey")] = values
    found, client = {}, blobs.get_container_client(name)
    async for blob in client.list_blobs(include=["metadata"]):
        data = await (await client.download_blob(blob.name)).readall()
        found[blob.name] = _bytes(data, blob.metadata or {})
    return State(rows, found)


def _bytes(data: bytes, metadata: Mapping[str, str]) -> Bytes:
    return Bytes(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data), dict(metadata))
