"""What the Blob service writes down, read back; and its order brought into ours."""

from itertools import groupby
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from storage.azure_wire import page_of_blobs, quoted, reorder_key
from storage.content import Blob, Headers
from storage.errors import InvalidError

NAMES = st.lists(
    st.text(st.sampled_from("a~日\ud7ff\ue000\uff5e\U00010000\U0001f600"), min_size=1, max_size=5), unique=True
)

PAGE = """\ufeff<?xml version="1.0" encoding="utf-8"?>
<EnumerationResults ContainerName="c"><Prefix> a</Prefix><Blobs>
<Blob><Name> a&amp;b </Name><Properties><Etag>0x8D</Etag><Content-Length>3</Content-Length>
<Content-Type>text/plain</Content-Type><Content-MD5>kAFQmDzST7DWlj99KOF/cg==</Content-MD5></Properties>
<Metadata><Owner>%C3%B6</Owner></Metadata></Blob>
<Blob><Name Encoded="true">foreign%EF%BF%BF</Name><Properties><Etag>"0x8E"</Etag><Content-Length>0</Content-Length>
<Content-Type /><Content-MD5 /></Properties><Metadata /></Blob>
</Blobs><NextMarker>2!next</NextMarker></EnumerationResults>"""


@given(NAMES)
def test_sorting_runs_of_equal_keys_sorts_a_listing(names: list[str]) -> None:
    by_utf16 = sorted(names, key=lambda name: name.encode("utf-16-be"))
    for listed in (by_utf16, sorted(names)):
        assert [name for _, run in groupby(listed, reorder_key) for name in sorted(run)] == sorted(names)


def test_a_page_of_a_listing() -> None:
    blobs, marker = page_of_blobs(PAGE.encode())
    md5 = bytes.fromhex("900150983cd24fb0d6963f7d28e17f72")
    assert blobs == (
        Blob(" a&b ", 3, "0x8D", Headers("text/plain", md5, {"owner": "ö"})),
        Blob("foreign\uffff", 0, "0x8E", Headers("", None, {})),
    )
    assert marker == "2!next"


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_listing_of_a_hierarchical_account_is_none_of_ours(kind: str) -> None:
    page = PAGE.replace("</Properties>", f"<ResourceType>{kind}</ResourceType></Properties>", 1)
    with pytest.raises(
        InvalidError, match=r"hierarchical namespace .* not supported yet; nothing was changed"
    ) as caught:
        page_of_blobs(page.encode())
    assert caught.value.kind == "invalid.hierarchical"


def test_an_empty_page_may_go_on() -> None:
    page = b"<EnumerationResults><Blobs /><NextMarker>m</NextMarker></EnumerationResults>"
    assert page_of_blobs(page) == ((), "m")
    assert page_of_blobs(page.replace(b"m</", b"</")) == ((), "")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_name_in_a_url_is_as_the_sdks_transport_would_write_it(name: str) -> None:
    path = f"/box/{quoted(name)}"
    assert (str(URL(path)), unquote(quoted(name))) == (path, name)
