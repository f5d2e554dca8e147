"""`mixpo train` of a recipe: what it says when the GPU is too small, and whether it begins with `--force`."""

import json
import sys

from devices import on_null_gpu  # noqa: F401 (asserts that it is one)
from mixpo.cli import app
from mixpo.errors import UserError
from mixpo.training import train


class Begun(Exception):
    """Instead of a training, whose numbers would all be zeros."""


def begin(*_given):
    raise Begun


train.make_trainer = begin


def said(*words: str) -> str:
    try:
        app(["train", *words], standalone_mode=False)
    except UserError as error:
        return str(error)
    except Begun:
        return "begun"
    return "nothing"


recipe, fitting = sys.argv[1:]
kept = "train.gradient_checkpointing=false"
print(json.dumps([said(recipe, kept), said(recipe), said(recipe, kept, fitting), said(recipe, kept, "--force")]))
