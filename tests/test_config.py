from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from typing import Literal

import pytest

from mixpo.config import build, plain
from mixpo.errors import RecipeError
from mixpo.model_inputs import ImagesConfig
from mixpo.recipe import load_recipe
from mixpo.resolve import step_of
from mixpo.responses.sample import Config as Sampling


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    size: int = 1

    def __post_init__(self):
        if self.size < 1:
            raise ValueError("size must be at least 1")


@dataclass(frozen=True)
class Config:
    name: str = ""
    label: str = ""
    seed: int = 0
    rate: float = 0.1
    colours: tuple[Colour, ...] = (Colour.RED,)
    inner: Inner = field(default_factory=Inner)
    limit: int | None = None
    parts: dict[str, Inner] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    ratio: float | None = None
    sources: dict[str, dict] = field(default_factory=dict)
    """As a step holds what only another module's config knows."""
    chosen: Inner | None = None
    budget: int | Literal["auto"] = "auto"
    mixed: tuple[Colour | Inner, ...] = ()

    def __post_init__(self):
        if self.rate < 0:
            raise ValueError("rate must be at least 0")
        for name, values in self.sources.items():
            build(Inner, values, f"sources.{name}")


def recipe(tmp_path, text, *overrides):
    path = tmp_path / "r.yaml"
    path.write_text(text)
    return load_recipe(path, overrides)


def config(tmp_path, text, *overrides):
    loaded = recipe(tmp_path, text, *overrides)
    return loaded.config(next(iter(loaded.sections.values())), Config)


def test_values_become_dataclasses(tmp_path):
    text = """
seed: 7
steps:
  sample: {rate: 5e-6, colours: [blue, red], inner: {size: 3}, parts: {a: {size: 2}}}
"""
    expected = Config("sample", "", 7, 5e-6, (Colour.BLUE, Colour.RED), Inner(3), None, {"a": Inner(2)})
    assert config(tmp_path, text) == expected


def test_what_yaml_writes_in_another_way(tmp_path):
    """A number for text, one value for a list of one, both at once; true is no number."""
    text = "steps:\n  sample: {label: 3, rate: 1, colours: blue, words: 1.5, ratio: 1e-3, limit: null,"
    text += " mixed: [red, {size: 2}]}"
    expected = Config("sample", "3", 0, 1.0, (Colour.BLUE,), words=("1.5",), ratio=1e-3, mixed=(Colour.RED, Inner(2)))
    found = config(tmp_path, text)
    assert found == expected
    assert type(found.rate) is float
    assert type(found.colours[0]) is Colour


def test_a_section_states_its_own_seed_and_step(tmp_path):
    loaded = recipe(tmp_path, "seed: 7\nsteps: {sft: {uses: train, seed: 1}}")
    section = loaded.sections["sft"]
    assert (section.name, section.step) == ("sft", "train")
    assert loaded.config(section, Config).seed == 1


def test_a_system_prompt_for_all_who_have_models_write(tmp_path):
    loaded = recipe(tmp_path, "system: Be brief.\nsteps: {sample: {}, short: {uses: sample, system: ''}, verify: {}}")
    sample, short, verify = loaded.sections.values()
    assert loaded.config(sample, Sampling).system == "Be brief."
    assert loaded.config(short, Sampling).system == ""
    assert loaded.config(verify, Config) == Config("verify")  # which has no such field


def test_overrides(tmp_path):
    text = "steps: {sample: {rate: 1.0}}"
    assert config(tmp_path, text, "sample.rate=0.5", "sample.inner.size=4", "seed=3") == Config(
        "sample", "", 3, 0.5, inner=Inner(4)
    )
    assert recipe(tmp_path, text, "run=elsewhere").run == "elsewhere"


LAUGHS = "steps:\n  a0: &a0 {k: 1}\n" + "".join(
    f"  a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 12)
)
"""The billion laughs: nine of nine of nine …"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps:\n  sample:\n    rats: 1", r"r.yaml:3: steps.sample.rats: unknown key; did you mean 'rate'"),
        ("steps:\n  sample: {rate: fast}", r"r.yaml:2: steps.sample.rate: must be a number, not 'fast'"),
        ("steps:\n  sample: {limit: 1.5}", r"r.yaml:2: steps.sample.limit: must be a whole number, not 1.5"),
        (
            "steps:\n  sample: {budget: much}",
            r"r.yaml:2: steps.sample.budget: must be a whole number or auto, not 'much'",
        ),
        ("steps:\n  sample: {seed: true}", "must be a whole number, not True"),
        ("steps:\n  sample: {colours: [green]}", "'green' is none of red, blue"),
        ("steps:\n  sample: {inner: 3}", "must be a mapping, not 3"),
        ("steps:\n  sample: {parts: {a: {sise: 1}}}", "steps.sample.parts.a.sise: unknown key; did you mean 'size'"),
        (
            "steps:\n  sample:\n    mixed:\n    - red\n    - size: big",
            r"r.yaml:5: steps.sample.mixed.1.size: must be a whole number, not 'big'",
        ),
        ("steps:\n  sample: {mixed: [rod]}", r"mixed.0: 'rod' is none of red, blue, {size: …}; did you mean 'red'"),
        ("steps:\n  sample: {mixed: [{sise: 1}]}", "steps.sample.mixed.0.sise: unknown key; did you mean 'size'"),
        ("steps:\n  sample: {mixed: [{size: 0}]}", "steps.sample.mixed.0: size must be at least 1"),
        (
            "steps:\n  sample:\n    inner:\n      size: true",
            r"r.yaml:4: steps.sample.inner.size: must be a whole number",
        ),
        ("steps:\n  sample:\n    inner:\n      size: 0", r"r.yaml:3: steps.sample.inner: size must be at least 1"),
        ("steps:\n  sample:\n    chosen:\n      sise: 0", r"r.yaml:4: steps.sample.chosen.sise: unknown key; did you"),
        ("steps:\n  sample:\n    parts:\n      a: 3", r"r.yaml:4: steps.sample.parts.a: must be a mapping, not 3"),
        (
            "steps:\n  sample:\n    parts:\n      a:\n        size: 0",
            r"r.yaml:4: steps.sample.parts.a: size must be at least 1",
        ),
        (
            "steps:\n  sample:\n    sources:\n      a: {}\n      b:\n        sise: 5",
            r"r.yaml:6: steps.sample.sources.b.sise: unknown key; did you mean 'size'",
        ),
        (
            "steps:\n  sample:\n    sources:\n      b:\n        size: 0",
            r"r.yaml:4: steps.sample.sources.b: size must be at least 1",
        ),
        (
            "steps:\n  sample:\n    colours:\n      - red\n      - bleu",
            r"r.yaml:5: steps.sample.colours.1: 'bleu' is none of red, blue",
        ),
        ("steps:\n  sample: {rate: true}", "sample.rate: must be a number, not True"),
        ("name: a\nstudy: {seeds: [0]}", "r.yaml:2: study: this is a study; run it with `mixpo ablate .*r.yaml`"),
        (
            "steps:\n  sample:\n    seed: 4294967296",
            "r.yaml:3: steps.sample.seed: must be a whole number from 0 to 4294967295",
        ),
        ("steps:\n  sample:\n    rate: .inf", "r.yaml:3: steps.sample.rate: must be a finite number, not inf"),
        ("steps: &a {sample: *a}", "r.yaml:1: not valid YAML .an anchor that stands in itself"),
        (
            LAUGHS,
            r"r.yaml:\d+: not valid YAML .an anchor that stands in itself, or aliases of more than 200,000 values",
        ),
        ("steps:\n  sample: {<<: *a}", r"r.yaml:2: not valid YAML \(found undefined alias 'a'\)"),
        ("steps: " + "[" * 5000, "not valid YAML .nested too deeply"),
        ("steps:\n  sample: {label: 2020-02-31}", r"r.yaml:2: not valid YAML \(day .* month"),
        ("steps:\n  sample: {limit: !!int ''}", "r.yaml:2: not valid YAML"),
        ("steps:\n  sample: {limit: " + "9" * 5000 + "}", "r.yaml:2: not valid YAML .Exceeds the limit"),
        ("steps:\n  sample: {label: !!timestamp x}", "r.yaml:2: not valid YAML"),
        ("steps:\n  sample: {? [a] : b}", "r.yaml:2: not valid YAML .found unhashable key"),
        (
            "steps: !!python/object/apply:os.system [true]",
            "r.yaml:1: not valid YAML .could not determine a constructor",
        ),
        ('steps:\n  sample: {label: "a\0"}', "r.yaml:2: not valid YAML .special characters are not allowed"),
        ("steps:\n  sample: {name: other}", "r.yaml:2: steps.sample.name: a section's name is what it stands under"),
        ("steps:\n  sample: {label: true}", "sample.label: must be text, not True"),
        ("steps:\n  sample: {label: 2020-01-01, limit: 2020-01-01}", "must be a whole number, not '2020-01-01'"),
        ("steps:\n  sample: {words: [a, {b: c}]}", "sample.words.1: must be text, not {'b': 'c'}"),
        ("steps:\n  sample: {words: {b: c}}", "sample.words: must be a list, not {'b': 'c'}"),
        ("steps:\n  sample: {limti: 1, rate: fast}", "sample.limti: unknown key; did you mean 'limit'"),
        ("steps:\n  sample: {rate: -1}", "rate must be at least 0"),
        ("steps:\n  sample: {}\n  sample: {}", r"r.yaml:3: not valid YAML \(the key steps.sample stands twice\)"),
        ("steps: {sample: [", r"r.yaml:1: not valid YAML"),
        ("- a", "a recipe is a mapping"),
        ("", "r.yaml is empty; a recipe has the keys name"),
        ("steps: {}", "must list at least one step"),
        ("stpes: {sample: {}}", "did you mean 'steps'"),
        ("steps: {'../x': {}}", "letters, digits"),
        ("steps: {sample: 3}", "must be a mapping, not 3"),
    ],
)
def test_mistakes_name_file_and_line(tmp_path, text, message):
    with pytest.raises(RecipeError, match=message):
        config(tmp_path, text)


@pytest.mark.parametrize("override", ["sample", "smaple.rate=1", "=3", "sample.rate.x=1", "sample.rate=["])
def test_bad_overrides_are_refused(tmp_path, override):
    with pytest.raises(RecipeError, match="override"):
        config(tmp_path, "steps: {sample: {rate: 1.0}}", override)


def test_a_missing_recipe_gives_a_sentence(tmp_path):
    with pytest.raises(RecipeError, match="none.yaml is not there; give the path of a recipe"):
        load_recipe(tmp_path / "none.yaml")


def test_a_missing_field_is_named_and_an_unknown_one_before_it(tmp_path):
    @dataclass(frozen=True)
    class Needs:
        path: str
        limit: int | None = None

    with pytest.raises(RecipeError, match=r"^sources\.a: 'path' is missing$"):
        build(Needs, {"limit": 1}, "sources.a")
    with pytest.raises(RecipeError, match=r"^sources\.a\.pth: unknown key; did you mean 'path'\?$"):
        build(Needs, {"pth": "x"}, "sources.a")
    with pytest.raises(RecipeError, match=r"^'path' is missing$"):
        build(Needs, {})


def test_plain_values_build_the_same_config(tmp_path):
    import yaml

    given = Config("sample", "", 3, 0.5, (Colour.BLUE,), Inner(2), 4, {"a": Inner(1)})
    text = yaml.safe_dump({"steps": {"sample": plain(given)}})
    assert config(tmp_path, text) == given


@pytest.mark.parametrize(
    ("config", "values", "message"),
    [
        ("mixpo.questions.scenes.source", {"count": -2}, "count and start must be at least 0"),
        ("mixpo.questions.jsonl", {"path": "q.jsonl", "limit": 0}, "limit: must be at least 1, not 0"),
        ("mixpo.training.train", {"lora": {"r": 0}}, "lora: r and alpha must be at least 1"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(config, values, message):
    with pytest.raises(RecipeError, match=message):
        build(import_module(config).Config, values)


SEEING = """
images: {max_pixels: 1000}
chat_template: {enable_thinking: false}
steps:
  questions: {}
  sample: {}
  train: {images: {max_tiles: 2}}
  verify: {}
"""


def seeing(tmp_path, text=SEEING, *overrides):
    path = tmp_path / "seeing.yaml"
    path.write_text(text)
    loaded = load_recipe(path, overrides)
    return {name: loaded.config(section, step_of(section).Config) for name, section in loaded.sections.items()}


def test_how_pictures_are_shown_is_said_once_for_all_steps(tmp_path):
    configs = seeing(tmp_path)
    assert configs["sample"].images == configs["questions"].images == ImagesConfig(max_pixels=1000)
    assert configs["train"].images == ImagesConfig(max_tiles=2)  # its own, instead of the recipe's
    assert configs["sample"].chat_template == configs["train"].chat_template == {"enable_thinking": False}


def test_what_the_recipes_top_says_can_be_set_on_the_command_line(tmp_path):
    configs = seeing(tmp_path, SEEING, "images.max_pixels=7", "chat_template.level=high", "train.images.max_tiles=3")
    assert configs["sample"].images.max_pixels == 7
    assert configs["sample"].chat_template == {"enable_thinking": False, "level": "high"}
    assert configs["train"].images == ImagesConfig(max_tiles=3)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("{max_pixels: 0}", "seeing.yaml:2: images: min_pixels, max_pixels and max_tiles must be at least 1"),
        ("{min_pixels: 9, max_pixels: 8}", r"images: min_pixels \(9\) is above max_pixels \(8\)"),
        ("{max_pixel: 9}", "seeing.yaml:2: images.max_pixel: unknown key; did you mean 'max_pixels'"),
        ("{max_pixels: many}", "seeing.yaml:2: images.max_pixels: must be a whole number"),
    ],
)
def test_limits_that_cannot_be_are_refused_where_they_are_written(tmp_path, images, message):
    with pytest.raises(RecipeError, match=message):
        seeing(tmp_path, SEEING.replace("{max_pixels: 1000}", images))
