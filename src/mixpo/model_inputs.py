"""How a question is put before a model: how large its pictures are, and what the chat template is told.

    images: {max_pixels: 1003520}           # at a recipe's top, for every step that lets a model look at pictures
    chat_template: {enable_thinking: false}

What a response was sampled with, training and evaluation must have, too: the fields are the same in all of them.
"""

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

from mixpo.images import resized
from mixpo.videos import FramesConfig

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, kw_only=True)
class ImagesConfig(FramesConfig):
    """Limits on the size of pictures (null: what the model's processor does by itself), and the frames of videos."""

    min_pixels: int | None = None
    """A picture with fewer pixels (width times height) is enlarged to so many."""
    max_pixels: int | None = None
    """A picture with more pixels is made smaller; of a model that cuts pictures into tiles, the tiles have no more
    either."""
    max_tiles: int | None = None
    """Most tiles that a picture is cut into (the small copy of the whole picture, which many models add, is none)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(value is not None and value < 1 for value in (self.min_pixels, self.max_pixels, self.max_tiles)):
            raise ValueError("min_pixels, max_pixels and max_tiles must be at least 1")
        if (self.min_pixels or 1) > (self.max_pixels or float("inf")):
            raise ValueError(f"min_pixels ({self.min_pixels}) is above max_pixels ({self.max_pixels})")

    @property
    def limits(self) -> "ImagesConfig":
        """The same without what says which frames are taken."""
        return ImagesConfig(**{name: getattr(self, name) for name in LIMITS})

    def fitted(self, image: "Image") -> "Image":
        """The picture within the limits on pixels, its sides in proportion; itself where it is."""
        return resized(image, self.min_pixels, self.max_pixels)


LIMITS = ("min_pixels", "max_pixels", "max_tiles")
FRAMES = tuple(item.name for item in fields(FramesConfig))
"""What of `ImagesConfig` decides how pictures are shown to a model, and what decides which frames questions have."""


@dataclass(frozen=True, kw_only=True)
class ModelInputs:
    """The fields of every step that lets a model look at pictures."""

    strict: ClassVar[bool] = True
    """Whether what has no meaning for a model is refused; else it is said, and left out for this model."""

    images: ImagesConfig = field(default_factory=ImagesConfig)
    """How large pictures and the frames of videos are for the model. Which frames these are (`fps`, `max_frames`) is
    decided where questions are read: by `questions`, and by an evaluation of a file."""
    chat_template: dict[str, Any] = field(default_factory=dict)
    """Options that the model's chat template is called with: `{enable_thinking: false}`."""

    trust_remote_code: bool = False
    """Whether Python code that comes with a model may run here: it may do whatever you may; read it first."""

    @property
    def inputs(self) -> "ModelInputs":
        """These fields alone, of a step's config."""
        return ModelInputs(**{item.name: getattr(self, item.name) for item in fields(ModelInputs)})

    @property
    def idle(self) -> tuple[str, ...]:
        """Fields that decide nothing of the step (`mixpo.fingerprints`): it looks at the frames that questions have."""
        return tuple(f"images.{name}" for name in FRAMES)

    def stated(self) -> dict[str, Any]:
        """The plain values that are not at their defaults."""
        limits = {name: value for name in LIMITS if (value := getattr(self.images, name))}
        return {name: value for name, value in (("images", limits), ("chat_template", self.chat_template)) if value}


AS_IS = ModelInputs()
"""The model's processor and chat template as they are."""


class InputsOfSeveral(ModelInputs):
    """The same for models of different kinds side by side: not every word has a meaning for every one of them."""

    strict = False
