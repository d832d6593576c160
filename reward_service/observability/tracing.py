"""OpenTelemetry traces (extra `otel`, setting `REWARD_OTEL`): one span per request, with what may be told of it.

The caller's trace context is taken up, and passed on to the judge's servers where httpx is instrumented. Where
the spans go is for OpenTelemetry's own environment variables to say. Report text is never an attribute.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from reward_service.errors import ConfigurationError
from reward_service.settings import Settings

Tell = Callable[[Mapping[str, Any]], None]
"""Adds attributes to the current request's span."""


class Tracing(Protocol):
    def request(self, method: str, headers: Mapping[str, str]) -> contextlib.AbstractContextManager[Tell]: ...

    def close(self) -> None: ...


class _Off:
    def request(self, method: str, headers: Mapping[str, str]) -> contextlib.AbstractContextManager[Tell]:
        return contextlib.nullcontext(lambda attributes: None)

    def close(self) -> None:
        return None


class _On:
    def __init__(self, exporter: Any = None) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
        from opentelemetry.propagate import extract
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind

        self._provider = TracerProvider(resource=Resource.create({"service.name": "reward-service"}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("reward_service")
        self._extract, self._kind = extract, SpanKind.SERVER
        HTTPXClientInstrumentor().instrument(tracer_provider=self._provider)

    @contextlib.contextmanager
    def request(self, method: str, headers: Mapping[str, str]) -> Iterator[Tell]:
        with self._tracer.start_as_current_span(
            method,
            context=self._extract(headers),
            kind=self._kind,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:

            def tell(attributes: Mapping[str, Any]) -> None:
                span.update_name(f"{method} {attributes.get('http.route', '')}")
                span.set_attributes({key: value for key, value in attributes.items() if value is not None})

            yield tell

    def close(self) -> None:
        self._provider.shutdown()


def start(settings: Settings, exporter: Any = None) -> Tracing:
    """Tracing as the settings ask for it; `exporter` replaces OTLP over HTTP. Raises `ConfigurationError`."""
    if not settings.otel:
        return _Off()
    try:
        return _On(exporter)
    except ImportError as error:
        raise ConfigurationError(
            f"REWARD_OTEL needs '{error.name}'. Install it with: pip install 'reward-service[otel]'.",
            code="missing_extra",
            param="otel",
        ) from None
