"""Where a catalog is: what its url says, in words. Whole, so that who is in the wrong folder sees it; and no secret."""

from typing import Final

MAKE_ONE: Final = "make one with blobcat init"


def no_catalog(
    lacking: str, url: str, container: str | None = None, table: str | None = None, hint: str = MAKE_ONE
) -> tuple[str, str]:
    """What is said where nothing is at a url that was opened: in which place, and the hint, with why it may be wrong.

    `lacking` is what is not there: the table or the container.
    """
    from ..locations import AzureLocation, LocalLocation, parse_location

    location, place = parse_location(url, container=container, table=table, keyless=True), "here"
    if isinstance(location, AzureLocation):
        parts = (
            (location.table_endpoint, location.table)
            if lacking == "table"
            else (location.blob_endpoint, location.container)
        )
        place = f"at {'/'.join(parts)}"
    if isinstance(location, LocalLocation):
        place = f"in {location.folder.absolute()}"
        if not location.folder.is_absolute():
            hint += f"; {url.strip()} is looked for from the folder where you are"
    return f"there is no catalog {place} yet: it has no {lacking}", hint
