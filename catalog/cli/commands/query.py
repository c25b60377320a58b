"""`blobcat query`."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ..aligned import of_a_file
from ..columns import LONG_HEADING, SHORT_HEADING, count, file_row, size
from ..conditions import WhereOption, condition_of, hint_of_prefix
from ..errors import UsageError
from ..moments import parsed_moment
from ..options import AsOfOption, LongOption, PrefixArgument
from ..ordering import parsed_field
from ..output import Line, Output
from ..records import record_of
from ..results import Answer, FormatOption, OutputOption, OverwriteOption, TypeOption, deliver, form_of, parsed_types
from ..session import Session

if TYPE_CHECKING:
    from ... import Explanation, FileVersion, Query

PAGE_FILES: Final = 1_000


async def query(
    session: Session,
    prefix: PrefixArgument = "",
    where: WhereOption = None,
    as_of: AsOfOption = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", metavar="N", help="At most so many.", min=0)] = None,
    long: LongOption = False,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--columns", "-c", metavar="FIELDS", help="What to show: path,size,meta.owner and so on. May be repeated."
        ),
    ] = None,
    form: FormatOption = None,
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
    types: TypeOption = None,
    order_by: Annotated[
        str | None,
        typer.Option("--order-by", metavar="FIELDS", help="That of an index: meta.owner,created:desc."),
    ] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="TOKEN", help="Go on behind what --limit has shown.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="How it is found, and what that costs: runs it.")] = False,
    estimate: Annotated[bool, typer.Option("--estimate", help="The same without running it.")] = False,
) -> None:
    """Find files by their fields and metadata.

        blobcat query 2026/ --where "size > 1MB and meta.owner = 'ops'" --where "not path ~ '**/tmp'"
        blobcat query --columns path,size,meta.owner --output files.parquet

    Operators are = != < <= > >=, ~ (a glob of the path), startswith, contains, in (…, …), between … and …, and exists;
    and, or, not and parentheses put them together. Fields are path, version, kind, etag, size, digest, md5,
    content_type, created, modified, writer, and meta.KEY. Text is in quotes, 'ops'; numbers are 5, 0.5, 1kB, 1MB or
    1MiB; true and false; times are 2026-11-20, 2026-11-20T10:00 or 2026-11-20T10:00:00+01:00, in UTC where they name no
    zone. A file without the key satisfies no comparison with it, not even !=; not is the plain complement.

    Files come in order of path; --order-by wants an index that has another one (blobcat index). With --limit, a token
    is shown where there is more (not with --columns, CSV or Parquet): the same command with --after TOKEN goes on.
    --as-of asks what there was then. --explain shows which rows are read, what is sent, and what it costs, instead of
    the files; --estimate does so by a look at one shard.

    --columns takes these fields, and metadata for all keys; only they are read from the service. CSV begins with a line
    of names; a field that a file lacks is empty there. Parquet needs pyarrow: pip install 'blobcat[arrow]'. A file has
    its name when all of it is there.

    --json: a FileVersion per line, and with --limit last of all a NextPage (after), if there is more; with --columns a
    SelectedFile; with --output one WrittenRows (target, format, rows); with --explain an Explanation. See docs/json.md.
    """
    condition, then = condition_of(where), parsed_moment("--as-of", as_of)
    wanted, kinds = form_of(session.output, form, output, overwrite=overwrite), parsed_types(types)
    if kinds and wanted.format != "parquet":
        raise UsageError("--type is for parquet: other formats say of each value what it is")
    if explain and estimate:
        raise UsageError("--explain runs the query, and --estimate does not", "give one of them")
    names = [name.strip() for each in columns for name in each.split(",")] if columns else None
    async with session.volume() as volume:
        order = "path" if order_by is None else [parsed_field(each.strip()) for each in order_by.split(",")]
        found = volume.query(condition, prefix=prefix, order_by=order, limit=limit, as_of=then, after=after)
        if explain or estimate:
            explained = await found.explain(run=explain)
            _explained(session.output, explained)
            return
        if names is None and wanted.format == "table":
            number = await _listed(session, found, limit, long=long)
        else:
            token = list[str]()
            answer = _answer(found, limit, names, wanted.format, kinds, token.append)
            number = await deliver(session.output, wanted, answer)
            _told(session.output, token, of_rows=wanted.format == "json" and output is None)
    if not number and (hint := hint_of_prefix(prefix)):
        session.output.note(("  → ", "dim"), (hint, "dim"))


def _explained(output: Output, explained: "Explanation") -> None:
    if output.json:
        output.record(explained)
        return
    for line in str(explained).splitlines():
        output.line(line)


async def _files(found: "Query", limit: int | None, more: Callable[[str], None]) -> AsyncIterator["FileVersion"]:
    """The files, and where a limit leaves some out, the token by which the next ones come."""
    if not limit:
        async for file in found:
            yield file
        return
    token: str | None = None
    async for page in found.pages(min(limit, PAGE_FILES)):
        for file in page.files:
            yield file
        token = page.token
    if token is not None:
        more(token)


def _answer(
    found: "Query",
    limit: int | None,
    names: Sequence[str] | None,
    form: str,
    kinds: Mapping[str, type],
    more: Callable[[str], None],
) -> Answer:
    from ...selection import NAMES

    async def whole() -> AsyncIterator[Mapping[str, Any]]:
        async for file in _files(found, limit, more):
            yield record_of(file)

    chosen = NAMES if names is None else names
    found.select(*chosen)  # what is no field is told before any file is made
    rows = whole if names is None and form == "json" else lambda: found.select(*chosen)
    return Answer(chosen, rows, lambda: found.to_arrow(chosen, types=kinds), of_a_file)


async def _listed(session: Session, found: "Query", limit: int | None, *, long: bool) -> int:
    """Show the files; how many there were."""
    files, bytes_, token = 0, 0, list[str]()
    async for file in _files(found, limit, token.append):
        if not files:
            session.output.heading(LONG_HEADING if long else SHORT_HEADING)
        files, bytes_ = files + 1, bytes_ + file.size
        session.output.line(*_row(session, file, long=long))
    session.output.closing(f"{count(files, 'file')}, {size(bytes_)}" if files else "no file is like that")
    _told(session.output, token, of_rows=False)
    return files


def _told(output: Output, token: Sequence[str], *, of_rows: bool) -> None:
    """Where there is more: among rows that a program reads as the last one, else beside them. Never in a file."""
    for each in token:
        if of_rows:
            output.record({"after": each})
        else:
            output.note("there is more: ", (f"--after {each}", "dim"))


def _row(session: Session, file: "FileVersion", *, long: bool) -> Line:
    return file_row(file, long=long) if long or session.output.terminal else [file.path]
