"""Whether the rows of a path fit together: versions 1…n without a gap, each linked to the one before, the head row n.

Pure: no request, no clock. What is missing is proposed only where the rows that are left prove what was there.
"""

from collections.abc import Iterable, Sequence

from ..entities import FileVersion, Head, chain
from .difference import Action, Difference, iso
from .seen import SeenPath, named, rows_of


def judge_path(seen: SeenPath) -> Difference | None:
    """What is the matter with a path's rows; None where they fit together."""
    if seen.head is not None and seen.head.claim is not None and seen.move:
        return None  # a move is under way, and the write's own finding tells
    files = [row.file for row in seen.rows]
    file = files[-1] if files else seen.head.file if seen.head else None
    if file is None:
        return None  # a path without rows has no history
    wrong, action = _history(files, seen.head)
    if seen.head is not None and seen.head.claim is not None and action != "insert-version":
        wrong.append(f"the head is claimed by a move to {seen.head.claim.target!r}, of which there is no other trace")
        action = action if len(wrong) > 1 else "insert-head"
    if not wrong:
        return None
    return Difference(
        "history-broken",
        seen.path,
        path=seen.path,
        versions=tuple(named(each) for each in files),
        op=file.etag,
        writer=file.writer,
        at=iso(file.created),
        why="; ".join(wrong),
        action=action,
        rows=rows_of(seen.rows, [seen.head] if seen.head else []),
    )


def _history(files: Sequence[FileVersion], head: Head | None) -> tuple[list[str], Action]:
    """What is wrong, and what would mend it."""
    newest = files[-1].version if files else 0
    last = max(newest, head.file.version if head else 0)
    gaps = sorted(set(range(1, last + 1)) - {file.version for file in files})
    breaks = _breaks(files)
    wrong = [f"no row of version {_spans(gaps)}"] if gaps else []
    wrong += [f"the chain is broken at version {_spans(breaks)}"] if breaks else []
    if head is None:
        return [*wrong, "no head"], "insert-head" if not gaps and not breaks else "none"
    if head.file.version < newest:
        wrong.append(f"the head is version {head.file.version}, the newest is {newest}")
        return wrong, "insert-head" if not gaps and not breaks else "none"
    if gaps == [last] and not breaks and head.file.chain == chain(files[-1].chain if files else "", head.file):
        return wrong, "insert-version"
    if not gaps and not _same(head.file, files[-1]):
        wrong.append(f"head and version {newest} differ")
        before = files[-2].chain if len(files) > 1 else ""
        if not breaks:
            return wrong, "insert-head"
        if breaks == [newest] and head.file.chain == chain(before, head.file):
            return wrong, "insert-version"
    return wrong, "none"


def _breaks(files: Sequence[FileVersion]) -> list[int]:
    """The versions whose link to the one before, where that is there, is not what it must be."""
    befores: list[FileVersion | None] = [None, *files][: len(files)]
    return [
        file.version
        for before, file in zip(befores, files, strict=True)
        if (file.version == 1 or (before is not None and before.version == file.version - 1))
        and file.chain != chain(before.chain if before else "", file)
    ]


def _same(head: FileVersion, row: FileVersion) -> bool:
    """As written: the services' etags may be noted at one place before the other."""
    return (head.chain, head.blob, chain("", head)) == (row.chain, row.blob, chain("", row))


def _spans(versions: Iterable[int]) -> str:
    """Numbers as people write them: `2, 5-7`."""
    spans: list[list[int]] = []
    for version in versions:
        if spans and spans[-1][-1] == version - 1:
            spans[-1][1:] = [version]
        else:
            spans.append([version])
    return ", ".join("-".join(f"{end}" for end in span) for span in spans)
