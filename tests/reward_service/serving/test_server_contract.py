"""The wire contract over real HTTP: every kind of bad input, one envelope, answers that match their schema."""

from __future__ import annotations

import json
import math
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from judges.rules import reading
from reward_service.api.auth import new_key
from reward_service.wire import schemas
from testbed.service import ROOT, Service, running, write_profile
from tests.waiting import wait_until

LIMITS = {"max_items": 8, "max_text_chars": 300, "max_body_bytes": 20_000}
GOOD = {"candidate": "No pleural effusion.", "reference": "Small left pleural effusion."}
SPEC = json.loads((ROOT / "openapi.json").read_text())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("contract")
    mini = write_profile(folder, "mini", {"bleu2": {"weight": 0.5}, "rougeL": {"weight": 0.5}})
    with running(folder / "log", profiles=f"{mini},text", **LIMITS) as service:
        yield service


def post(service: Service, body: Any, path: str = "/score", **options: Any) -> httpx.Response:
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    headers = {"content-type": "application/json", **options.pop("headers", {})}
    return httpx.post(f"{service.url}{path}", content=body, headers=headers, timeout=30, **options)


def error(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The one envelope, complete, with the request id that the header has."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    found: dict[str, Any] = schemas.ErrorEnvelope.model_validate(response.json()).model_dump()["error"]
    assert set(response.json()["error"]) <= set(schemas.ErrorBody.model_fields)
    assert (found["code"], found["request_id"]) == (code, response.headers["x-request-id"])
    assert len(found["message"]) > 20
    _matches("ErrorEnvelope", response.json())
    return found


def scored(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    # Every field that came is one of the model's, and has its type.
    assert schemas.ScoreResponse.model_validate(body, strict=False).model_dump(exclude_unset=True, mode="json") == body
    _matches("ScoreResponse", body)
    return body


def _matches(schema: str, body: Any) -> None:
    whole = {"$ref": f"#/components/schemas/{schema}", "components": SPEC["components"]}
    jsonschema_rs.validator_for(whole).validate(body)


def items(*items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"profile": "mini", "items": list(items), **fields}


# -- content problems are the item's ---------------------------------------------------------------


@pytest.mark.parametrize("blank", ["", "   ", "\n\t", "\u200b", "\u3000"])
def test_an_empty_candidate_is_valid_flagged_and_at_the_floor(service: Service, blank: str) -> None:
    body = scored(post(service, {"profile": "text", "items": [{**GOOD, "candidate": blank}, GOOD]}))
    empty, good = body["results"]
    assert empty["status"] == "ok"
    assert "empty" in empty["flags"]
    bounds = httpx.get(f"{service.url}/info", timeout=30).json()["profiles"]["text"]["bounds"]
    assert bounds[0] <= empty["reward"] < good["reward"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"reference": ""}, "empty_reference"),
        ({"reference": " \n"}, "empty_reference"),
        ({"candidate": "x" * 301}, "text_too_long"),
        ({"reference": "x" * 301}, "text_too_long"),
        ({"prior": "x" * 301}, "text_too_long"),
        ({"candidate": "a lone \ud800 surrogate"}, "invalid_unicode"),
        ({"reference": "\udfff"}, "invalid_unicode"),
        ({"prior": "x\udc00"}, "invalid_unicode"),
    ],
)
def test_a_content_problem_is_the_items_own(service: Service, wrong: dict[str, Any], code: str) -> None:
    body = scored(post(service, items(GOOD, {**GOOD, **wrong}, GOOD)))
    alone = scored(post(service, items(GOOD)))["results"][0]["reward"]
    before, bad, after = body["results"]
    assert before["reward"] == after["reward"] == alone
    assert (bad["reward"], bad["status"], bad["missing"]["item"]["code"]) == (None, "null", code)
    assert set(bad["components"]) == {"bleu2", "rougeL"}
    assert set(bad["components"].values()) == {None}


def test_a_lone_surrogate_in_a_group_costs_that_candidate_only(service: Service) -> None:
    group = {"id": "g", "reference": GOOD["reference"], "candidates": ["effusion", "\ud83d", "small effusion"]}
    (answer,) = scored(post(service, {"profile": "mini", "groups": [group]}))["groups"]
    assert [r["status"] for r in answer["results"]] == ["ok", "null", "ok"]
    assert [r["id"] for r in answer["results"]] == ["g/0", "g/1", "g/2"]
    rewards = [r["reward"] for r in answer["results"] if r["reward"] is not None]
    assert answer["mean"] == pytest.approx(sum(rewards) / 2)
    assert answer["std"] == pytest.approx(abs(rewards[0] - rewards[1]) / 2)  # population, of two


def test_a_trainers_format_survives_a_lone_surrogate(service: Service) -> None:
    """Its own sample has no reward, which `missing` declares a substitute for; the other is scored."""
    prompt = "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"
    body = {"query": [prompt + "no effusion", prompt + "no \ud800 effusion"], "prompts": [prompt] * 2,
            "labels": ["small effusion"] * 2}  # fmt: skip
    answer = post(service, body, "/get_reward?profile=mini&missing=-3")
    assert answer.status_code == 200, answer.text
    assert answer.json()["extra_logs"]["rr_valid"] == [1.0, 0.0]
    assert answer.json()["rewards"][1] == -3
    echoed = post(service, {"response": {"output": [{"role": "assistant", "content": "an effusion"}]},
                            "reference": "small effusion", "note": "\ud800"}, "/verify?profile=mini")  # fmt: skip
    assert echoed.status_code == 200, echoed.text
    assert echoed.json()["note"] == "\ud800"


# -- shape problems are the request's -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (b"", 400, "malformed_json", None),
        (b"{", 400, "malformed_json", None),
        (b'{"items": [}', 400, "malformed_json", None),
        (b'{"items": []} x', 400, "malformed_json", None),
        (b'{"items": [], "timeout_s": NaN}', 400, "malformed_json", None),
        (b'{"items": [], "timeout_s": Infinity}', 400, "malformed_json", None),
        (b'{"items": [{"candidate": "\xff\xfe", "reference": "r"}]}', 400, "invalid_utf8", None),
        ('{"items": []}'.encode("utf-16"), 400, "invalid_utf8", None),
        (b"[" * 5000 + b"]" * 5000, 400, "malformed_json", None),
        (b'{"items": [], "fingerprint": ' + b'{"a":' * 900 + b"1" + b"}" * 901, 422, "invalid_request", "fingerprint"),
        (b'{"items": [], "run_id": "\\ud800"}', 400, "invalid_unicode", None),
        (b"null", 422, "invalid_request", None),
        (b"[]", 422, "invalid_request", None),
        ({}, 422, "invalid_request", None),
        ({"items": None}, 422, "invalid_request", "items"),
        ({"items": {}}, 422, "invalid_request", "items"),
        ({"items": ["text"]}, 422, "invalid_request", "items[0]"),
        (items({**GOOD, "candidate": 7}), 422, "invalid_request", "items[0].candidate"),
        (items(GOOD, {**GOOD, "reference": None}), 422, "invalid_request", "items[1].reference"),
        (items({"candidate": "x"}), 422, "invalid_request", "items[0].reference"),
        (items({**GOOD, "id": 7}), 422, "invalid_request", "items[0].id"),
        (items({**GOOD, "weight": 1}), 422, "invalid_request", "items[0].weight"),
        (items(GOOD, colour="red"), 422, "invalid_request", "colour"),
        (items(GOOD, detail="everything"), 422, "invalid_request", "detail"),
        (items(GOOD, timeout_s=0), 422, "invalid_request", "timeout_s"),
        (items(GOOD, timeout_s="60"), 422, "invalid_request", "timeout_s"),
        (b'{"items": [], "timeout_s": 1e999}', 422, "invalid_request", "timeout_s"),
        (items(GOOD, step=-1), 422, "invalid_request", "step"),
        (items(GOOD, step=1.5), 422, "invalid_request", "step"),
        (items(GOOD, step=10**30), 422, "invalid_request", "step"),
        (items(GOOD, run_id="x" * 257), 422, "invalid_request", "run_id"),
        (items(GOOD, fingerprint=7), 422, "invalid_request", "fingerprint"),
        (items({**GOOD, "id": "a"}, GOOD, {**GOOD, "id": "a"}), 422, "duplicate_id", "items[2].id"),
        ({"groups": [{"id": "g", "reference": "r", "candidates": []}] * 2}, 422, "duplicate_id", "groups[1].id"),
        ({"groups": [{"reference": "r", "candidates": "text"}]}, 422, "invalid_request", "groups[0].candidates"),
        (items(*[GOOD] * 9), 422, "too_many_items", "items"),
        ({"groups": [{"reference": "r", "candidates": ["c"] * 9}]}, 422, "too_many_items", "groups"),
        (items(GOOD, profile="text2"), 404, "unknown_profile", "profile"),
        (items(GOOD, profile="x" * 300), 422, "invalid_request", "profile"),
        (items(GOOD, profile="standard"), 404, "profile_not_enabled", "profile"),
        (items(GOOD, fingerprint="sha256:" + "0" * 64), 409, "fingerprint_mismatch", "fingerprint"),
    ],
)  # fmt: skip
def test_a_shape_problem_is_the_requests(
    service: Service, body: Any, status: int, code: str, param: str | None
) -> None:
    found = error(post(service, body), status, code)
    assert found["param"] == param
    assert found["retryable"] is False


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/get_reward", {"query": [7] * 9}),
        ("/get_reward", {"query": ["a"], "labels": ["b"] * 9}),
        ("/v1/score/evaluation", {"messages": [None] * 9}),
    ],
)
def test_samples_are_counted_before_any_is_read(service: Service, path: str, body: Any) -> None:
    error(post(service, body, path), 422, "too_many_items")


def test_messages_name_the_limit_the_setting_and_the_suggestion(service: Service) -> None:
    assert "8 (REWARD_MAX_ITEMS)" in error(post(service, items(*[GOOD] * 9)), 422, "too_many_items")["message"]
    assert "Did you mean 'text'" in error(post(service, items(profile="txt")), 404, "unknown_profile")["message"]
    assert "REWARD_PROFILES" in error(post(service, items(profile="standard")), 404, "profile_not_enabled")["message"]
    known = error(post(service, items(colour="red")), 422, "invalid_request")["message"]
    assert "profile" in known
    assert "groups" in known
    assert "line 1, column" in error(post(service, b'{"items": [,]}'), 400, "malformed_json")["message"]


def test_a_wrong_pin_names_the_fields_that_differ(service: Service) -> None:
    document = httpx.get(f"{service.url}/v1/fingerprint?profile=mini").json()
    assert post(service, items(GOOD, fingerprint=document["fingerprint"])).status_code == 200
    assert post(service, items(GOOD, fingerprint=document["document"])).status_code == 200
    changed = json.loads(json.dumps(document["document"]))
    changed["weights"]["bleu2"] = 0.25
    found = error(post(service, items(GOOD, fingerprint=changed)), 409, "fingerprint_mismatch")
    assert found["details"]["fields"] == ["weights.bleu2"]
    assert found["details"]["served"] == document["fingerprint"]


def test_a_body_over_the_limit_is_refused_announced_or_not(service: Service) -> None:
    big = json.dumps(items({**GOOD, "candidate": "x" * 30_000})).encode()
    announced = error(post(service, big), 413, "body_too_large")
    assert "20000 bytes (REWARD_MAX_BODY_BYTES)" in announced["message"]

    def drip() -> Iterator[bytes]:
        for i in range(0, len(big), 5000):
            yield big[i : i + 5000]

    streamed = httpx.post(f"{service.url}/score", content=drip(), headers={"content-type": "application/json"})
    error(streamed, 413, "body_too_large")


def test_a_lying_content_length_is_refused_before_the_body_is_sent(service: Service) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        head = f"POST /score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {10**12}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_what_is_not_http_gets_the_envelope_too(service: Service) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(b"\x16\x03\x01 this is TLS, say\r\n\r\n")
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 400")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "malformed_http"


@pytest.mark.parametrize("path", ["/score", "/health"])
def test_a_large_head_is_refused_before_anything_else(service: Service, path: str) -> None:
    """Also one that arrives at once, as a whole."""
    for headers in ({"x": "y" * 70_000}, {f"x-{n}": "y" for n in range(9_000)}):
        error(httpx.get(f"{service.url}{path}", headers=headers, timeout=30), 431, "head_too_large")
    assert httpx.get(f"{service.url}/health", headers={"x": "y" * 60_000}, timeout=30).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_another_content_type_is_refused(service: Service, kind: str) -> None:
    error(post(service, items(GOOD), headers={"content-type": kind}), 415, "unsupported_media_type")
    error(post(service, items(GOOD), headers={"content-encoding": "gzip"}), 415, "unsupported_media_type")
    assert post(service, items(GOOD), headers={"content-type": "Application/JSON; charset=utf-8"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("POST", "/scores", 404, "not_found"),
        ("POST", "/score/", 404, "not_found"),
        ("GET", "/score", 405, "method_not_allowed"),
        ("DELETE", "/v1/score", 405, "method_not_allowed"),
        ("POST", "/health", 405, "method_not_allowed"),
        ("GET", "/v1/fingerprint?profile=nope", 404, "unknown_profile"),
        ("POST", "/get_reward?missing=nan", 422, "invalid_request"),
        ("POST", "/get_reward?missing=many", 422, "invalid_request"),
    ],
)
def test_routes_and_parameters(service: Service, method: str, path: str, status: int, code: str) -> None:
    response = httpx.request(method, f"{service.url}{path}")
    error(response, status, code)
    assert ("allow" in response.headers) == (status == 405)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid_request"),
        ({"text": 5}, 422, "invalid_request"),
        ({"text": "No effusion.", "profile": "text"}, 422, "invalid_request"),
        (["No effusion."], 422, "invalid_request"),
        (b"{", 400, "malformed_json"),
        ({"text": "x" * 301}, 413, "body_too_large"),
    ],
)
def test_a_text_that_cannot_be_read(service: Service, body: Any, status: int, code: str) -> None:
    error(post(service, body, "/v1/read"), status, code)


def test_a_report_is_read_as_the_command_reads_it(service: Service) -> None:
    text = "Findings: No effusion.\ud800"
    answer = post(service, {"text": text}, "/v1/read")
    assert answer.status_code == 200, answer.text
    assert answer.json() == reading.explain(text)
    _matches("ReadResponse", answer.json())


# -- what is answered -------------------------------------------------------------------------------


def test_empty_lists_are_answered(service: Service) -> None:
    assert scored(post(service, items()))["results"] == []
    assert scored(post(service, {"groups": []}))["groups"] == []
    group = scored(post(service, {"groups": [{"reference": "r", "candidates": []}]}))["groups"][0]
    assert (group["mean"], group["std"], group["zero_advantage"]) == (None, None, True)


def test_everything_asked_for_comes_back_in_order_at_every_detail(service: Service) -> None:
    asked = {
        "profile": "text",
        "items": [{**GOOD, "id": f"i{n}", "candidate": f"{GOOD['candidate']} {n}"} for n in range(3)],
        "groups": [{"id": "g", "reference": "Stable cardiomegaly.", "candidates": ["Cardiomegaly.", ""], "prior": "x"}],
        "run_id": "run-7",
        "step": 12,
    }
    for detail in ("reward", "components", "full"):
        body = scored(post(service, {**asked, "detail": detail}))
        assert (body["run_id"], body["step"]) == ("run-7", 12)
        assert [r["id"] for r in body["results"]] == ["i0", "i1", "i2"]
        for result in [*body["results"], *body["groups"][0]["results"]]:
            assert math.isfinite(result["reward"])
            assert ("components" in result) == (detail != "reward")
            assert ("judgement" in result) == (detail == "full")
            if detail != "reward":
                assert math.fsum(result["contributions"].values()) == pytest.approx(result["reward"], abs=1e-12)


def test_request_ids_are_echoed_and_timings_told(service: Service) -> None:
    given = post(service, items(GOOD), headers={"x-request-id": "trainer-7:step.12"})
    assert given.headers["x-request-id"] == "trainer-7:step.12"
    for forged in ("has spaces", "x" * 129, '"}{'):
        own = post(service, items(GOOD), headers={"x-request-id": forged}).headers["x-request-id"]
        assert own != forged
        assert len(own) == 16
    timing = given.json()["timing_ms"]
    assert float(given.headers["x-queue-ms"]) == pytest.approx(timing["queue"], abs=0.06)
    total = float(given.headers["x-queue-ms"]) + float(given.headers["x-compute-ms"])
    assert total >= timing["total"] - 0.2  # the headers are written last


def test_the_log_has_request_id_run_and_step(service: Service) -> None:
    post(service, items(GOOD, run_id="run-42", step=9), headers={"x-request-id": "find-me"})
    wait_until(lambda: "find-me" in service.log)  # a thread of its own writes it
    lines = [json.loads(line) for line in service.log.splitlines() if "find-me" in line]
    assert [(line["event"], line["run_id"], line["step"], line["status"]) for line in lines] == [
        ("request", "run-42", 9, 200)
    ]


def test_state_routes_match_the_committed_schema(service: Service) -> None:
    served = httpx.get(f"{service.url}/openapi.json").json()
    assert served == SPEC
    for path in ("/health", "/ready", "/info", "/v1/fingerprint"):
        assert httpx.get(f"{service.url}{path}", timeout=30).status_code == 200
    assert "reward_requests_total" in httpx.get(f"{service.url}/metrics").text


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_probes_may_ask_for_the_head_alone(service: Service, path: str) -> None:
    answer = httpx.head(f"{service.url}{path}", timeout=30)
    assert (answer.status_code, answer.content) == (200, b"")
    assert httpx.head(f"{service.url}/info", timeout=30).status_code == 405


def addresses(page: str) -> set[str]:
    """Everything that a page of Swagger UI loads."""
    return set(re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""", page))


def test_the_page_of_documentation_loads_nothing_from_elsewhere(service: Service) -> None:
    page = httpx.get(f"{service.url}/docs", timeout=30)
    loaded = addresses(page.text)
    assert "/openapi.json" in loaded
    assert len(loaded) == 5  # the document, a style sheet, an icon, two scripts
    for address in loaded:
        assert address.startswith("/")
        assert httpx.get(f"{service.url}{address}", timeout=30).status_code == 200
    assert "SwaggerUIBundle" in httpx.get(f"{service.url}/docs/swagger-ui-bundle.js", timeout=30).text
    error(httpx.get(f"{service.url}/docs/other.js", timeout=30), 404, "not_found")


def test_under_a_prefix_everything_works_with_and_without_it(tmp_path: Path) -> None:
    """Some proxies strip the prefix, others do not."""
    key, entry = new_key("trainer")
    profile = write_profile(tmp_path, "mini", {"bleu2": {"weight": 0.5}, "rougeL": {"weight": 0.5}})
    with running(tmp_path / "log", profiles=profile, root_path="/team/reward/", api_keys=entry) as service:
        headers = {"Authorization": f"Bearer {key}"}
        for prefix in ("", "/team/reward"):
            assert httpx.get(f"{service.url}{prefix}/health").status_code == 200  # without a key
            assert post(service, items(GOOD), f"{prefix}/score").status_code == 401
            scored(post(service, items(GOOD), f"{prefix}/score", headers=headers))
            page = httpx.get(f"{service.url}{prefix}/docs", headers=headers).text
            for address in addresses(page):
                assert address.startswith("/team/reward/")
                assert httpx.get(f"{service.url}{address}", headers=headers).status_code == 200
            spec = httpx.get(f"{service.url}{prefix}/openapi.json", headers=headers).json()
            assert spec["servers"] == [{"url": "/team/reward"}]
