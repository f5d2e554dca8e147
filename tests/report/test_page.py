"""The page: whole, self-contained, escaped, and built from whatever steps have run."""

import base64
import io
import json
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser

import pytest
import yaml
from PIL import Image

from mixpo.records import Comparison, Origin, PreferencePair, Question, Score, Video
from mixpo.report.page import ORIGINS, Config, run
from mixpo.text_files import read_json, write_text

VOID = {"meta", "img", "br", "link", "input", "hr", "rect", "path", "circle"}


class Page(HTMLParser):
    """Tags in order, text, attributes; complains of tags that do not nest."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict]:
        return [attrs for name, attrs in self.tags if name == tag]


def page(files, **values) -> tuple[str, Page]:
    run(Config(**values), files)
    html = files.report.read_text(encoding="utf-8")
    return html, Page(html)


def test_the_headline_is_the_gain_with_its_interval(full):
    _, parsed = page(full)
    assert (
        "mpo raises accuracy on scenes by chain of thought: 50.0 % before (base), 65.0 % after, +15.0 points "
        "(95 % interval +5.0 to +25.0; p = 0.0042; 400 questions)." in parsed.text
    )


@pytest.mark.parametrize(
    ("low", "high", "verb"), [(-0.05, 0.35, "does not clearly change"), (-0.3, -0.1, "lowers"), (0.1, 0.2, "raises")]
)
def test_the_headline_says_only_what_the_interval_allows(full, writers, low, high, verb):
    writers["evaluation"](full, low, high)
    assert f"mpo {verb} accuracy on scenes" in page(full)[1].text


def test_nothing_from_outside_is_named_and_nothing_runs(full):
    _, parsed = page(full)
    assert not {"script", "link", "iframe", "object", "embed", "form"} & {tag for tag, _ in parsed.tags}
    for _, attrs in parsed.tags:
        assert not any(name.startswith("on") for name in attrs)
        assert attrs.get("src", "data:image/").startswith("data:image/")
        assert "href" not in attrs
    assert "url(" not in "".join(re.findall(r"<style>.*?</style>", page(full)[0], re.DOTALL))


def test_model_text_appears_as_text(full, evil):
    html, parsed = page(full)
    assert "<script" not in html
    # In the prompt, the rejected completion and a drop's detail.
    assert parsed.text.count(evil) == 3


def test_pairs_show_images_origin_truth_and_the_difference(full):
    html, parsed = page(full)
    assert "Ground truth: 0" in parsed.text
    assert {"correctness", "format"} <= set(re.findall(r'class="tag">(\w+)<', html))
    assert "<mark>stars</mark>" in html
    assert "Final answer: <mark>3</mark>" in html
    images = parsed.all("img")
    assert all(image["alt"] for image in images)
    sizes = []
    for image in images:
        picture = Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2])))
        sizes.append(picture.size)
    assert sizes == [(64, 64), (480, 240)]
    assert "mine/lost.png: the file is not there" in parsed.text


def test_of_a_video_the_first_frame_is_shown(full):
    film = PreferencePair(
        id="f", question_id="f", prompt="?", chosen="a", rejected="b", origin=Origin.IMPORTED,
        images=("mine/0.png", "mine/1.png", "mine/0.png"), videos=(Video(start=1, frames=2, fps=1.0),),
    )  # fmt: skip
    full.pairs("pair").append([film])
    before = 2
    _, parsed = page(full)
    assert len(parsed.all("img")) == before + 2
    assert parsed.text.count("the first of 2 frames of a video") == 1


def test_a_megabyte_of_one_character_is_cut_with_a_note(full):
    html, parsed = page(full)
    assert "996,000 more characters are not shown" in parsed.text
    assert len(html) < 200_000


def test_the_gallery_is_capped(full):
    extra = [
        PreferencePair(
            id=f"other-{i}/0>1", question_id=f"other-{i}", prompt="?", chosen="a", rejected="b", origin=Origin.IMPORTED
        )
        for i in range(50)
    ]
    full.pairs("pair").append(extra)
    assert len(page(full, pairs_shown=10)[1].all("article")) == 10
    assert len(page(full, pairs_shown=0)[1].all("article")) == 0


def test_funnel_drops_costs_recipe_and_versions_are_there(full):
    html, parsed = page(full)
    labels = [attrs["aria-label"] for attrs in parsed.all("svg")]
    assert "Verdicts. correct: 2 · 50 %; incorrect: 1 · 25 %; unparsed: 1 · 25 %" in labels
    assert "Questions answered. answered: 3; all right: 1; none right: 0; gave pairs: 2" in labels
    assert "Pairs. correctness: 1; format: 1" in labels
    # Two pairs, one of which the training dropped.
    assert "Trained on. train: 1" in labels
    assert any(label.startswith("Loss. training: from 0.93 to 0.8; held-out: from 0.85") for label in labels)
    assert "expected: 0.9318" in html
    assert "At 1 steps a logged value was not a finite number" in parsed.text
    rows = [re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r"<tr>.*?</tr>", html, re.DOTALL)]
    assert ["sample", "sample", "1", "min", "0", "s", "1", "46", "1"] in rows
    assert ["pair", "over_cap", "40", "mine-8"] in rows
    assert "uses: sample" in html
    assert "abc1234" in parsed.text


@pytest.mark.parametrize("steps", [(), ("questions",), ("questions", "pairs"), ("training",), ("evaluation",)])
def test_steps_that_have_not_run_are_absent(files, writers, steps):
    for step in steps:
        writers[step](files)
    _, parsed = page(files)
    if "evaluation" not in steps:
        assert "Nothing has been evaluated in this run yet." in parsed.text
    assert ("Preference pairs" in parsed.text) == ("pairs" in steps)
    assert ("Training: train" in parsed.text) == ("training" in steps)
    assert "Time and tokens" not in parsed.text


def test_a_folder_that_is_no_run_gives_a_page_too(tmp_path):
    from mixpo.files import RunFiles

    _, parsed = page(RunFiles(tmp_path / "foreign"))
    assert "foreign" in parsed.text


def test_a_lone_surrogate_does_not_end_the_report(full):
    full.pairs("pair").append([])
    shard = full.pairs("pair").paths()[0]
    line = '{"id": "s", "question_id": "s", "prompt": "?", "chosen": "\\ud800", "rejected": "b", "origin": "imported"}'
    with shard.open("a") as file:
        file.write(line + "\n")
    assert len(page(full)[1].all("article")) == 3


def test_an_image_path_out_of_the_run_is_not_opened(full):
    secret = full.root.parent / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    full.pairs("pair").append(
        [
            PreferencePair(
                id="x", question_id="mine-0", prompt="?", chosen="a", rejected="b", origin=Origin.IMPORTED,
                images=("mine/../../../../../secret.png",),
            )
        ]
    )  # fmt: skip
    _, parsed = page(full)
    assert "lies outside the image root" in parsed.text


def test_the_same_files_give_the_same_page(full):
    assert page(full)[0] == page(full)[0]


def described() -> tuple[list[Score], list[Comparison]]:
    """What an evaluation writes for descriptions: no accuracy, scores of their own, lengths in tokens."""
    about = {"benchmark": "descriptions", "category": "all", "n": 300}
    scores = [
        Score(
            id=f"{model}/{metric}", model=model, style="direct", metric=metric, value=value, low=0.9 * value,
            high=1.1 * value, **about,
        )
        for model, values in {"base": (0.5, 30.0), "mpo": (0.4, 24.0)}.items()
        for metric, value in zip(("hallucinating", "length"), values)
    ]  # fmt: skip
    between = {"before_model": "base", "before_style": "direct", "after_model": "mpo", "after_style": "direct"}
    changes = [
        Comparison(metric=metric, value=value, low=low, high=high, p=0.002, fixed=0, broken=0, **about, **between)
        for metric, value, low, high in (("hallucinating", -0.1, -0.2, -0.05), ("length", -6.0, -7.0, -5.0))
    ]
    return scores, changes


def test_scores_without_right_answers_have_their_tables(files):
    scores, changes = described()
    inner = files.evaluation("evaluate")
    inner.scores().replace(scores)
    write_text(inner.json("comparisons"), json.dumps([asdict(change) for change in changes]))
    _, parsed = page(files)
    text = " ".join(parsed.text.split())
    assert "No benchmark of this run has right answers" in text
    assert "Scores on descriptions" in text
    assert "Accuracy on" not in text
    assert re.search(r"base, direct answer ?50.0 % \(45.0–55.0\) ?30.00 \(27.00–33.00\)", text)
    assert re.search(r"base → mpo, direct answer: hallucinating ?−10.0 \(−20.0 to −5.0\) ?0.0020", text)
    assert re.search(r"base → mpo, direct answer: length ?−6.00 \(−7.00 to −5.00\) ?0.0020", text)


def test_the_headline_is_of_a_benchmark_with_right_answers(full):
    inner = full.evaluation("evaluate")
    scores, changes = described()
    inner.scores().replace([*scores, *inner.scores()])
    rows = [*(asdict(change) for change in changes), *read_json(inner.json("comparisons"))]
    write_text(inner.json("comparisons"), json.dumps(rows))
    text = " ".join(page(full)[1].text.split())
    assert "mpo raises accuracy on scenes" in text
    assert "Accuracy on scenes" in text
    assert "Scores on descriptions" in text


@pytest.mark.parametrize(("last", "named"), [("step:train", "scenes"), ("step:again", "text")])
def test_the_headline_is_of_the_first_evaluation_of_the_last_model(full, last, named):
    """A later one, of texts, is no reason to pass over what training was for; one of a later model is."""
    recipe = yaml.safe_load(full.recipe.read_text())
    steps = recipe["steps"]
    steps["evaluate"]["models"] = {"base": "base", "mpo": "step:train"}
    recipe["steps"] = {**steps, "text": {"uses": "evaluate", "models": {"before": "base", "mpo": last}}}
    write_text(full.recipe, yaml.safe_dump(recipe, sort_keys=False))
    inner, text = full.evaluation("evaluate"), full.evaluation("text")
    text.scores().append([replace(score, benchmark="text") for score in inner.scores()])
    rows = [row | {"benchmark": "text"} for row in read_json(inner.json("comparisons"))]
    write_text(text.json("comparisons"), json.dumps(rows))
    assert f"mpo raises accuracy on {named} by" in " ".join(page(full)[1].text.split())


def test_only_questions_that_were_answered_are_counted(full):
    recipe = yaml.safe_load(full.recipe.read_text())
    recipe["steps"] = {"see": {"uses": "questions"}, **recipe["steps"]}
    write_text(full.recipe, yaml.safe_dump(recipe, sort_keys=False))
    full.questions("see").append(Question(id=f"see-{i}", text="?", kind="free_form") for i in range(5))
    assert "4 responses to 2 questions, 2 preference pairs" in page(full)[1].text


def test_what_a_training_shows_stands_with_it_and_not_above_the_result(full):
    """The headline may say that accuracy rose; a sign of the evaluation stays at the top."""
    write_text(
        full.checkpoints("train") / "signatures.json", '[{"sign": "chosen_falls", "before": -6.7, "after": -8.1}]'
    )
    write_text(full.evaluation("evaluate").json("signatures"), '[{"sign": "looping", "text": "it loops"}]')
    html, _ = page(full)
    header = html.partition("<main>")[0]
    assert "Look at this: evaluate: it loops." in header
    assert "less probable" not in header
    assert "train: the chosen completions became less probable" in html.partition("<h2>Training: train</h2>")[2]


def test_every_origin_of_a_pair_has_its_words():
    assert set(ORIGINS) == set(Origin)
