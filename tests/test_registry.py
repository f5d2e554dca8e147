import pytest

from mixpo.errors import RecipeError
from mixpo.prompts import Style
from mixpo.questions import collect
from mixpo.registry import chosen, module


def test_a_name_is_checked_and_the_closest_is_named():
    assert chosen(Style.COT, Style, "--prompt") == "cot"
    with pytest.raises(RecipeError, match=r"^--prompt: 'cott' is none of direct, .*; did you mean 'cot'\?$"):
        chosen("cott", Style, "--prompt")
    with pytest.raises(RecipeError, match=r"^sources\.a\.loader: None is none of scenes, [a-z, ]*$"):
        module(None, collect.LOADERS, "sources.a.loader")


@pytest.mark.parametrize("name", collect.LOADERS)
def test_every_loader_has_the_shape_of_one(name):
    loader = module(name, collect.LOADERS, "loader")
    assert callable(loader.load)
    assert callable(loader.image_root)
    assert isinstance(loader.Config, type)
