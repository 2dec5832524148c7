"""What the evaluation page may show: models, data and filters, each named in the URL."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast, get_args

from core import settings
from core.config import DataConfig, RunConfig, preset_config
from core.default_model import STARTER
from core.errors import ReviewscopeError
from core.evaluation.curves import BINS, bin_edges
from core.evaluation.selection import LABELS, PAIRS, Order, Pair, Selection
from core.evaluation.themes import THEMES
from core.label_reviews import FAULTS
from core.prediction.evaluating import EvaluationJob
from core.runs import list_runs
from dashboard import run_facts
from dashboard.state import forget, from_url, recall, remember, to_url
from dashboard.table_choice import table_from_url

SPLITS = {"test": "test", "valid": "validation", "train": "train"}
ALL = "all"
ORDERS: Mapping[Order, str] = {
    "confident": "Most confident first",
    "unsure": "Least sure first",
    "data": "As in the data",
}
# What the page keeps in the URL under its own name; the value when the parameter is absent comes first.
KINDS: Mapping[str, Selection] = {
    "All wrong": Selection(),
    "Read as positive, labelled negative": Selection(label=0, verdict=1),
    "Read as negative, labelled positive": Selection(label=1, verdict=0),
    "All": Selection(only_wrong=False),
}
PREFIX = "evaluation_"
MOST_WORDS = 200
MOST_CORNERS = 60
# What a click on a chart makes of the filters; the same filters when nothing was clicked.
Door = Callable[[Selection, Mapping[str, Any]], Selection]


@dataclass(frozen=True)
class ModelChoice:
    """A model that can be evaluated, and the settings that say which data is its own."""

    reference: str
    name: str
    config: RunConfig

    @property
    def spoken(self) -> str:
        """Return it as part of a sentence."""
        return "the starter" if self.reference == STARTER else self.name


@dataclass(frozen=True)
class DataChoice:
    """A split of a data set, read through ``config``."""

    source: str
    split: str
    config: RunConfig

    @property
    def title(self) -> str:
        """Return what a list of choices calls it."""
        name = "Demo corpus" if self.source == "demo" else self.data_name  # a file's name stays as it is written
        return f"{name}, {'all rows' if self.split == ALL else SPLITS[self.split]}"

    @property
    def data_name(self) -> str:
        """Return the data set's name; of a table, its file's."""
        return "demo corpus" if self.source == "demo" else run_facts.data_name(self.config)

    @property
    def sentence(self) -> str:
        """Return it as part of a sentence: "the test set of the demo corpus"."""
        if self.split == ALL:
            return f"the table {self.data_name}"
        article = "the " if self.source == "demo" else ""
        return f"the {SPLITS[self.split]} set of {article}{self.data_name}"


def list_models() -> list[ModelChoice]:
    """Return every run that has a model, newest first, then the starter."""
    choices = []
    for run in list_runs():
        if run.model_file.exists():
            try:
                choices.append(ModelChoice(run.run_id, run.about.name, run.settings.config))
            except ReviewscopeError:
                continue  # a damaged run is told of where runs are listed
    if settings.STARTER_FILE.exists():
        choices.append(ModelChoice(STARTER, "starter", preset_config("fast")))
    return choices


def list_data(model: ModelChoice) -> list[DataChoice]:
    """Return the splits of the model's own data, the test splits of the others at hand, and the URL's table, whole."""
    own = model.config
    has_imdb = settings.data_folder() is not None
    choices = []
    if model.reference != STARTER or has_imdb:
        splits = [split for split in SPLITS if split != "valid" or own.data.validation_fraction > 0]
        choices = [DataChoice(own.data.source, split, own) for split in splits]
    for source in ("demo", "imdb"):
        is_listed = any(choice.source == source for choice in choices)
        if not is_listed and (source == "demo" or has_imdb):
            data = DataConfig.model_validate({"source": source})
            choices.append(DataChoice(source, "test", own.model_copy(update={"data": data})))
    if table := table_from_url():
        choices.append(DataChoice("table", ALL, table.apply(own)))
    return choices


def chosen_model(models: list[ModelChoice]) -> ModelChoice:
    """Return the model that the URL names, else the first."""
    return next((model for model in models if model.reference == from_url("model")), models[0])


def chosen_data(choices: list[DataChoice]) -> DataChoice:
    """Return the split that the URL names, else the first; of a data set alone, its first."""
    source, split = from_url("data"), from_url("split")
    return next((each for each in choices if each.source == source and split in (None, each.split)), choices[0])


def missing_data(data: DataChoice) -> str:
    """Say that the URL names other data than is shown, and why; nothing when it does not."""
    source, split = from_url("data"), from_url("split")
    if source is None or (source == data.source and split in (None, data.split)):
        return ""
    if source == "table" and split in (None, ALL):
        why = "The table of this address is not here any more, or its columns and labels are not chosen to the end"
    else:
        why = f"This model is not offered {source[:40]!r}, {(split or 'any split')[:40]!r}"
    return f"{why}; this is {data.sentence}."


def estimate_seconds(model_sha256: str, n: int) -> float | None:
    """Return how long scoring n reviews takes, by the slowest earlier evaluation of the model; None without one."""
    speeds = []
    for path in (settings.home() / "evaluations" / model_sha256).glob("*"):
        job = EvaluationJob(path)
        try:
            progress = job.progress if job.is_done else None
        except ReviewscopeError:
            continue
        if progress and progress.done and progress.time > progress.began:
            speeds.append(progress.done / (progress.time - progress.began))
    return n / min(speeds) if speeds else None


def selection_from_url() -> Selection:
    """Return the filters that the URL names; what is no filter counts as absent."""
    label, verdict = _label(_parameter("labelled")), _label(_parameter("read_as"))
    pair = _parameter("pair")
    return Selection(
        label=label,
        verdict=verdict,
        only_wrong=_parameter("show") != "all" or label is not None or verdict is not None or pair in PAIRS,
        confidence=_bin(_parameter("confidence")),
        at_least=_number(_parameter("at_least"), 0.0, 1.0),
        surest=_whole(_parameter("surest"), 1, 99),
        words=_parameter("words")[:MOST_WORDS],
        token=_parameter("token")[:MOST_WORDS],
        theme=_parameter("theme") if _parameter("theme") in THEMES else "",
        pair=cast(Pair, pair) if pair in PAIRS else None,
        area=_area(_parameter("area")),
        stars=_whole(_parameter("stars"), 1, 10),
        fault=fault if (fault := _parameter("fault")) in FAULTS else "",
    )


def unread_filters() -> list[str]:
    """Return what the URL names as a filter or order that is none, as "theme “nonsense”"."""
    selection, order = selection_from_url(), _parameter("order")
    read = {
        "show": _parameter("show") == "all",
        "labelled": selection.label is not None,
        "read_as": selection.verdict is not None,
        "confidence": selection.confidence is not None,
        "at_least": selection.at_least is not None,
        "surest": selection.surest is not None,
        "theme": bool(selection.theme),
        "pair": selection.pair is not None,
        "area": bool(selection.area),
        "stars": selection.stars is not None,
        "fault": bool(selection.fault),
        "order": order in ORDERS,
    }
    return [f"{name} “{_parameter(name)[:40]}”" for name, is_read in read.items() if _parameter(name) and not is_read]


def selection_to_url(selection: Selection) -> None:
    """Name the filters in the URL, and begin at the first page."""
    values = {
        "show": "all" if selection.is_by_outcome and not selection.only_wrong else None,
        "labelled": None if selection.label is None else LABELS[selection.label],
        "read_as": None if selection.verdict is None else LABELS[selection.verdict],
        "confidence": None if selection.confidence is None else _bin_name(selection.confidence),
        "at_least": None if selection.at_least is None else repr(selection.at_least),
        "surest": None if selection.surest is None else str(selection.surest),
        "words": selection.words or None,
        "token": selection.token or None,
        "theme": selection.theme or None,
        "pair": selection.pair,
        "area": ";".join(f"{x:.4g},{y:.4g}" for x, y in selection.area) or None,
        "stars": None if selection.stars is None else str(selection.stars),
        "fault": selection.fault or None,
        "page": None,
    }
    to_url(**{PREFIX + name: value for name, value in values.items()})


def kind_of(selection: Selection) -> str | None:
    """Return which of ``KINDS`` the filters by label and verdict come to, or None."""
    plain = Selection(selection.label, selection.verdict, selection.only_wrong, pair=selection.pair)
    return next((name for name, kind in KINDS.items() if kind == plain), None)


def with_kind(selection: Selection, name: str) -> Selection:
    """Return the filters with label and verdict as one of ``KINDS`` says."""
    kind = KINDS[name]
    return replace(selection, label=kind.label, verdict=kind.verdict, only_wrong=kind.only_wrong, pair=None)


def open_row() -> int | None:
    """Return the row of the review that is read closely, or None; it may be of other data."""
    return _whole(_parameter("open"), 0, 10**8)


def other_from_url() -> str:
    """Return the reference of the model that the page's model is compared with; empty when none is chosen."""
    return _parameter("against")[:MOST_WORDS]


def toggle_cell(selection: Selection, label: int, verdict: int) -> Selection:
    """Return the filters after a click on a cell of the matrix: a second click takes the filter away."""
    if (selection.label, selection.verdict) == (label, verdict):
        return replace(selection, label=None, verdict=None, only_wrong=True)
    return replace(selection, label=label, verdict=verdict, only_wrong=True)


def order_from_url() -> Order:
    """Return the order that the URL names, else the first."""
    name = _parameter("order")
    return cast(Order, name) if name in get_args(Order) else "confident"


def page_from_url(pages: int) -> int:
    """Return the page of the list, from 1, that the URL names, as far as there are so many."""
    return min(_whole(_parameter("page"), 1, 10**8) or 1, pages)


def name_in_url(**values: str | None) -> None:
    """Set parameters of this page."""
    to_url(**{PREFIX + name: value for name, value in values.items()})


def take_clicks(doors: Mapping[str, Door]) -> None:
    """Turn a click on a chart, kept under the key of its name, into a filter.

    A chart keeps what was clicked, and says nothing of a second click on the same mark. So each click is used up: the
    charts get new keys (``chart_key``), and what is filtered is drawn from the URL.
    """
    for name, door in doors.items():
        event = recall(chart_key(name))
        before = selection_from_url()
        after = door(before, event["selection"]) if event else before
        if after == before:
            continue
        selection_to_url(after)
        forget(chart_key(name))
        remember(PREFIX + "clicks", recall(PREFIX + "clicks", 0) + 1)
        return


def clicked_mark(clicked: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the mark of a Vega-Lite chart's selection "cell" that was clicked, if any."""
    marks = clicked.get("cell")
    return marks[0] if marks else None


def open_cell(selection: Selection, clicked: Mapping[str, Any]) -> Selection:
    """Filter by the cell of the confusion matrix that was clicked."""
    mark = clicked_mark(clicked)
    return toggle_cell(selection, int(mark["label"]), int(mark["verdict"])) if mark else selection


def open_bin(selection: Selection, clicked: Mapping[str, Any]) -> Selection:
    """Filter by the bin of confidence that was clicked; a second click takes the filter away."""
    if (mark := clicked_mark(clicked)) is None:
        return selection
    place = int(mark["bin"])
    return replace(selection, confidence=None if place == selection.confidence else place)


def open_theme(selection: Selection, clicked: Mapping[str, Any]) -> Selection:
    """Filter by the theme that was clicked; a second click takes the filter away."""
    if (mark := clicked_mark(clicked)) is None:
        return selection
    theme = str(mark["theme"])
    return replace(selection, theme="" if theme == selection.theme else theme)


def open_token(selection: Selection, clicked: Mapping[str, Any]) -> Selection:
    """Filter by the word that was clicked; a second click takes the filter away."""
    if (mark := clicked_mark(clicked)) is None:
        return selection
    token = str(mark["word"])
    return replace(selection, token="" if token == selection.token else token)


def open_surest(selection: Selection, clicked: Mapping[str, Any]) -> Selection:
    """Filter by the surest reviews up to the percentage that was clicked; a second click takes the filter away."""
    if (mark := clicked_mark(clicked)) is None:
        return selection
    percentage = int(mark["surest"])
    is_all = percentage >= 100 or percentage == selection.surest
    return replace(selection, surest=None if is_all else percentage)


def open_threshold(selection: Selection, clicked: Mapping[str, Any]) -> Selection:
    """List what counts as positive at the point of a curve that was clicked, right or wrong; a second click ends it."""
    details = next((point["customdata"] for point in clicked.get("points", []) if point.get("customdata")), None)
    if details is None:
        return selection
    threshold = float(details[2])
    is_again = threshold == selection.at_least
    return replace(selection, at_least=None if is_again else threshold, only_wrong=is_again)


def chart_key(name: str) -> str:
    """Return the key of a chart that can be clicked, until its next click."""
    return f"{PREFIX}{name}_{recall(PREFIX + 'clicks', 0)}"


def _parameter(name: str) -> str:
    return from_url(PREFIX + name) or ""


def _label(name: str) -> int | None:
    return LABELS.index(name) if name in LABELS else None


def _bin_name(place: int) -> str:
    low, high = bin_edges()[place : place + 2]
    return f"{100 * low:g}-{100 * high:g}"


def _bin(name: str) -> int | None:
    return next((place for place in range(BINS) if _bin_name(place) == name), None)


def _number(written: str, low: float, high: float) -> float | None:
    try:
        value = float(written)
    except ValueError:
        return None
    return value if low <= value <= high else None


def _whole(written: str, low: int, high: int) -> int | None:
    value = int(written) if written.isascii() and written.isdigit() and len(written) < 9 else None
    return value if value is not None and low <= value <= high else None


def _area(written: str) -> tuple[tuple[float, float], ...]:
    """Return the corners of a polygon written as "x,y;x,y;x,y"; what is none counts as absent."""
    corners = []
    for corner in written.split(";")[:MOST_CORNERS]:
        x, _, y = corner.partition(",")
        place = _number(x, -1e6, 1e6), _number(y, -1e6, 1e6)
        if place[0] is None or place[1] is None:
            return ()
        corners.append((place[0], place[1]))
    return tuple(corners) if len(corners) > 2 else ()
