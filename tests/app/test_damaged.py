"""The app on a run whose files somebody damaged, and against pages that ask too much: a sentence on a page, at once."""

import gc
import json
import shutil
import socket
import threading
import time
import urllib.parse
from pathlib import Path

import pytest

from app.test_server import served
from fixtures.damage import linked, pipe, written
from mixpo.errors import UserError
from mixpo.files import RunFiles
from mixpo.records import Question

pytest.importorskip("duckdb", reason="the app's libraries are not installed: pip install 'mixpo[app]'")

import uvicorn

from mixpo.app import browse, server, store
from mixpo.app.store import Store

PAGES = (
    "/", "/curves", "/questions", "/responses", "/pairs", "/dropped", "/question?id=mine-0", "/pair?id=mine-0/0>1",
    "/changes", "/review", "/review?reviewer=ann",
)  # fmt: skip
OPENED = {
    "recipe.yaml": (written("steps: {train: 5}"), "is no saved recipe"),
    "questions/questions/part-00001.jsonl": (pipe, "it is a pipe, no file"),
    "responses/sample/part-00001.jsonl": (linked("/dev/zero"), "it is a device, no file"),
    "verdicts/verify/part-00001.jsonl": (linked("{name}"), "Too many levels of symbolic links"),
    "dropped/pair/part-00001.jsonl": (linked("/etc/passwd"), "leads out of the run folder; it is not read"),
}
"""Said on every page."""
SHOWN = {
    "funnel/pair.json": (written('{"answered": {}, "dropped": 5}'), "answered: must be a whole number"),
    "evaluation/evaluate/comparisons.json": (written("[{}]"), "0: &#39;benchmark&#39; is missing"),
    "checkpoints/train/log.jsonl": (written('{"step": 1, "loss": 2.5}\n[\n'), "log.jsonl:2 is no line of a training"),
}
"""Said on the first."""


def test_every_page_answers_and_says_what_could_not_be_read(full):
    for name, (damage, _) in {**OPENED, **SHOWN}.items():
        damage(full.root / name)
    full.pairs("pair").paths()[0].write_text(
        '{"id": "mine-0/0>1", "question_id": "gone", "prompt": "asked?", "chosen": "a", "rejected": "b",'
        ' "origin": "format", "turns": ' + json.dumps("[" * 100_000) + "}\n"
    )
    with served(full) as site:
        site.views.store.wait()
        pages = {page: site.get(urllib.parse.quote(page, safe="/?=")) for page in PAGES}
    assert {page: status for page, (status, _, _) in pages.items() if page != "/changes"} == dict.fromkeys(
        (page for page in PAGES if page != "/changes"), 200
    )
    for name, (_, said) in OPENED.items():
        assert said in pages["/questions"][1]
        assert str(full.root / name) in pages["/questions"][1]
    for _, said in SHOWN.values():
        assert said in pages["/"][1]
    assert "root:x:0" not in "".join(text for _, text, _ in pages.values())
    assert "asked?" in pages["/review?reviewer=ann"][1]  # though the run has not its question
    assert "2.5" in pages["/curves"][1]


def test_reviews_that_are_damaged_are_a_sentence_on_the_page(full):
    full.reviews.write_text("no database, though it has so many letters")
    with served(full) as site:
        got = site.get("/review?reviewer=ann")
        posted = site.post("/review", {"token": site.views.token, "reviewer": "ann", "side": "left"})
    for status, text, _ in (got, posted):
        assert status == 200
        assert "cannot be used for reviews (file is not a database); move it away" in text


def test_what_was_not_foreseen_is_a_sentence_too(full, monkeypatch):
    def broken(*arguments):
        raise KeyError("<b>x</b>")

    monkeypatch.setattr(browse, "question", broken)
    with served(full) as site:
        status, html, _ = site.get("/question?id=mine-0")
    assert status == 200
    assert "does not fit together (KeyError: &#39;&lt;b&gt;x&lt;/b&gt;&#39;)" in html


NAMES = ("exp[1]", "exp*", 'it\'s "?"', "a\\b", "ä\n{a,b}")


@pytest.mark.parametrize("name", NAMES)
def test_a_runs_name_is_no_pattern(name, tmp_path):
    """DuckDB reads `exp[1]` as a pattern for `exp1`. A section is never called so: such a folder is none."""
    for run in (name, "exp1"):
        files = RunFiles(tmp_path / run)
        files.questions("exp1").append([Question(id=run, text="?", images=())])
        shutil.copytree(files.questions("exp1").folder, files.root / "questions" / name, dirs_exist_ok=True)
    own = Store(RunFiles(tmp_path / name))
    assert [tuple(row.values()) for row in own.rows("SELECT section, id FROM questions")] == [("exp1", name)]
    own.close()
    assert own.damaged == []


def test_a_section_called_by_a_star_reads_nothing_that_was_refused(full, tmp_path):
    outside = RunFiles(tmp_path / "outside")
    outside.questions("q").append([Question(id="secret", text="?", images=())])
    (full.root / "questions" / "out").symlink_to(outside.questions("q").folder)
    shutil.copytree(full.questions(full.sections("questions")[0]).folder, full.root / "questions" / "*")
    own = Store(full)
    assert not own.rows("SELECT * FROM questions WHERE id = 'secret'")
    own.close()


@pytest.mark.parametrize("name", ["it's", "a[1]", 'a"b c', "{ä*}"])
def test_the_folder_for_temporary_files_may_have_any_name(name, full, tmp_path, monkeypatch):
    place = tmp_path / name
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    own = Store(full)
    spill = str(Path(own.folder.name, "spill"))
    assert own.rows("SELECT current_setting('temp_directory') AS place") == [{"place": spill}]
    assert len(own.rows("SELECT * FROM questions")) == 2
    own.close()
    assert list(place.iterdir()) == []
    forgotten = Store(full)  # nobody closes it
    forgotten._thread.join()
    del forgotten
    gc.collect()
    assert list(place.iterdir()) == []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(UserError, match="name another in TMPDIR"):
        Store(full)


def test_only_so_many_words_are_looked_for(full):
    with served(full) as site:
        status, html, _ = site.get("/questions?text=" + "+".join(["many"] * 1500))
        assert status == 200
        assert "Only the first 20 words are looked for" in html
        assert "1-2 of" not in html
        assert "2 in all" in html
        assert site.get("/questions?text=" + "+".join(["many"] * 3000))[0] == 414
        for number in ("-1", "0", "9" * 9, "9" * 4000, "x", "1e999"):
            assert "page 1 of 1" in site.get(f"/questions?page={number}")[1]
        assert site.get("/questions?lowest=nan&highest=1e999")[0] == 200


def test_a_query_that_takes_long_is_ended(full, monkeypatch):
    monkeypatch.setattr(store, "PAGE_SECONDS", 0.2)
    with served(full) as site:
        site.views.store.wait()
        endless = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range + b.range = -1"
        monkeypatch.setattr(browse, "question", lambda own, own_id: own.rows(endless))
        status, html, _ = site.get("/question?id=x")
        assert status == 200
        assert "this takes longer than 0.2 seconds; look for less" in html
        site.views.store._ready.clear()
        html = site.get("/pairs")[1]
        site.views.store._ready.set()
        assert "still being read; load the page again in a moment" in html
        assert site.get("/pairs")[0] == 200


def test_other_sites_ask_for_nothing(full):
    with served(full) as site:
        for path in PAGES[:5]:
            assert site.get(path, {"Sec-Fetch-Site": "cross-site"})[0] == 403
        for where in ("none", "same-origin", "same-site"):
            assert site.get("/", {"Sec-Fetch-Site": where})[0] == 200


def test_who_sends_no_end_is_not_waited_for(full, monkeypatch):
    """No request, no end of its headers, no end of its form, no end of the second one."""
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.2)
    head = b"/ HTTP/1.1\r\nHost: localhost\r\n"
    form = b"POST /review HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\ntoken="
    with served(full) as site:
        slow = [socket.create_connection(("127.0.0.1", site.port), timeout=10) for _ in range(4)]
        for each, sent in zip(slow, (b"", b"GET " + head + b"X: ", form, b"GET " + head + b"\r\nGET /")):
            each.sendall(sent)
        ends = time.monotonic() + 9
        for each in slow:
            try:
                while each.recv(65536):
                    each.send(b"x")
            except OSError:
                pass  # ended, not by us
            each.close()
        assert time.monotonic() < ends
        assert site.get("/")[0] == 200


def test_a_page_that_is_fetched_slowly_is_sent_to_its_end(monkeypatch):
    """16 megabytes, read in pieces, take five times as long as a connection may be silent."""
    monkeypatch.setattr(server, "REQUEST_SECONDS", 1.0)

    async def large(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"16000000")]})
        await send({"type": "http.response.body", "body": b"x" * 16_000_000})

    listening = server.listen(0)
    running = uvicorn.Server(server.server_config(large))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    with socket.create_connection(("127.0.0.1", listening.getsockname()[1]), timeout=10) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        got = 0
        while piece := slow.recv(1_000_000, socket.MSG_WAITALL):
            got += len(piece)
            if got > 16_000_000:
                break
            time.sleep(0.3)
    running.should_exit = True
    thread.join(10)
    assert got > 16_000_000


def test_more_connections_than_people(full, monkeypatch):
    monkeypatch.setattr(server, "CONNECTIONS", 3)
    with served(full) as site:
        held = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(4)]
        while site.get("/")[0] != 503:
            time.sleep(0.01)
        for each in held:
            each.close()
        while site.get("/")[0] != 200:
            time.sleep(0.01)


def test_a_form_of_many_fields(full):
    with served(full) as site:
        assert site.post("/review", {str(number): "x" for number in range(100)})[0] == 413
