"""The options that say under what condition a write happens, as one of the library's modes."""

from typing import TYPE_CHECKING

from .errors import UsageError

if TYPE_CHECKING:
    from .. import Mode


def mode_of(
    *, create: bool = False, if_version: int | None = None, if_match: str | None = None, force: bool = False
) -> "Mode":
    """The write mode that the options ask for. Raises: UsageError for two at once."""
    from .. import Create, IfMatch, IfVersion, Overwrite

    given = {"--create": create, "--if-version": if_version is not None, "--if-match": if_match is not None}
    named = [name for name, value in (given | {"--force": force}).items() if value]
    if len(named) > 1:
        raise UsageError(f"{' and '.join(named)} exclude each other")
    if create:
        return Create()
    if if_version is not None:
        return IfVersion(if_version)
    return Overwrite(force) if if_match is None else IfMatch(if_match)
