"""Traces, as a collector on a real socket gets them; and none where nobody asked for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from conversations.measuring import tracing
from tests.provider_fixtures import provider_server, provider_server_process
from tests.server import Client, Server, finished

__all__ = ["provider_server", "provider_server_process"]


@pytest.fixture
def collector() -> Iterator[tuple[str, list]]:
    """An OTLP collector; its address, and the spans that it got."""
    spans: list = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    server.server_close()


def test_a_trace_goes_from_the_request_to_the_provider(tmp_path, provider_server, collector):
    address, spans = collector
    server = Server(
        tmp_path,
        OPENAI_BASE_URL=provider_server.base_url,
        OPENAI_MODEL="fast",
        OTEL_EXPORTER_OTLP_ENDPOINT=address,
        OTEL_BSP_SCHEDULE_DELAY="200",
    )
    server.prepare()
    server.start()
    try:
        client = Client(server)
        finished(client, client.ask("plantedmessagewords").url.path)
        client.close()
        until = time.monotonic() + 15
        while not any(span.name == "generation" for span in spans) and time.monotonic() < until:
            time.sleep(0.1)
    finally:
        server.close()
    by_name = {span.name: span for span in spans}
    request, generation, call = (by_name[name] for name in ("POST /c/", "generation", "chat"))
    assert generation.parent_span_id == request.span_id
    assert call.parent_span_id == generation.span_id
    assert len({span.trace_id for span in (request, generation, call)}) == 1
    attributes = {pair.key: pair.value.string_value for pair in (*generation.attributes, *call.attributes)}
    assert attributes["stillwater.status"] == "completed"
    assert attributes["gen_ai.request.model"] == "fast"
    assert "plantedmessagewords" not in str(spans)


def test_without_a_collector_there_are_no_spans():
    with tracing.span("anything", some__attribute="x") as span:
        assert span is None
        assert tracing.carried() == ""


def test_without_a_collector_requests_are_not_wrapped():
    def handler(_request):
        return None

    assert tracing.trace_middleware(handler) is handler
