"""What reading teaches: the sha256 of content that was adopted without reading it.

History is append-only, and the chain covers the digest that a version was made with: of adopted content, none. So what
is learned later stands beside the record, in a column of its own of the version's row and of its head, and `entities`
shows it as the digest. It is merged once all of the content was read from the blob's one etag, and its MD5, where there
is one, agreed. For one etag there is one content: whoever learns it, and however late, it is the same.

The version's row is never another version's, so it is merged as it is. A head is merged under its etag, or not at all:
it may be the next version's by now. Its rows in indexes are written with it, and move where one is in order of digest.
Nobody waits long for any of it, and nobody's read fails with it.
"""

from dataclasses import replace
from typing import Final

from .columns import learned_values, parse_head
from .commit import Committer, Unit
from .entities import FileVersion, VolumeInfo
from .errors import CatalogError
from .exchange import partition_of
from .head_rows import UnknownIndexError, rewritten
from .keys import head_row, version_row
from .retry import Deadline
from .table import Merge, Operation, Table

LEARNING_S: Final = 5


async def learn(
    volume: VolumeInfo, file: FileVersion, digest: str, *, table: Table, committer: Committer, deadline: Deadline
) -> None:
    """Note the digest of a version that has none. Raises nothing: then it is learned by who reads it next."""
    shard, row = partition_of(volume, file.path), head_row(file.path)
    try:
        entity = await deadline.read(lambda: table.get(shard, row))
        changes: list[Operation] = [Merge(version_row(file.path, file.version), learned_values(digest))]
        if entity is not None and (head := parse_head(volume.name, entity)).file.etag == file.etag:
            changes += rewritten(volume, head, replace(head, file=replace(head.file, digest=digest, learned=True)))
        await deadline.wait(lambda: committer.lane(shard).commit(Unit(tuple(changes))))
    except (CatalogError, UnknownIndexError):  # the latter: these settings are old, as this process only reads
        return
