"""Spans: of public calls, where the application traces; and nothing at all where it does not."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from azurite.launch import Azurite
from catalog import ConflictError, Create, F, NotFoundError, Volume, connect
from catalog.tracing import traced


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What is exported, by a provider that is the application's for one test."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


async def test_a_public_call_is_a_span_and_what_it_calls_is_inside(spans: InMemorySpanExporter, tmp_path: Path) -> None:
    async with connect("memory:") as cat:
        volume = await cat.create_volume("raw", shards=1)
        await volume.put("a", b"1", metadata={"owner": "private"})
        await volume.download_tree("", tmp_path / "out")
    created, put, listed, written = spans.get_finished_spans()
    assert [each.name for each in (created, put, listed, written)] == [
        "blobcat.create_volume", "blobcat.put", "blobcat.list", "blobcat.download_tree"
    ]  # fmt: skip
    assert dict(put.attributes or {}) == {"blobcat.path": "a", "blobcat.volume": "raw"}
    assert listed.parent is not None
    assert written.context is not None
    assert listed.parent.span_id == written.context.span_id


async def test_an_error_is_told_by_its_kind(spans: InMemorySpanExporter) -> None:
    async with connect("memory:") as cat:
        volume = await cat.create_volume("raw", shards=1)
        await volume.put("a", b"1")
        with pytest.raises(ConflictError):
            await volume.put("a", b"2", mode=Create())
    failed = spans.get_finished_spans()[-1]
    assert failed.status.status_code is trace.StatusCode.ERROR
    assert (failed.attributes or {})["error.type"] == "conflict.exists"


async def test_an_iteration_is_one_span_and_none_of_it_is_current_outside(spans: InMemorySpanExporter) -> None:
    async with connect("memory:") as cat:
        volume = await cat.create_volume("raw", shards=2)
        for name in "abc":
            await volume.put(name, b"12")
        spans.clear()
        async for _ in volume.query(F.size > 1):
            assert not trace.get_current_span().is_recording()
        assert len([each async for each in volume.query().select("size")]) == 3
        assert (await volume.query().count()).files == 3
        async for _ in volume.list():
            break
        async with volume.open("a") as reader:
            assert await reader.read() == b"12"
    names = [each.name for each in spans.get_finished_spans()]
    assert sorted(names) == [
        "blobcat.count", "blobcat.list", "blobcat.open", "blobcat.query", "blobcat.select"
    ]  # fmt: skip
    told = {each.name: dict(each.attributes or {}) for each in spans.get_finished_spans()}
    assert told["blobcat.query"] == told["blobcat.count"] == {"blobcat.volume": "raw"}


async def test_the_error_of_an_iteration_or_of_a_context_is_told_too(spans: InMemorySpanExporter) -> None:
    async with connect("memory:") as cat:
        volume = await cat.create_volume("raw", shards=1)
        with pytest.raises(NotFoundError):
            await anext(volume.history("no"))
        with pytest.raises(NotFoundError):
            async with volume.open("no"):
                pass
    failed = {each.name: (each.attributes or {}).get("error.type") for each in spans.get_finished_spans()}
    assert (failed["blobcat.history"], failed["blobcat.open"]) == ("not-found", "not-found")


async def test_requests_are_azure_cores_spans_inside_ours(spans: InMemorySpanExporter, azurite: Azurite) -> None:
    from azure.core.settings import settings

    settings.tracing_enabled = True
    try:
        async with connect(f"{azurite.url}/traced?table=traced") as cat:
            volume = await cat.create_volume("raw", shards=1)
            spans.clear()
            await volume.put("a", b"1")
    finally:
        settings.tracing_enabled = None
    put = spans.get_finished_spans()[-1]
    assert put.name == "blobcat.put"
    assert put.context is not None
    inside = [
        each for each in spans.get_finished_spans() if each.context and each.context.trace_id == put.context.trace_id
    ]
    assert {each.name for each in inside} >= {"PUT", "POST"}
    assert "sig=" not in str([each.to_json() for each in inside])


def test_without_a_provider_a_class_is_what_it_is() -> None:
    assert traced(Volume) is Volume


def test_nobody_imports_opentelemetry_for_who_does_not_trace() -> None:
    program = (
        "import asyncio, sys, catalog\n"
        "async def main():\n"
        "    async with catalog.connect('memory:') as cat: await cat.create_volume('raw')\n"
        "asyncio.run(main()); print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]"
