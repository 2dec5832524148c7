"""Which data set is looked at or trained on, and the choice of a labelled table: file, columns, labels.

All of it lies in the URL, so that the data page and the training page speak of the same data.
"""

from dataclasses import dataclass, replace
from shlex import quote

import streamlit as st

from core import settings
from core.config import Meaning, RunConfig, with_data
from core.data.corrections import find_corrections
from core.data.labelled import LEAST_OF_A_LABEL
from core.data.labels import write_label_map
from core.data.tables import KIND_NAMES, TableOptions
from core.errors import ReviewscopeError, TableError
from core.prediction.uploads import Upload, find_upload, save_upload
from dashboard import cache, state
from dashboard.components import draw_caption, draw_facts, failed_box
from dashboard.label_mapping import draw_label_mapping, read_label_map
from dashboard.run_snapshot import DATA_NAMES

TABLE_PARAMETERS = ("table", "text", "label", "labels")
CORRECTIONS = "corrections"


@dataclass(frozen=True)
class Purpose:
    """What a labelled table is wanted for, in the words that its choice needs.

    Attributes:
        rows: What becomes of its rows.
        kept: What did not happen when something is wrong with it.
        needs_both: Whether there must be enough reviews of each label.
    """

    rows: str
    kept: str
    needs_both: bool


TRAINING = Purpose("A fifth of it is kept aside for test.", "Nothing was trained.", True)
SCORING = Purpose("All of its rows are scored.", "Nothing was scored.", False)


@dataclass(frozen=True)
class ChosenData:
    """What ``with_data`` needs to point a config at the data that somebody chose.

    Attributes:
        data: "imdb", "demo", or the path of a table.
        text_column: Of a table, the column of texts.
        label_column: Of a table, the column of labels.
        label_map: Of a table, what its labels mean.
        corrections: The id of a change list of labels, if any.
        problem: Why nothing can be trained on it; empty when something can.
    """

    data: str
    text_column: str | None = None
    label_column: str | None = None
    label_map: dict[str, Meaning] | None = None
    corrections: str | None = None
    problem: str = ""

    def apply(self, config: RunConfig) -> RunConfig:
        """Return a config that reads this data."""
        return with_data(
            config, self.data, self.text_column, self.label_column, self.label_map, corrections=self.corrections
        )

    @property
    def options(self) -> list[str]:
        """Return the words of the command line that choose the same."""
        words = [f"--data {quote(self.data)}"]
        words += [f"--text-column {quote(self.text_column)}"] if self.text_column else []
        words += [f"--label-column {quote(self.label_column)}"] if self.label_column else []
        words += [f"--labels {quote(write_label_map(self.label_map))}"] if self.label_map is not None else []
        words += [f"--set data.corrections={self.corrections}"] if self.corrections else []
        return words


def source_from_url() -> str:
    """Return the data set that the URL names: imdb, demo (also when it names none) or table."""
    asked = state.from_url("data")
    if asked in DATA_NAMES:
        return asked
    return "table" if state.from_url("table") else "demo"


def url_of(source: str) -> dict[str, str]:
    """Return what the URL of another page needs to speak of the same data."""
    names = (*TABLE_PARAMETERS, CORRECTIONS) if source == "table" else (CORRECTIONS,)
    asked = {name: state.from_url(name) for name in names}
    return {"data": source, **{name: value for name, value in asked.items() if value is not None}}


def table_from_url() -> ChosenData | None:
    """Return the table that the URL names; None until columns and labels are chosen and every row can be read."""
    upload = find_upload(state.from_url("table") or "")
    if upload is None:
        return None
    try:
        columns = csv_columns(upload)
        text, label = column_from_url("text", len(columns), 0), column_from_url("label", len(columns), 1)
        if text == label or len(columns) == 1:
            return None
        counts = cache.count_values(upload.table, columns[label])
        label_map = read_label_map(counts)
        if label_map is not None and set(label_map) != set(counts):
            return None
        negative, positive = cache.count_labels(upload.table, columns[text], columns[label], label_map)
    except ReviewscopeError:  # where the table is chosen, it is said
        return None
    return ChosenData(str(upload.table), columns[text], columns[label], label_map) if negative + positive else None


def choose_source(key: str) -> None:
    """Turn to the data set that a widget names; corrections belong to the one before."""
    state.to_url(data=state.recall(key), corrections=None)


def draw_corrections(data: ChosenData) -> ChosenData:
    """Draw that labels of the training set are corrected when the URL says so; return the data with the corrections."""
    asked = state.from_url(CORRECTIONS)
    if not asked:
        return data
    try:
        count = len(find_corrections(asked).changes)
    except ReviewscopeError as error:
        with failed_box("corrections", str(error), "The labels are taken as they came."):
            st.button("Go on without them", key="leave-corrections", on_click=leave_corrections)
        return data
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width="content"):
            labels = "1 label of the training set is" if count == 1 else f"{count:,} labels of the training set are"
            draw_caption(f"{labels} corrected ({asked}), as a reader judged on the Evaluation page.")
        st.button("Use the labels as they came", key="leave-corrections", type="tertiary", on_click=leave_corrections)
    return replace(data, corrections=asked)


def leave_corrections() -> None:
    """Take the labels as they came."""
    state.to_url(corrections=None)


def draw_table_choice(purpose: Purpose = TRAINING) -> ChosenData | None:
    """Draw the upload of a labelled table, the choice of its columns and of how its labels are read.

    None until all of them are chosen and every row can be read.
    """
    found = draw_table_columns(purpose)
    return draw_labels(*found, purpose) if found is not None else None


def draw_table_columns(purpose: Purpose = TRAINING) -> tuple[Upload, str, str, int] | None:
    """Draw the upload and the choice of columns; return upload, column of texts, column of labels and its place."""
    draw_caption(
        f"A CSV with a column of texts and a column of labels or stars. {purpose.rows} It stays "
        f"on this computer, in {settings.home() / 'uploads'}."
    )
    draw_upload()
    upload = find_upload(state.from_url("table") or "")
    if upload is None:
        return None
    try:
        columns = csv_columns(upload)
    except ReviewscopeError as error:
        with failed_box("table", str(error), purpose.kept):
            draw_caption("Choose another file above.")
        return None
    if len(columns) == 1:
        what = f"{upload.about.name}: 1 column. It takes two: one of texts, one of labels."
        with failed_box("table", what, purpose.kept):
            draw_caption("Choose another file above.")
        return None
    draw_facts(f"{upload.about.name}: {len(columns)} columns.")
    text = _draw_column("Column of texts, by its place", columns, "text", 0)
    label = _draw_column("Column of labels, by its place", columns, "label", 1)
    if text == label:
        with failed_box("columns", "The same column is chosen for texts and for labels.", purpose.kept):
            draw_caption("Choose another column for one of them.")
        return None
    return upload, columns[text], columns[label], label


def csv_columns(upload: Upload) -> list[str]:
    """Return the names of a CSV file's columns.

    Raises:
        TableError: It is something else, or cannot be read.
    """
    if upload.kind != "csv":
        raise TableError(
            f"{upload.about.name[:80]!r} is {KIND_NAMES[upload.kind]}; labelled reviews are read from CSV. Save it as "
            "CSV from your spreadsheet program, or export it as CSV."
        )
    return list(upload.read_format(TableOptions()).columns)


def draw_upload() -> None:
    """Draw the place where a file is dropped; the file that came last is the one in the URL."""
    generation = state.recall("table-generation", 0)
    file = st.file_uploader("Labelled table", type="csv", key=f"table-{generation}", label_visibility="collapsed")
    if file is not None:
        upload = save_upload(file, file.name)
        state.to_url(table=upload.upload_id, text=None, label=None, labels=None, corrections=None)
        state.remember("table-generation", generation + 1)
        st.rerun()


def _draw_column(title: str, columns: list[str], name: str, default: int) -> int:
    """Draw the choice of a column, whose place the URL holds."""
    key = f"column-{name}"
    state.remember(key, column_from_url(name, len(columns), default))
    found: int = st.selectbox(
        title, range(len(columns)), key=key, format_func=lambda number: column_word(columns, number),
        on_change=_choose_column, args=(name,),
    )  # fmt: skip
    return found


def column_from_url(name: str, count: int, default: int) -> int:
    """Return the place of a column that the URL names, as far as there are so many."""
    asked = state.from_url(name) or ""
    return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 and int(asked) < count else default


def _choose_column(name: str) -> None:
    """Carry a column's place into the URL; another column of labels has other values to read."""
    state.to_url(**{name: str(state.recall(f"column-{name}"))})
    if name == "label":
        state.to_url(labels=None)


def column_word(columns: list[str], number: int) -> str:
    """Return a column's place and name, shortened."""
    return f"{number + 1}: {columns[number][:40]}"


def draw_labels(
    upload: Upload, text_column: str, label_column: str, place: int, purpose: Purpose = TRAINING
) -> ChosenData | None:
    """Draw how the labels are read and how many reviews of each there are; None while a value is open."""
    try:
        counts = cache.count_values(upload.table, label_column)
        label_map = draw_label_mapping(counts, f"labels-{upload.upload_id}-{place}")
        if label_map is not None and set(label_map) != set(counts):
            return None
        negative, positive = cache.count_labels(upload.table, text_column, label_column, label_map)
    except ReviewscopeError as error:
        with failed_box("labels", str(error).replace(str(upload.table), upload.about.name), purpose.kept):
            draw_caption("Choose another column of labels, or correct the file and upload it again.")
        return None
    draw_caption(f"{negative:,} negative and {positive:,} positive reviews.")
    problem = few_words(negative, positive) if purpose.needs_both else none_words(negative + positive)
    if problem:
        with failed_box("few", problem, purpose.kept):
            draw_caption("Add reviews to the file and upload it again, or read the labels in another way.")
    return ChosenData(str(upload.table), text_column, label_column, label_map, problem=problem)


def few_words(negative: int, positive: int) -> str:
    """Say of which label there are too few reviews to train on; nothing when there are enough of both."""
    if min(negative, positive) >= LEAST_OF_A_LABEL:
        return ""
    few = " and ".join(
        f"{count or 'no'} {label} review{'' if count == 1 else 's'}"
        for count, label in ((negative, "negative"), (positive, "positive"))
        if count < LEAST_OF_A_LABEL
    )
    return f"There {'is' if few.endswith('review') else 'are'} {few}. Training needs {LEAST_OF_A_LABEL} of each label."


def none_words(count: int) -> str:
    """Say that there is no review to score; nothing when there is one."""
    return "" if count else "There is no review: the table has no row, or all of its rows are left out."
