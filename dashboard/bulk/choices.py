"""What is chosen for a table before it is scored. The URL holds it, so that a reload shows the same."""

from collections.abc import Sequence

from pydantic import ValidationError

from core.data.tables import TableOptions
from core.default_model import default_model
from core.errors import ReviewscopeError
from core.prediction.bulk_job import BulkJob
from core.prediction.uploads import Upload
from core.runs import find_model
from dashboard import state

CHOSEN = ("read", "columns", "ids")
SHOWN_NAME = 40


def model_from_url() -> str:
    """Return the reference of the model that the URL names, or the default one."""
    asked = state.from_url("model")
    try:
        return asked if asked and find_model(asked).exists() else default_model()
    except ReviewscopeError:
        return default_model()


def options_from_url() -> TableOptions:
    """Return how the table is to be read; what is not said is found out."""
    try:
        return TableOptions.model_validate_json(state.from_url("read") or "{}")
    except ValidationError:
        return TableOptions()


def change_options(options: TableOptions) -> None:
    """Read the table in another way; its columns may be others then."""
    changed = options.model_dump_json(exclude_none=True)
    state.to_url(read=None if changed == "{}" else changed, columns=None, ids=None)


def columns_from_url(count: int) -> tuple[int, ...] | None:
    """Return the places of the text columns, in their order, as far as there are so many; None where none is said."""
    asked = state.from_url("columns")
    if asked is None:
        return None
    found = (place_of(each, count) for each in asked.split("."))
    return tuple(dict.fromkeys(place for place in found if place is not None))


def ids_from_url(count: int) -> int | None:
    """Return the place of the column that names a row, or None."""
    return place_of(state.from_url("ids") or "", count)


def place_of(word: str, count: int) -> int | None:
    """Return a place that a word of the URL names, if there are so many."""
    is_number = word.isascii() and word.isdigit() and len(word) < 6
    return int(word) if is_number and int(word) < count else None


def choose_columns(places: Sequence[int]) -> None:
    """Put the text columns into the URL; "" says that none is chosen."""
    state.to_url(columns=".".join(map(str, places)))


def open_upload(upload: Upload, options: TableOptions | None = None) -> None:
    """Go to the second step with a table."""
    state.to_url(upload=upload.upload_id, job=None)
    change_options(options or TableOptions())


def leave_file() -> None:
    """Go back to the first step; the upload stays among the saved results."""
    state.to_url(upload=None, job=None, read=None, columns=None, ids=None)


def leave_job(job: BulkJob) -> None:
    """Go back to the choice of columns, with those of a job."""
    request = job.request
    change_options(request.options)
    choose_columns(request.text_columns)
    state.to_url(job=None, model=request.model, ids=None if request.id_column is None else str(request.id_column))


def column_word(columns: Sequence[str], place: int) -> str:
    """Return a column's place and name, shortened: names may be empty or stand twice, which no choice allows."""
    return f"{place + 1}: {name_word(columns[place])}"


def name_word(name: str) -> str:
    """Return a column's name, shortened and never empty."""
    line = " ".join(name.split())
    return (line if len(line) <= SHOWN_NAME else line[: SHOWN_NAME - 1] + "…") or "(no name)"
