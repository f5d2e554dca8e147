"""The app in a real browser (Debian's chromium) on a run of drawn scenes: keys, images, what is loaded and kept."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mixpo.files import RunFiles
from mixpo.report.page import Config as ReportConfig
from mixpo.report.page import run as write_report
from mixpo.report.reviews import ReviewItem, Reviews, Side

CHROMIUM = shutil.which("chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
pytest.importorskip("duckdb")
pytest.importorskip("uvicorn")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
EVIL = (
    '<script>document.title="owned"</script><img src="http://outside.example/a.png">![x](http://outside.example/b.png)'
)
SHOTS = os.environ.get("MIXPO_SCREENSHOTS")
"""A folder where screenshots are kept for people to look at."""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory, scenes_run) -> RunFiles:
    return scenes_run(tmp_path_factory.mktemp("browser") / "run", 8, f"{EVIL}\n{'w' * 1_000_000}")


class Server:
    """`mixpo view` in a process of its own."""

    def __init__(self, run: Path):
        command = [sys.executable, "-c", "from mixpo.cli import main; main()", "view", str(run), "--port", "0"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        said = ""
        while (found := re.search(r"http://127\.0\.0\.1:\d+/", said)) is None:
            line = self.process.stderr.readline()
            assert line, said
            said += line.strip()
        self.url = found[0]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stderr.close()


@pytest.fixture
def server(scenes):
    found = Server(scenes.root)
    yield found
    found.kill()


@pytest.fixture(scope="module")
def browser():
    """A context: its limits are generous, for machines that do other work besides."""
    expect.set_options(timeout=120_000)
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        found = launched.new_context(viewport={"width": 1280, "height": 900})
        found.set_default_timeout(120_000)
        yield found
        launched.close()


def screenshot(page, name):
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def judged(page, number):
    """Waits for the page that a key asked for: its text, and its script, which listens for the next key."""
    page.get_by_text(f"{number} of 8 judged").wait_for()
    page.wait_for_load_state("load")


def test_filter_open_a_pair_and_see_its_image(scenes, server, browser):
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.url)
    expect(page.locator("#reading")).to_have_count(0)  # until then the page loads itself again
    screenshot(page, "overview-1280")
    page.get_by_role("link", name="Responses").click()
    page.get_by_label("Outcome").select_option("incorrect")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**outcome=incorrect**")
    expect(page.locator("tbody tr")).to_have_count(8)
    page.get_by_role("link", name="Pairs").click()
    page.wait_for_url("**/pairs**")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(8)
    screenshot(page, "pairs-1280")
    rows.first.get_by_role("link").click()
    image = page.locator(".asked img").first
    image.wait_for()
    page.wait_for_load_state("load")
    assert image.evaluate("i => i.complete && i.naturalWidth") == 64
    # What the model wrote is read, not run or loaded.
    assert EVIL[:40] in page.locator(".rejected pre").inner_text()
    assert "more characters are not shown" in page.locator(".rejected").inner_text()
    assert page.title() != "owned"
    screenshot(page, "pair-1280")
    for width in (400, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 400, "height": 800})
    screenshot(page, "pair-400")
    page.goto(f"{server.url}questions")
    screenshot(page, "questions-400")
    assert asked
    assert all(url.startswith((server.url, "data:")) for url in asked), asked
    page.close()


def test_a_link_leads_on_while_the_run_is_still_read(server, browser):
    """The overview loads itself again after a second: not when by then another page was asked for and takes long."""
    page = browser.new_page()

    def unread(route):
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text() + '<p id="reading">')

    page.route(server.url, unread, times=1)
    page.route("**/responses", lambda route: (time.sleep(2), route.continue_()))
    page.goto(server.url)
    page.get_by_role("link", name="Responses").click()
    page.wait_for_url("**/responses")
    page.close()


def test_five_items_by_keyboard_survive_sigkill(scenes, browser):
    server = Server(scenes.root)
    page = browser.new_page()
    try:
        page.goto(f"{server.url}review")
        page.get_by_label("Your name").fill("Ann")
        page.keyboard.press("Enter")
        judged(page, 0)
        screenshot(page, "review-1280")
        for number, key in enumerate("12341", 1):
            page.keyboard.press(key)
            judged(page, number)
        page.set_viewport_size({"width": 400, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        screenshot(page, "review-400")
    finally:
        server.kill()
        page.close()
    kept = Reviews(scenes.reviews).answers()
    assert len(kept) == 5
    assert [str(answer.choice) for answer in kept][2:4] == ["tie", "both bad"]
    again = Server(scenes.root)
    page = browser.new_page()
    try:
        page.goto(f"{again.url}review?reviewer=Ann")
        judged(page, 5)
        # A second reviewer gets the same items from the beginning.
        page.goto(f"{again.url}review?reviewer=Bob")
        judged(page, 0)
    finally:
        again.kill()
        page.close()


def test_the_report_with_a_review_fits_narrow_screens(scenes, browser):
    reviews = Reviews(scenes.reviews)
    contest = "other texts"
    item = ReviewItem(id="x", contest=contest, question_id="q", prompt="?", first="a", second="b", preferred="first")
    reviews.add([item])
    for reviewer in ("Ann", "Bob"):
        reviews.save(item, reviewer, Side.LEFT)
    write_report(ReportConfig(), scenes)
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(scenes.report.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        screenshot(page, f"report-{width}")
    assert all(url.startswith(("file:", "data:")) for url in asked)
    page.close()
