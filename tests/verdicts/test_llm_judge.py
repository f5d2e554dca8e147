"""The LLM judge against a real HTTP server on this machine that answers from a script."""

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mixpo.config import build, plain
from mixpo.errors import RecipeError, UserError
from mixpo.files import RunFiles
from mixpo.records import AnswerKind, FinishReason, Outcome, Question, Response
from mixpo.verdicts.llm_judge import JudgeReply, LLMJudgeConfig, decide
from mixpo.verdicts.llm_prompt import PROMPT_VERSION
from mixpo.verdicts.verify import Config, run, verify

pytest.importorskip("openai")
pytest.importorskip("tenacity")
KEY = "key-of-the-test-5f0c"


class Endpoint(ThreadingHTTPServer):
    """Replies with `answer(body)`: (status, text, headers); keeps every request's body and headers."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = lambda body: (200, '{"score": 1, "why": "same"}', {})
        self.requests: list[dict] = []
        self.keys: list[str] = []
        self.in_flight = self.most_in_flight = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append(body)
            self.server.keys.append(self.headers["Authorization"])
            self.server.in_flight += 1
            self.server.most_in_flight = max(self.server.most_in_flight, self.server.in_flight)
        status, text, headers = self.server.answer(body)
        with self.server.lock:
            self.server.in_flight -= 1
        message = {"role": "assistant", "content": text}
        whole = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"]}
        reply = json.dumps({**whole, "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}).encode()
        if text is None:
            reply = b'{"html": "log in"}'
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(reply)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # a client that did not wait
            self.wfile.write(reply)

    def log_message(self, *_):
        """Requests are kept, not printed."""


@pytest.fixture
def endpoint(monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run_folder(root, texts, finish=FinishReason.STOP):
    """A run with one free-form question and one counting question, which the first response answers."""
    files = RunFiles(root)
    free_form = Question(id="q", text="What does the dog do?", answer="It runs.", kind=AnswerKind.FREE_FORM)
    count = Question(id="n", text="How many?", answer="3", kind=AnswerKind.INTEGER)
    files.questions("questions").append([free_form, count, Question(id="open", text="Describe it.")])
    asked = [("n/0", "n", "3"), *((f"q/{k}", "q", text) for k, text in enumerate(texts)), ("open/0", "open", "A dog.")]
    files.responses("sample").append(
        Response(id=id, question_id=parent, sample=int(id[-1]), text=text, finish_reason=finish)
        for id, parent, text in asked
    )
    return files


def judge_config(endpoint, **more):
    given = {"base_url": endpoint.url, "model": "tiny", "api_key_env": "JUDGE_KEY", "backoff": 0.01, **more}
    return Config(workers=1, llm_judge=LLMJudgeConfig(**given))


def judged(files, config):
    run(config, files)
    return {verdict.id: verdict for verdict in files.verdicts("verify")}


def by_response(scores):
    """The reply to the response that a request holds, from {text: reply}."""
    return lambda body: (
        200,
        next(r for text, r in scores.items() if f"---\n{text}\n---" in body["messages"][1]["content"]),
        {},
    )


def test_scores_become_outcomes_and_only_free_form_answers_with_a_truth_are_sent(endpoint, tmp_path):
    replies = {
        "It dashes.": '{"score": 1.0, "why": "same act"}',
        "It sleeps.": '{"score": 0, "why": "other act"}',
        "It moves.": '{"score": 0.5, "why": "vague"}',
        "Hm.": "I would say it is right.",
    }
    endpoint.answer = by_response(replies)
    found = judged(run_folder(tmp_path, list(replies)), judge_config(endpoint))
    assert list(found) == ["n/0", "q/0", "q/1", "q/2", "q/3", "open/0"]
    outcomes = " ".join(found[f"q/{k}"].outcome for k in range(4))
    assert outcomes == "correct incorrect undecided undecided"
    assert {found[f"q/{k}"].rule for k in range(4)} == {"llm:tiny"}
    assert found["q/1"].reason == f'{PROMPT_VERSION}: {{"score": 0, "why": "other act"}}'
    assert found["q/3"].reason == f"{PROMPT_VERSION}: malformed reply: I would say it is right."
    assert (found["n/0"].outcome, found["n/0"].rule) == (Outcome.CORRECT, "direct")
    assert found["open/0"].reason == "no ground truth"
    assert len(endpoint.requests) == 4
    assert {(r["model"], r["temperature"]) for r in endpoint.requests} == {("tiny", 0)}
    assert all(
        "It runs." in r["messages"][1]["content"] and "What does the dog do?" in r["messages"][1]["content"]
        for r in endpoint.requests
    )


def test_off_by_default(endpoint, tmp_path):
    assert Config().llm_judge is None
    found = judged(run_folder(tmp_path, ["It dashes."]), Config(workers=1))
    assert (found["q/0"].outcome, found["q/0"].rule, endpoint.requests) == (Outcome.UNDECIDED, "", [])


def test_key_is_sent_and_written_nowhere(endpoint, tmp_path):
    config = judge_config(endpoint)
    judged(run_folder(tmp_path, ["It dashes."]), config)
    assert endpoint.keys == [f"Bearer {KEY}"]
    written = list(tmp_path.rglob("*.jsonl"))
    assert {path.parts[-3] for path in written} >= {"verdicts", "judge_replies"}
    assert not [path for path in written if KEY in path.read_text()]
    assert KEY not in json.dumps(plain(config)) + repr(config)


def test_busy_and_failing_endpoint_is_asked_again(endpoint, tmp_path):
    script = iter([(429, "", {"Retry-After": "0"}), (503, "", {}), (200, '{"score": 1, "why": "same"}', {})])
    endpoint.answer = lambda body: next(script)
    found = judged(run_folder(tmp_path, ["It dashes."]), judge_config(endpoint, max_calls=1))
    assert found["q/0"].outcome is Outcome.CORRECT
    assert len(endpoint.requests) == 3


def test_retry_after_is_waited_for(endpoint, tmp_path):
    script = iter([(429, "", {"Retry-After": "1"}), (200, '{"score": 1, "why": "same"}', {})])
    times = []
    endpoint.answer = lambda body: (times.append(time.monotonic()), next(script))[1]
    judged(run_folder(tmp_path, ["It dashes."]), judge_config(endpoint))
    assert times[1] - times[0] >= 0.95


def test_late_reply_is_asked_again_then_given_up(endpoint, tmp_path):
    arrived, release = threading.Semaphore(0), threading.Event()
    endpoint.answer = lambda body: (arrived.release(), release.wait(60), (200, "", {}))[-1]
    found = judged(run_folder(tmp_path, ["It dashes."]), judge_config(endpoint, timeout=0.5, attempts=2))
    assert all(arrived.acquire(timeout=60) for _ in range(2))
    release.set()
    assert found["q/0"].reason == f"{PROMPT_VERSION}: no reply in time"
    assert (found["q/0"].outcome, len(endpoint.requests)) == (Outcome.UNDECIDED, 2)


def test_what_got_no_reply_is_asked_again_by_the_next_run(endpoint, tmp_path):
    """In vain: nothing changes. Then the reply takes the place of the verdict that there was none."""
    files, config = run_folder(tmp_path, ["It dashes."]), judge_config(endpoint, attempts=1)
    endpoint.answer = lambda body: (503, "busy", {})
    assert judged(files, config)["q/0"].transient
    before = [path.read_bytes() for path in sorted(files.verdicts("verify").folder.iterdir())]
    assert judged(files, config)["q/0"].transient
    assert [path.read_bytes() for path in sorted(files.verdicts("verify").folder.iterdir())] == before
    assert len(endpoint.requests) == 2
    endpoint.answer = lambda body: (200, '{"score": 1, "why": "same"}', {})
    run(config, files)
    found = [(verdict.id, verdict.outcome, verdict.transient) for verdict in files.verdicts("verify")]
    assert found[-1] == ("q/0", Outcome.CORRECT, False)
    assert [id for id, *_ in found] == ["n/0", "open/0", "q/0"]
    run(config, files)
    assert len(endpoint.requests) == 3


def test_refused_request_is_not_repeated_nor_cached(endpoint, tmp_path):
    endpoint.answer = lambda body: (400, f"you sent {KEY}", {})
    files = run_folder(tmp_path, ["It dashes."])
    found = judged(files, judge_config(endpoint))
    assert found["q/0"].reason == f"{PROMPT_VERSION}: HTTP 400"
    assert (len(endpoint.requests), list(files.judge_replies("verify", JudgeReply))) == (1, [])


def test_reply_that_is_no_chat_completion(endpoint, tmp_path):
    endpoint.answer = lambda body: (200, None, {})
    found = judged(run_folder(tmp_path, ["It dashes."]), judge_config(endpoint))
    assert found["q/0"].reason == f"{PROMPT_VERSION}: the endpoint's reply is no chat completion"


@pytest.mark.parametrize("status", [401, 404])
def test_wrong_key_or_model_ends_the_run_with_one_sentence(endpoint, tmp_path, status):
    endpoint.answer = lambda body: (status, f"bad key {KEY}", {})
    with pytest.raises(UserError, match=f"HTTP {status}.*JUDGE_KEY") as raised:
        judged(run_folder(tmp_path, ["It dashes."]), judge_config(endpoint, concurrency=1))
    assert KEY not in str(raised.value)


def test_dead_endpoint_ends_the_run_and_a_rerun_goes_on(endpoint, tmp_path):
    good = endpoint.answer
    endpoint.answer = lambda body: good(body) if "early" in body["messages"][1]["content"] else (500, "", {})
    files = run_folder(tmp_path, ["early 0", "early 1", "late 2", "late 3", "late 4", "late 5"])
    config = judge_config(endpoint, attempts=1, concurrency=1)
    with pytest.raises(UserError, match="3 requests in a row got no reply"):
        run(config, files)
    endpoint.answer = good
    endpoint.requests.clear()
    found = judged(files, config)
    # Two were right; two that were given up are asked again, as are the two after the failure that ended it.
    assert all(found[f"q/{k}"].outcome is Outcome.CORRECT for k in range(6))
    assert len(endpoint.requests) == 4


def test_cache_hit_is_no_call_even_after_verdicts_are_gone_and_the_last_line_is_torn(endpoint, tmp_path):
    files = run_folder(tmp_path, ["It dashes.", "It sleeps.", "It dashes."])
    config = judge_config(endpoint, concurrency=1)
    before = judged(files, config)
    assert len(endpoint.requests) == 2  # equal answers are asked once
    (verdicts,) = files.verdicts("verify").paths()
    verdicts.unlink()
    assert judged(files, config) == before
    assert len(endpoint.requests) == 2
    verdicts.unlink()
    (cache,) = files.judge_replies("verify", JudgeReply).paths()
    cache.write_bytes(cache.read_bytes()[:-5])
    assert judged(files, config) == before
    assert len(endpoint.requests) == 3
    assert len(list(files.judge_replies("verify", JudgeReply))) == 2


def test_budget_holds_over_reruns(endpoint, tmp_path):
    files = run_folder(tmp_path, [f"answer {k}" for k in range(5)])
    config = judge_config(endpoint, max_calls=3)
    for _ in range(2):
        found = judged(files, config)
        assert [found[f"q/{k}"].outcome for k in range(5)] == [Outcome.CORRECT] * 3 + [Outcome.UNDECIDED] * 2
        assert found["q/4"].reason == f"{PROMPT_VERSION}: the budget of 3 calls is used up; not sent"
        assert found["q/4"].rule == "llm:tiny"
        assert len(endpoint.requests) == 3
        files.verdicts("verify").paths()[0].unlink()


def test_stopped_midway_keeps_what_was_paid_for(endpoint, tmp_path):
    files = run_folder(tmp_path, [f"answer {k}" for k in range(8)])
    questions = {question.id: question for question in files.questions("questions")}
    responses = {response.id: response for response in files.responses("sample") if response.question_id == "q"}
    cache, config = files.judge_replies("verify", JudgeReply), judge_config(endpoint, concurrency=2).llm_judge

    def verdicts():
        return (verify(questions["q"], response) for response in responses.values())

    stream = decide(verdicts(), questions, responses, config, cache)
    next(stream)
    stream.close()
    paid = len(endpoint.requests)
    assert len(list(cache)) == paid >= 1
    assert {v.outcome for v in decide(verdicts(), questions, responses, config, cache)} == {Outcome.CORRECT}
    assert len(endpoint.requests) == 8


def test_concurrency_is_bounded_and_order_kept(endpoint, tmp_path):
    three = threading.Barrier(3, timeout=60)
    good = endpoint.answer
    endpoint.answer = lambda body: (three.wait(), time.sleep(0.1), good(body))[-1]  # a fourth would have time to come
    found = judged(run_folder(tmp_path, [f"answer {k}" for k in range(9)]), judge_config(endpoint, concurrency=3))
    assert endpoint.most_in_flight == 3
    assert [id for id in found if id.startswith("q/")] == [f"q/{k}" for k in range(9)]


def test_cut_and_overlong_responses_are_not_sent(endpoint, tmp_path):
    cut = judged(run_folder(tmp_path / "a", ["It"], FinishReason.LENGTH), judge_config(endpoint))["q/0"]
    long = judged(run_folder(tmp_path / "b", ["x" * 11]), judge_config(endpoint, max_characters=10))["q/0"]
    assert (cut.outcome, long.outcome) == (Outcome.UNDECIDED, Outcome.UNDECIDED)
    assert endpoint.requests == []


def test_key_must_be_set(endpoint, tmp_path, monkeypatch):
    monkeypatch.delenv("JUDGE_KEY")
    with pytest.raises(UserError, match="JUDGE_KEY is not set"):
        judged(run_folder(tmp_path, ["It dashes."]), judge_config(endpoint))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"base_url": "localhost:8000"}, "http://"),
        ({"base_url": "http://me:secret@host/v1"}, "password"),
        ({"api_key_env": "sk-secret"}, "not the key itself"),
        ({"incorrect_to": 0.9}, "below correct_from"),
        ({"concurrency": 0}, "above 0"),
    ],
)
def test_configs_that_cannot_work_are_refused(given, words):
    with pytest.raises(RecipeError, match=words) as raised:
        build(Config, {"llm_judge": {"base_url": "http://host/v1", "model": "m", **given}}, "verify")
    assert "secret" not in str(raised.value)
