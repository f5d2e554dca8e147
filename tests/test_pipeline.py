"""A recipe is resolved as a whole before anything starts."""

import pytest

from mixpo.errors import RecipeError
from mixpo.pipeline import check_models, resolve
from mixpo.recipe import load_recipe

RECIPE = """
run: {run}
steps:
  questions: {{sources: {{scenes: {{loader: scenes, count: 4}}}}}}
  sample: {{n: 2, model: "{sampled}"}}
  train: {{pairs: pair, model: base}}
  evaluate: {{models: {{base: base, mpo: "{evaluated}"}}, benchmarks: {{scenes: {{loader: scenes, count: 4}}}}}}
"""


def resolved(tmp_path, sampled="base", evaluated="step:train"):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(run=tmp_path / "run", sampled=sampled, evaluated=evaluated))
    recipe = load_recipe(path)
    configs = resolve(recipe)
    check_models(recipe, configs)
    return configs


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"evaluated": "step:trian"}, r"recipe.yaml:7: steps.evaluate.models.mpo: no .* 'trian'; did you mean 'train'"),
        (
            {"evaluated": "step:sample"},
            r"steps.evaluate.models.mpo: no section before .* trains a model called 'sample'",
        ),
        (
            {"sampled": "step:train"},
            r"recipe.yaml:5: steps.sample.model: no .* 'train'; put the section that trains it",
        ),
    ],
)
def test_a_model_that_no_earlier_section_makes_is_refused_at_once(tmp_path, models, message):
    with pytest.raises(RecipeError, match=message):
        resolved(tmp_path, **models)


def test_a_model_of_the_recipe_or_of_the_run_is_taken(tmp_path):
    assert "evaluate" in resolved(tmp_path)
    (tmp_path / "run" / "checkpoints" / "older" / "model").mkdir(parents=True)
    assert "sample" in resolved(tmp_path, sampled="step:older")
