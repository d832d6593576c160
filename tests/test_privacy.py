"""Report text, keys and passwords are found in no log, metric, trace, error or Redis key, whatever goes wrong.

The planted failures include components whose exceptions quote the texts, as careless code does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import httpx
import pytest
import redis

from testbed.redis_server import Redis
from testbed.service import Service, running, write_profile
from tests.needs import needs

MARK = "Xanthochromia"  # in every text that is sent, and nowhere else
KEY = "rr-the-secret-key"
PASSWORD = "the-redis-password"
JUDGE_KEY = "sk-the-judge-key"


class _Sink(BaseHTTPRequestHandler):
    """Takes OpenTelemetry spans, and plays a judge that repeats the prompt in an error."""

    received: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        answer = b"{}" if self.path == "/v1/traces" else b'{"error": "cannot judge: ' + body[:2000] + b'"}'
        self.send_response(200 if self.path == "/v1/traces" else 500)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        return None


@pytest.fixture(scope="module")
def sink() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def text(rest: str) -> str:
    return f"{MARK} {rest}"


def requests() -> Iterator[tuple[str, str, bytes | str]]:
    """(method, path, body): everything that can go wrong with a text in it."""
    words = ["fine", "poison", "nan", "missing_key", "lost", "clash", "\ud800", "x" * 3000, ""]
    bad = [{"candidate": text(word), "reference": text("clash and words")} for word in words]
    yield "POST", "/score", json.dumps({"items": bad, "detail": "full", "timeout_s": 2})
    yield "POST", "/score", json.dumps({"items": [{"candidate": text("fine"), "reference": ""}], "timeout_s": 2})
    group = {"reference": text("r"), "candidates": [text("poison"), text("b")], "prior": text("earlier")}
    yield "POST", "/score", json.dumps({"groups": [group], "timeout_s": 2})
    for broken in (
        {"items": [{"candidate": [text("list")], "reference": text("r")}]},
        {"items": [{"candidate": text("c"), "reference": text("r"), text("field"): 1}]},
        {text("field"): 1},
        {"items": [], "fingerprint": {text("pinned"): text("value")}},
        {"items": [], "detail": text("detail")},
        {"items": text("not a list")},
    ):
        yield "POST", "/score", json.dumps(broken)
    yield "POST", "/score", b'{"items": [{"candidate": "' + text("\xff").encode("latin-1") + b'"}]}'
    yield "POST", "/score", '{"items": [{"candidate": "' + text("cut off")
    for path in ("/get_reward", "/compat/slime", "/verify", "/v1/score/evaluation"):
        for body in (
            {"query": [text("no marker")], "prompts": [text("p")], "labels": [text("l")]},
            {"response": text("poison"), "label": text("words")},
            {"response": {"output": [{"role": "assistant", "content": text("poison")}]}, "reference": text("r")},
            {"messages": [text("who knows")]},
            {"response": text("x"), "label": {"reference": [text("list")]}},
        ):
            yield "POST", path, json.dumps(body)


@contextlib.contextmanager
def serving(folder: Path, sink: str, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Iterator[Service]:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
    components = {
        name: {"component": name, "value": "overlap", "weight": 1, "settings": {"encoding": f"{name}@1"}}
        for name in ("overlap", "overlap_inline", "overlap_pool")
    }
    judge = {
        "clinical": {"component": "vllm", "transform": "signed", "weight": 1},
        "rules": {"value": "signed", "weight": 0},
    }
    profile = write_profile(folder, "leaky", {"bleu2": {"weight": 1}, **components, **judge})
    settings = {
        "judge_urls": f"{sink}/v1", "judge_model": "m", "judge_revision": "r", "judge_api_key": JUDGE_KEY,
        "judge_canary_s": 0, "log_level": "debug", "otel": True, "max_text_chars": 2000, "hold_timeout_s": 1,
        "api_keys": f"trainer:{hashlib.sha256(KEY.encode()).hexdigest()}", **settings,
    }  # fmt: skip
    with running(folder / "log", profiles=profile, **settings) as service:
        yield service


@pytest.mark.slow
@needs("redis-server")
@pytest.mark.parametrize("workers", [1, 2])
def test_planted_text_and_secrets_are_found_nowhere(
    tmp_path: Path, sink: str, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    _Sink.received.clear()
    server = Redis("--requirepass", PASSWORD).start()
    try:
        url = f"redis://:{PASSWORD}@127.0.0.1:{server.port}/0"
        settings = {"cache_url": url, "workers": workers, "model_process": workers == 1}
        with serving(tmp_path, sink, monkeypatch, **settings) as service:
            seen = _provoke(service)
            stored = redis.Redis(port=server.port, password=PASSWORD)
            seen["redis keys"] = b" ".join(stored.keys("*")).decode()
            assert stored.dbsize() > 0
            seen["redis values"] = repr([stored.get(key) for key in stored.keys("*") if stored.type(key) == b"string"])
            service.process.terminate()
            service.process.wait(40)
            seen["log"] = service.log
    finally:
        server.kill()
    traces = [body for path, _, body in _Sink.received if path == "/v1/traces"]
    seen["traces"] = repr(traces)
    assert traces, "no trace has been sent"
    assert b"/score" in b"".join(traces)
    for place, content in seen.items():
        for secret in (MARK, KEY, PASSWORD, JUDGE_KEY):
            assert secret.lower() not in content.lower(), f"{secret} in {place}: {_around(content, secret)}"
    # The failures that were planted did happen.
    for code in ("component_error", "not_finite", "wrong_keys", "invalid_unicode", "text_too_long", "empty_reference"):
        assert f'code="{code}"' in seen["metrics"], code


def _provoke(service: Service) -> dict[str, str]:
    """Send everything; what came back where no text belongs. An answer may echo what its own request named."""
    seen = {}
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    context = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    with httpx.Client(base_url=service.url, headers={**headers, **context}, timeout=30) as client:
        for number, (method, path, body) in enumerate(requests()):
            answer = client.request(method, path, content=body)
            assert answer.status_code < 500 or answer.status_code == 503, answer.text
            if path != "/verify" or answer.status_code != 200:
                seen[f"{number} {path}"] = answer.text + repr(answer.headers)
        for wrong in (f"Bearer {KEY}x", f"Basic {KEY}", KEY):
            refused = client.post("/score", content=b"{}", headers={"authorization": wrong})
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            seen["401"] = refused.text
        for path in ("/info", "/metrics", "/ready", "/v1/fingerprint", f"/v1/fingerprint?profile={'y' * 300}"):
            seen[path.strip("/")] = client.get(path).text
    return seen


def _around(content: str, secret: str) -> str:
    at = content.lower().index(secret.lower())
    return content[max(0, at - 300) : at + 100]


@pytest.mark.slow
def test_the_trace_context_reaches_the_judge(tmp_path: Path, sink: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opentelemetry.instrumentation.httpx")
    _Sink.received.clear()
    with serving(tmp_path, sink, monkeypatch, judge_timeout_s=2) as service:
        headers = {"authorization": f"Bearer {KEY}", "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
        item = {"candidate": "effusion", "reference": "no effusion"}
        httpx.post(f"{service.url}/score", json={"items": [item], "timeout_s": 4}, headers=headers, timeout=20)
        service.stop()
    traced = [headers.get("traceparent", "") for path, headers, _ in _Sink.received if path.endswith("/completions")]
    spans = b"".join(body for path, _, body in _Sink.received if path == "/v1/traces")
    assert bytes.fromhex("ab" * 16) in spans
    assert traced  # self-tests at least; they have traces of their own
