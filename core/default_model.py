"""Which model the prediction pages use: the starter, until somebody says "use this model"."""

from core import settings
from core.config import Section
from core.errors import ReviewscopeError
from core.files import write_json
from core.job_folder import read_document
from core.runs import find_model

STARTER = "starter"


class DefaultModel(Section):
    """The reference of the default model: a run id, an imported id, or starter."""

    model: str = STARTER


def default_model() -> str:
    """Return the default model's reference; the starter when none was chosen or the chosen one is gone."""
    path = settings.home() / "default.json"
    try:
        reference = read_document(path, DefaultModel).model if path.exists() else STARTER
        return reference if find_model(reference).exists() else STARTER
    except ReviewscopeError:
        return STARTER


def use_model(reference: str) -> None:
    """Make a model the default.

    Raises:
        ReviewscopeError: There is no such model.
    """
    find_model(reference)
    write_json(settings.home() / "default.json", DefaultModel(model=reference).model_dump())
