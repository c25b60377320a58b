"""How the Blob service writes things down: values of the port as headers and XML, and back. Pure; no request here.

Etags stand in quotes in headers and without in listings; here they are bare. A blob's MD5 is `Content-MD5` in an
answer with the whole blob, and `x-ms-blob-content-md5` in one with a part of it, where the other would be the part's.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, unquote
from xml.etree import ElementTree as ET

from .content import Always, Blob, Headers, IfAbsent, IfMatch, Precondition, Span
from .errors import InvalidError
from .metadata import decoded, decoded_metadata, encoded_metadata

_META: Final = "x-ms-meta-"
_KEPT: Final = ("Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language")
_WHOLE: Final = 200
_PART: Final = 206
_RANGE: Final = re.compile(r"bytes (\d+)-(-?\d+)/(\d+)")  # Azurite says 0--1/0 of an empty blob; Azure, 416
_FIRST_REORDERED: Final = "\ue000"

HIERARCHICAL: Final = (
    "the account has a hierarchical namespace (Data Lake Gen2), which is not supported yet; nothing was changed"
)
"""Such an account lists directories as blobs, and names in another order: in it "/" comes before all else."""


def quoted(name: str) -> str:
    """A blob's name as the path of a url; what needs no escape has none, since all of it is signed."""
    return quote(name, safe="/~!$&'()*,;=:@")


def block_id(block: str) -> str:
    """A block's id as the service wants it."""
    return b64encode(block.encode()).decode()


def block_list(ids: Iterable[str]) -> bytes:
    """The body of Put Block List: blocks that were staged, none that an earlier commit consumed."""
    items = "".join(f"<Uncommitted>{block_id(block)}</Uncommitted>" for block in ids)
    return f'<?xml version="1.0" encoding="utf-8"?><BlockList>{items}</BlockList>'.encode()


def conditions(when: Precondition) -> dict[str, str]:
    """A precondition as headers."""
    match when:
        case IfAbsent():
            return {"If-None-Match": "*"}
        case IfMatch(etag):
            return {"If-Match": f'"{etag}"'}
        case Always():
            return {}


def byte_range(span: Span) -> dict[str, str]:
    """A span that is not empty as headers; the whole blob is none, since an empty blob has no range."""
    if span.start == 0 and span.length is None:
        return {}
    end = "" if span.length is None else span.start + span.length - 1
    return {"x-ms-range": f"bytes={span.start}-{end}"}


def property_headers(headers: Headers) -> dict[str, str]:
    """What is kept with a blob, but its MD5, as headers of a put."""
    return {"x-ms-blob-content-type": headers.content_type, **meta_headers(headers)}


def meta_headers(headers: Headers) -> dict[str, str]:
    """A blob's metadata as headers."""
    return {f"{_META}{key}": value for key, value in encoded_metadata(headers.metadata).items()}


def changed_headers(wanted: Headers, found: Mapping[str, str]) -> dict[str, str]:
    """Headers for Set Blob Properties that make content type and MD5 those wanted; none where they are.

    `found` is an answer to HEAD. What the request would clear, as nobody names it, is named as it was found.
    """
    md5 = md5_text(wanted.md5) if wanted.md5 else found.get("Content-MD5")
    if wanted.content_type == found.get("Content-Type") and md5 == found.get("Content-MD5"):
        return {}
    kept = {f"x-ms-blob-{name.lower()}": found[name] for name in _KEPT if found.get(name)}
    return {**kept, "x-ms-blob-content-type": wanted.content_type} | ({"x-ms-blob-content-md5": md5} if md5 else {})


def md5_text(md5: bytes) -> str:
    """An MD5 as headers carry it."""
    return b64encode(md5).decode()


def etag_from_headers(answer: Mapping[str, str]) -> str:
    """The bare etag of an answer. Raises: ValueError (there is none)."""
    etag = answer.get("ETag")
    if not etag:
        raise ValueError("an answer without an etag")
    return etag.strip('"')


def blob_from_headers(name: str, answer: Mapping[str, str]) -> Blob:
    """The blob that an answer to GET or HEAD describes. Raises: LookupError, ValueError (it is no such answer)."""
    part = answer.get("Content-Range")
    md5 = answer.get("x-ms-blob-content-md5" if part else "Content-MD5")
    metadata = {key.lower().removeprefix(_META): value for key, value in answer.items() if _is_meta(key)}
    return Blob(
        name=name,
        size=int(part.rpartition("/")[2] if part else answer["Content-Length"]),
        etag=etag_from_headers(answer),
        headers=Headers(
            content_type=answer.get("Content-Type", ""),
            md5=b64decode(md5) if md5 else None,
            metadata=decoded_metadata(metadata),
        ),
    )


def answered_bytes(span: Span, status: int, answer: Mapping[str, str]) -> int:
    """How many bytes an answer to GET brings: exactly those of the span, or as many of them as the blob has.

    Raises: LookupError, ValueError (it is no answer to this span: a proxy may have lost what was asked for).
    """
    size = int(answer["Content-Length"])
    part = _RANGE.fullmatch(answer.get("Content-Range", ""))
    if not byte_range(span):
        if status != _WHOLE or part:
            raise ValueError("a part of the blob, where all of it was asked for")
        return size
    if status != _PART or not part:
        raise ValueError("all of the blob, where a part of it was asked for")
    first, last, whole = map(int, part.groups())
    end = whole if span.length is None else min(whole, span.start + span.length)
    if (first, last + 1, size) != (span.start, end, end - first):
        raise ValueError("another part of the blob than was asked for")
    return size


def page_of_blobs(body: bytes) -> tuple[tuple[Blob, ...], str]:
    """A page of a listing, and the marker of the next: "" where there is none.

    Raises: ParseError, ValueError; InvalidError, where it is one of a hierarchical account.
    """
    root = ET.fromstring(body)  # noqa: S314 — the service's own answer; expat bounds what entities expand to
    if root.tag != "EnumerationResults" or root.find("Blobs") is None or root.find("NextMarker") is None:
        raise ValueError("no page of a listing, or not all of one")
    return tuple(map(_blob_from_item, root.iterfind("Blobs/Blob"))), root.findtext("NextMarker") or ""


def reorder_key(name: str) -> str:
    """What two names share exactly if UTF-16 units and code points may disagree about their order.

    They differ where, after the same beginning, one name has a character of the astral planes and the other one from
    U+E000 to U+FFFF. All these characters come last in both orders, so the names that have one after the same
    beginning are neighbours in both: a listing in the one order is brought into the other by sorting its runs of equal
    keys, each by itself. A name without such a character is a run of its own.
    """
    for at, character in enumerate(name):
        if character >= _FIRST_REORDERED:
            return name[:at]
    return f"{name}\0"


def _blob_from_item(item: ET.Element) -> Blob:
    tag = item.find("Name")
    name = "" if tag is None else tag.text or ""
    properties = {child.tag: child.text or "" for child in item.iterfind("Properties/*")}
    if "ResourceType" in properties:  # a file or a directory: flat accounts know neither
        raise InvalidError(HIERARCHICAL, op="list", key=name, kind="invalid.hierarchical")
    md5 = properties.get("Content-MD5")
    return Blob(
        name=unquote(name) if tag is not None and tag.get("Encoded") == "true" else name,
        size=int(properties["Content-Length"]),
        etag=properties["Etag"].strip('"'),
        headers=Headers(
            content_type=properties.get("Content-Type", ""),
            md5=b64decode(md5) if md5 else None,
            metadata={child.tag.lower(): decoded(child.text or "") for child in item.iterfind("Metadata/*")},
        ),
    )


def _is_meta(key: str) -> bool:
    return key[: len(_META)].lower() == _META
