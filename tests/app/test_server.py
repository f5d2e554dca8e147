"""The app over HTTP on loopback: pages, filters, reviews, and a run folder that somebody crafted."""

import json
import os
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest

from mixpo.errors import UserError
from mixpo.files import RunFiles
from mixpo.records import FinishReason, Origin, Outcome, PreferencePair, Question, Response, Verdict, Video
from mixpo.text_files import write_text

pytest.importorskip("duckdb", reason="the app's libraries are not installed: pip install 'mixpo[app]'")
uvicorn = pytest.importorskip("uvicorn")

from mixpo.app.browse import contests  # noqa: E402
from mixpo.app.server import listen, make_app, server_config  # noqa: E402
from mixpo.app.views import Views  # noqa: E402


class Site:
    def __init__(self, port, views):
        self.base = f"http://127.0.0.1:{port}"
        self.port = port
        self.views = views

    def get(self, path, headers=None):
        """Status, text, headers."""
        return self._open(urllib.request.Request(self.base + path, headers=headers or {}))

    def post(self, path, values):
        data = urllib.parse.urlencode(values).encode()
        return self._open(urllib.request.Request(self.base + path, data=data))

    def _open(self, request):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), error.headers


@contextmanager
def served(files, images=()):
    views = Views(files, images)
    socket = listen(0)
    server = uvicorn.Server(server_config(make_app(views)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield Site(socket.getsockname()[1], views)
    finally:
        server.should_exit = True
        thread.join(10)
        views.close()


@pytest.fixture
def site(full):
    with served(full) as found:
        yield found


def rows_of(html):
    body = re.search(r"<tbody>(.*?)</tbody>", html, re.DOTALL)[1]
    return [
        [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)]
        for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    ]


def test_every_page_answers_and_lets_nothing_else_in(site):
    for path in ("/", "/questions", "/responses", "/pairs", "/dropped", "/review", "/curves", "/style.css", "/view.js"):
        status, text, headers = site.get(path)
        assert (status, bool(text)) == (200, True), path
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "http" not in policy
        assert "unsafe" not in policy
        # Nothing is named that a browser would fetch elsewhere.
        assert not re.findall(r"""(?:src|href|action)=["'](?!/|data:)""", text), path
    assert site.get("/secret")[0] == 404
    assert site.get("/question?id=nobody")[0] == 404
    assert site.get("/docs")[0] == 404


def test_another_host_name_is_refused(site):
    """A web site that points its own name at 127.0.0.1 gets nothing."""
    assert site.get("/", {"Host": "evil.example"})[0] == 400
    assert site.get("/", {"Host": f"localhost:{site.port}"})[0] == 200


def test_questions_with_their_pass_rates_filtered_and_sorted(site):
    rows = rows_of(site.get("/questions")[1])
    assert [(row[0], row[2], row[5], row[6]) for row in rows] == [
        ("mine-0", "0", "2", "0.50"),
        ("mine-1", "1", "2", "0.50"),
    ]
    assert len(rows_of(site.get("/questions?text=mine-1")[1])) == 1
    assert rows_of(site.get("/questions?lowest=0.9")[1]) == [["Nothing matches."]]
    assert len(rows_of(site.get("/questions?lowest=nonsense&page=99999999999999&sort=DROP+TABLE")[1])) == 2


def test_responses_by_outcome(site):
    rows = rows_of(site.get("/responses?outcome=correct")[1])
    assert [row[0] for row in rows] == ["mine-0/0", "mine-1/0"]
    injected = urllib.parse.quote("correct' OR '1'='1")
    assert rows_of(site.get(f"/responses?outcome={injected}")[1]) == [["Nothing matches."]]
    assert rows_of(site.get(f"/responses?text={urllib.parse.quote('%')}")[1]) == [["Nothing matches."]]


def test_a_question_shows_image_verdicts_and_the_marked_answer(full, site):
    status, html, _ = site.get("/question?id=mine-0")
    assert status == 200
    assert 'src="data:image/png;base64,' in html
    assert html.count("<article") == 2
    assert "1 of 2 right" in html


def test_of_a_video_the_first_frame_is_shown(full):
    images = ("mine/0.png", "mine/1.png", "mine/0.png")
    asked = Question(id="film", text="?", images=images, videos=(Video(start=0, frames=2, fps=1.0),))
    full.questions("questions").append([asked])
    with served(full) as site:
        html = site.get("/question?id=film")[1]
    assert html.count("<img") == 2
    assert html.count("the first of 2 frames of a video") == 1


def test_the_final_answer_is_marked_where_it_stands(full):
    text = "x" * 9000 + " Final answer: 42 apples"
    start = text.index("42")
    response = Response(id="mine-0/9", question_id="mine-0", sample=9, text=text, finish_reason=FinishReason.STOP)
    full.responses("sample").append([response])
    verdict = Verdict(
        id="mine-0/9", question_id="mine-0", outcome=Outcome.CORRECT, extracted="42", span=(start, start + 2)
    )
    full.verdicts("verify").append([verdict])
    with served(full) as site:
        html = site.get("/question?id=mine-0")[1]
    assert "Final answer: <mark>42</mark> apples" in html
    assert "7,515 more characters are not shown" in html


def test_pairs_side_by_side_with_the_difference(site):
    html = site.get(f"/pair?id={urllib.parse.quote('mine-0/0>1')}")[1]
    assert "<mark>stars</mark>" in html
    assert 'src="data:image/png;base64,' in html
    assert "Ground truth: <b>0</b>" in html
    assert [row[0] for row in rows_of(site.get("/pairs?origin=format")[1])] == ["mine-1/0&gt;1"]
    assert "mine/lost.png: the file is not there" in site.get(f"/pair?id={urllib.parse.quote('mine-1/0>1')}")[1]


def test_model_text_is_text(site, evil):
    for path in (f"/pair?id={urllib.parse.quote('mine-0/0>1')}", "/pairs", "/dropped", "/review?reviewer=ann"):
        html = site.get(path)[1]
        assert "<script>alert" not in html
        assert "outside.example" in html or path == "/pairs" or "review" in path
        assert 'src="http' not in html


def test_a_megabyte_of_one_character(site):
    status, html, _ = site.get(f"/pair?id={urllib.parse.quote('mine-1/0>1')}")
    assert status == 200
    assert "996,000 more characters are not shown" in html
    assert len(html) < 100_000
    assert len(site.get("/pairs")[1]) < 100_000


def test_reviews_are_kept_and_the_sides_hide_who_wrote_what(full, site):
    page = "/review?" + urllib.parse.urlencode({"reviewer": "ann", "contest": "chosen and rejected"})
    html = site.get(page)[1]
    assert "0 of 2 judged" in html
    shown = html.split('<div class="sides">')[1]
    assert "chosen" not in shown.split("<form")[0]
    form = dict(re.findall(r'name="(token|reviewer|contest|item)" value="([^"]*)"', html.split('id="verdict"')[1]))
    form["item"] = form["item"].replace("&gt;", ">")
    status, html, _ = site.post("/review", {**form, "side": "left", "grounded": "right"})
    assert (status, "1 of 2 judged" in html) == (200, True)
    # The same form again (a key pressed twice) judges nothing.
    assert "1 of 2 judged" in site.post("/review", {**form, "side": "left"})[1]
    (answer,) = site.views.reviews.answers()
    assert (answer.reviewer, answer.choice == answer.grounded) == ("ann", False)
    assert "0 of 2 judged" in site.post("/review", {**form, "side": "undo"})[1]


@pytest.mark.parametrize("change", [{"token": "x"}, {"side": "north"}, {"reviewer": " "}])
def test_a_form_that_is_not_ours_changes_nothing(site, change):
    html = site.get("/review?reviewer=ann")[1]
    form = dict(re.findall(r'name="(token|reviewer|contest|item)" value="([^"]*)"', html.split('id="verdict"')[1]))
    status, text, _ = site.post("/review", {**form, "item": "mine", "side": "left", **change})
    if change.get("side"):
        form["item"] = form["item"].replace("&gt;", ">")
        status, text, _ = site.post("/review", {**form, **change})
    assert status == 400, text
    assert site.views.reviews.answers() == []
    assert site.post("/review", {"token": "x" * 200_000})[0] == 413


def test_the_curves_follow_the_log(full):
    log = full.checkpoints("train") / "log.jsonl"
    (full.checkpoints("train") / "model").rmdir()
    with served(full) as site:
        assert 'data-live="yes"' in site.get("/")[1]
        before = site.get("/curves")[1]
        log.write_text(log.read_text().rpartition("\n")[0] + "\n" + json.dumps({"step": 9, "loss": 0.123}) + "\n")
        after = site.get("/curves")[1]
    assert "to 0.123" in after
    assert "to 0.123" not in before


def test_nothing_outside_a_crafted_run_is_read(full, tmp_path):
    """Links and image roots that lead out: of records, of logs, of the recipe, of pictures."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes((full.pictures("questions") / "mine" / "0.png").read_bytes())
    secret = Question(id="secret-1", text="the secret", images=())
    others = RunFiles(outside / "run")
    others.questions("questions").append([secret])
    (full.root / "questions" / "stolen").symlink_to(outside / "run" / "questions" / "questions")
    (outside / "log.jsonl").write_text(json.dumps({"step": 1, "loss": 0.777}) + "\n")
    stolen = full.checkpoints("stolen")
    stolen.mkdir()
    (stolen / "log.jsonl").symlink_to(outside / "log.jsonl")
    os.symlink(outside / "secret.png", full.pictures("questions") / "mine" / "link.png")
    roots = {"mine": "images/mine", "root": "/", "up": str(outside)}
    write_text(full.image_roots_file("questions"), json.dumps(roots))
    images = ("mine/link.png", "up/secret.png", f"root{outside}/secret.png", "mine/../../../../outside/secret.png")
    full.questions("questions").append([Question(id="crafted", text="?", images=images)])
    with served(full) as site:
        assert "secret-1" not in site.get("/questions")[1]
        assert "0.777" not in site.get("/")[1] + site.get("/curves")[1]
        html = site.get("/question?id=crafted")[1]
        assert "data:image" not in html
        assert html.count('class="note warning"') == 4 + html.count("leads out of the run folder") == 5
        assert f"--images {outside}" in html
    with served(full, (outside,)) as site:
        # What the user has named is shown, and nothing else.
        assert site.get("/question?id=crafted")[1].count("data:image/png") == 1


def test_changes_between_two_models(full):
    inner = full.evaluation("evaluate")
    recipe = full.recipe.read_text().replace(
        "  evaluate:\n    uses: evaluate\n",
        "  evaluate:\n    uses: evaluate\n    models: {base: base, mpo: 'step:train'}\n"
        "    benchmarks: {scenes: {}}\n    styles: [cot, {template: '{question}', name: mine}]\n",
    )
    full.recipe.write_text(recipe)
    inner.questions("scenes").append(Question(id=f"scenes-{n}", text="How many?", answer="3") for n in range(3))
    for model, outcomes in {"base": "wcw", "mpo": "cww"}.items():
        section = f"{model}-scenes-cot"
        missing = range(int(model == "mpo"), 3)  # the fixture has written one response of the second model
        inner.responses(section).append(
            Response(id=f"scenes-{n}/0", question_id=f"scenes-{n}", sample=0, text=f"{model} {n}", finish_reason="stop")
            for n in missing
        )
        inner.verdicts(section).append(
            Verdict(id=f"scenes-{n}/0", question_id=f"scenes-{n}",
                    outcome=Outcome.CORRECT if letter == "c" else Outcome.INCORRECT)
            for n, letter in enumerate(outcomes)
        )  # fmt: skip
    with served(full) as site:
        html = site.get("/changes")[1]
    assert "scenes, cot: base and mpo: 1 fixed, 1 broken" in html
    assert contests(full)["scenes, mine: base and mpo"] == ("evaluate", "base-scenes-mine", "mpo-scenes-mine")
    assert re.findall(r'class="tag">(\w+)</span> (scenes-\d)', html) == [("fixed", "scenes-0"), ("broken", "scenes-1")]
    assert "Ground truth: <b>3</b>" in html


def test_a_run_of_which_nothing_has_run(files, tmp_path):
    with served(files) as site:
        for path in ("/", "/questions", "/responses", "/pairs", "/dropped", "/review"):
            assert site.get(path)[0] == 200
        assert site.get("/changes")[0] == 404
        assert "no preference pairs" in site.get("/review?reviewer=ann")[1]
    with pytest.raises(UserError, match="is no run folder"):
        Views(RunFiles(tmp_path / "none"))


def test_a_port_in_use_is_said():
    taken = listen(0)
    taken.listen()
    try:
        with pytest.raises(UserError, match="choose another with --port"):
            listen(taken.getsockname()[1])
    finally:
        taken.close()


def test_torn_lines_and_strange_values_are_left_out(full):
    with full.pairs("pair").paths()[0].open("a") as file:
        file.write('["no object"]\n{"id": "torn", "ques')
    full.pairs("other").append(
        [PreferencePair(id="z", question_id="?", prompt="p", chosen="a", rejected="b", origin=Origin.IMPORTED)]
    )
    with served(full) as site:
        ids = [row[0] for row in rows_of(site.get("/pairs")[1])]
    assert sorted(filter(None, ids)) == ["mine-0/0&gt;1", "mine-1/0&gt;1", "z"]
