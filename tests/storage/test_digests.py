"""One pass, three answers, the same as hashlib's."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from storage.digests import Digester, Digests


@given(st.lists(st.binary(max_size=200)))
def test_chunks_have_the_digests_of_the_whole(chunks: list[bytes]) -> None:
    digester = Digester()
    for chunk in chunks:
        digester.update(chunk)
    content = b"".join(chunks)
    assert digester.digests() == Digests.of(content)
    assert digester.digests() == Digests(
        hashlib.sha256(content).hexdigest(), hashlib.md5(content, usedforsecurity=False).digest(), len(content)
    )


def test_size_is_bytes_whatever_a_view_counts() -> None:
    view = memoryview(b"12345678").cast("I")
    assert Digests.of(view) == Digests.of(b"12345678")


def test_a_digest_names_its_algorithm() -> None:
    assert Digests.of(b"").digest == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_digests_can_be_asked_for_on_the_way() -> None:
    digester = Digester()
    digester.update(b"ab")
    assert digester.digests() == Digests.of(b"ab")
    digester.update(b"c")
    assert digester.digests() == Digests.of(b"abc")


def test_who_wants_no_md5_gets_none() -> None:
    digester = Digester(md5=False)
    digester.update(b"abc")
    assert digester.digests() == Digests(Digests.of(b"abc").sha256, b"", 3)


def test_steps_may_be_taken_in_any_order() -> None:
    digester = Digester()
    for chunks in ((b"a", b"b"), (b"c",)):
        for step in reversed(digester.steps(*chunks)):
            step()
    assert digester.digests() == Digests.of(b"abc")
