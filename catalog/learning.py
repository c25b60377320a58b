"""What reading teaches: the sha256 of content that was adopted without reading it.

History is append-only, and the chain covers the digest that a version was made with: of adopted content, none. So what
is learned later stands beside the record, in a column of its own of the version's row and of its head, and `entities`
shows it as the digest. It is merged once all of the content was read from the blob's one etag, and its MD5, where there
is one, agreed. For one etag there is one content: whoever learns it, and however late, it is the same.

The version's row is never another version's, so it is merged as it is. A head is merged under its etag, or not at all:
it may be the next version's by now. Nobody waits long for any of it, and nobody's read fails with it.
"""

from typing import Final

from .columns import learned_values, parse_head
from .commit import Committer, Unit
from .entities import FileVersion, VolumeInfo
from .errors import CatalogError
from .exchange import partition_of
from .keys import head_row, version_row
from .retry import Deadline
from .table import Merge, Table

LEARNING_S: Final = 5


async def learn(
    volume: VolumeInfo, file: FileVersion, digest: str, *, table: Table, committer: Committer, deadline: Deadline
) -> None:
    """Note the digest of a version that has none. Raises nothing: then it is learned by who reads it next."""
    shard, head, values = partition_of(volume, file.path), head_row(file.path), learned_values(digest)
    try:
        entity = await deadline.read(lambda: table.get(shard, head))
        merges = [Merge(version_row(file.path, file.version), values)]
        if entity is not None and parse_head(volume.name, entity).file.etag == file.etag:
            merges.append(Merge(head, values, entity.etag))
        await deadline.wait(lambda: committer.lane(shard).commit(Unit(tuple(merges))))
    except CatalogError:
        return
