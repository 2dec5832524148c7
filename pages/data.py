"""Data: what is in a data set, and what to know before training on it."""

from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import jobs, settings
from core.config import LABELS, PRESETS, PreprocessingConfig, RunConfig, preset_config
from core.data.labelled import LabelledTexts
from core.errors import ReviewscopeError
from core.evaluation.profile import SPLITS, DataProfile, pick_examples, view_batch
from core.evaluation.words import WordLean
from core.profiling import ProfileJob, create_profile_job
from core.wording import percent
from dashboard import data_charts as charts
from dashboard import state
from dashboard.cache import load_split, profile_charts
from dashboard.components import draw_caption, draw_chart_title, draw_head, empty_box, failed_box, status_colour
from dashboard.run_snapshot import DATA_NAMES
from dashboard.table_choice import (
    ChosenData,
    choose_source,
    draw_corrections,
    draw_labels,
    draw_table_columns,
    source_from_url,
    url_of,
)
from dashboard.tokens import current_tokens

TICK_SECONDS = 0.5
LIVE = ("queued", "running")
EXAMPLES = 5
FIGURES_HEIGHT = 82
PANEL_HEIGHT = 640


def main() -> None:
    """Choose data and preset; look at it once, in a job; then figures, charts and texts."""
    source, corner = draw_page_head()
    data = draw_table() if source == "table" else ChosenData(source)
    if corner.button("Train on this", type="primary", key="data-train", disabled=data is None or bool(data.problem)):
        st.switch_page("../pages/training.py", query_params=url_of(source))
    if data is None:
        return
    data = draw_corrections(data)
    config = data.apply(preset_config(draw_preset()))
    try:
        job = create_profile_job(config)
        status = job.state.status if job.exists else None
        profile = job.result if status not in LIVE else None
    except ReviewscopeError as error:
        draw_failed(str(error), config, [])
        return
    if profile is not None:
        draw_profile(job, profile, config)
    else:
        draw_waiting(job, status, config)


def draw_page_head() -> tuple[str, DeltaGenerator]:
    """Draw the title and the choice of the data set; return which one, and the place of the filled button."""
    head = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom")
    with head.container(width="content"):
        draw_head("Data", "What a model learns from here, and what to know before it does.")
    corner = head.container(horizontal=True, width="content", vertical_alignment="bottom")
    state.remember("data-set", source_from_url())
    corner.selectbox(
        "Data set", ["imdb", "demo", "table"], key="data-set", format_func=DATA_NAMES.__getitem__, width=220,
        on_change=choose_source, args=("data-set",),
    )  # fmt: skip
    return source_from_url(), corner


def draw_table() -> ChosenData | None:
    """Draw the choice of a table, its columns and how its labels are read."""
    left, right = st.columns(2, gap="large")
    with left:
        found = draw_table_columns()
    with right:
        if found is None:
            what = "Bring a table with a text and a label column, or use the demo corpus."
            with empty_box("data", what, "What is in it, and what to know before training on it, will stand here."):
                if st.button("Look at the demo corpus", key="data-demo"):
                    state.to_url(data="demo")
                    st.rerun()
            return None
        return draw_labels(*found)


def draw_preset() -> str:
    """Draw whose preprocessing cuts the texts into words; return the preset."""
    asked = state.from_url("preset") or ""
    preset = asked if asked in PRESETS else next(iter(PRESETS))
    state.remember("data-preset", preset)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.segmented_control(
            "Read as this preset does", list(PRESETS), key="data-preset", required=True, label_visibility="collapsed",
            on_change=lambda: state.to_url(preset=state.recall("data-preset")),
        )  # fmt: skip
        draw_caption(f"As {preset} reads it: {reading_sentence(preset_config(preset).preprocessing)}.")
    return preset


def reading_sentence(config: PreprocessingConfig) -> str:
    """Say how texts become words."""
    kept = "letters alone" if config.characters == "letters" else "letters, digits and punctuation"
    most = "to their end" if config.max_length is None else f"up to {config.max_length:,} {config.unit}"
    return f"{kept}, texts {most}, {config.max_words:,} {config.unit} known at most"


def draw_waiting(job: ProfileJob, status: str | None, config: RunConfig) -> None:
    """Draw what stands here until the data was looked at; a look begins by itself unless it must fetch the data."""
    if status in LIVE:
        with st.container(height=FIGURES_HEIGHT, border=False):
            draw_progress(job)
        draw_skeletons()
    elif status in ("failed", "interrupted", "stopped"):
        draw_failed(f"Looking at the data {STATUS_WORDS[status]}. {job.state.message}", config, job.read_log(30))
    elif config.data.source == "imdb" and settings.data_folder() is None and not state.recall("data-fetch"):
        how = f"It is fetched once (84 MB) from the Hugging Face hub, or read where {settings.DATA_VARIABLE} says."
        with empty_box("imdb", "IMDB, 50,000 film reviews, has not been looked at yet.", how):
            st.button("Fetch it and look", key="data-fetch-now", on_click=state.remember, args=("data-fetch", True))
    else:
        state.forget("data-fetch")
        look(config)


STATUS_WORDS = {"failed": "failed", "interrupted": "was interrupted", "stopped": "was stopped"}


def look(config: RunConfig) -> None:
    """Queue the look and draw the page anew, or say why not."""
    try:
        jobs.enqueue(create_profile_job(config))
    except ReviewscopeError as error:
        draw_failed(str(error), config, [])
        return
    st.rerun()


def draw_failed(message: str, config: RunConfig, log: list[str]) -> None:
    """Draw why the data could not be looked at."""
    with failed_box("data", message, "Nothing was changed, and nothing was trained.", log):
        if st.button("Look again", key="data-again"):
            look(config)


@st.fragment(run_every=TICK_SECONDS)
def draw_progress(job: ProfileJob) -> None:
    """Draw what the job does, twice a second; when it has ended, draw the page anew."""
    status = job.state.status if job.exists else "failed"
    if status not in LIVE:
        st.rerun()
    progress = job.progress if status == "running" else None
    doing = "Waiting for its turn" if status == "queued" else progress.phase if progress else "Starting"
    # How long loading takes nobody knows: the data may have to be fetched.
    of = f", {progress.total:,} reviews. A few seconds." if progress and progress.total else "."
    colour = status_colour(status, current_tokens())
    st.html(f'<div class="rs"><i class="rs-dot" style="background:{colour}"></i>{doing}{of}</div>')


def draw_skeletons() -> None:
    """Hold the places of the charts to come, in their final heights."""
    for height in (335, 615):
        for column in st.columns(2, gap="large"):
            column.skeleton(height=height)


def draw_profile(job: ProfileJob, profile: DataProfile, config: RunConfig) -> None:
    """Draw what was found: figures, lengths and duplicates, words, and the texts themselves."""
    draw_figures(profile)
    lengths, one_sided, frequent = profile_charts(job, current_tokens())
    left, right = st.columns(2, gap="large")
    with left:
        draw_lengths(profile, config.preprocessing.max_length, lengths)
    with right:
        draw_duplicates(profile)
    left, right = st.columns(2, gap="large")
    with left:
        draw_one_sided(profile, one_sided)
    with right:
        draw_frequent(profile, frequent)
    try:
        train = load_split(config, "train")
    except ReviewscopeError as error:
        draw_failed(str(error), config, [])
        return
    left, right = st.columns(2, gap="large")
    with left:
        draw_first_batch(profile, train, config)
    with right:
        draw_examples(train)


def draw_figures(profile: DataProfile) -> None:
    """Draw the metric wall."""
    splits = profile.splits
    with st.grid(min_column_width=175, gap="medium"):
        for name, title in (("train", "Train"), ("valid", "Validation"), ("test", "Test")):
            split = splits[name]
            balance = f"{percent(split.positive / split.n)} positive" if split.n else "no review"
            st.metric(title, f"{split.n:,}", delta=balance, delta_color="off", delta_arrow="off")
        empty, total = sum(split.empty for split in splits.values()), sum(split.n for split in splits.values())
        st.metric(
            "Empty texts", f"{empty:,}", delta=f"of {total:,}", delta_color="off", delta_arrow="off",
            help="Texts of which the preset leaves no word.",
        )  # fmt: skip
        shared, n_test = profile.train_test.rows, splits["test"].n
        st.metric(
            "Also in train", f"{shared:,}", delta=f"{percent(shared / n_test)} of test" if n_test else "no test review",
            delta_color="off", delta_arrow="off",
            help="Test reviews whose text, letter for letter, stands in train or validation too.",
        )  # fmt: skip


def draw_lengths(profile: DataProfile, max_length: int | None, chart: dict[str, object]) -> None:
    """Draw how long the reviews are, and how many lose their end."""
    tokens, train = current_tokens(), profile.splits["train"]
    key = [("read whole", tokens.quiet), ("lose their end", tokens.not_sure)] if max_length is not None else []
    finding = lengths_finding(profile, max_length)
    draw_chart_title(
        finding,
        f"Reviews of all splits by their words. In train half have {train.median:,} or fewer, 1 in 100 has "
        f"{train.p99:,} or more, the longest {train.longest:,}.",
        key,
    )
    st.vega_lite_chart(chart, theme=None, key="data-lengths", alt=f"Reviews by length. {finding}.")


def lengths_finding(profile: DataProfile, max_length: int | None) -> str:
    """Say what the cut at the maximum does."""
    total = sum(profile.splits[name].n for name in SPLITS)
    cut = sum(profile.splits[name].cut for name in SPLITS)
    if max_length is None:
        return "Every review is read to its end"
    if not cut:
        return f"Every review is read to its end: none has more than {max_length:,} words"
    share = percent(cut / total, 0) if cut / total >= 0.01 else f"{cut:,}"
    return f"{share} of reviews lose their end at {max_length:,} words"


def draw_duplicates(profile: DataProfile) -> None:
    """Draw what stands more than once, and what happens to it."""
    shared = profile.train_test.rows
    if shared:
        finding = f"{shared:,} test review{' also stands' if shared == 1 else 's also stand'} in train"
    elif any(n for _, n, _ in charts.duplicates_rows(profile)):
        finding = "No test review stands in train, but some stand twice elsewhere"
    else:
        finding = "No review stands twice"
    draw_chart_title(finding, "Texts that agree letter for letter. Nothing is removed.")
    st.html(charts.duplicates_html(profile, current_tokens()))


def draw_one_sided(profile: DataProfile, chart: dict[str, object]) -> None:
    """Draw the words that tell both labels apart."""
    words = profile.one_sided
    tokens = current_tokens()
    if not words:
        train = profile.splits["train"]
        why = "It takes words that stand in 20 training reviews and more."
        if train.positive in (0, train.n):
            why = f"It takes both labels, and no training review is {LABELS[int(not train.positive)]}."
        draw_chart_title("No word tells the labels apart", why)
        return
    draw_chart_title(
        one_sided_finding(words),
        f"The {len(words)} words whose frequency differs most surely between the labels of train, with 95 % interval. "
        "A prior draws rare words towards alike.",
        [("negative", tokens.negative), ("positive", tokens.positive)],
    )
    st.vega_lite_chart(chart, theme=None, key="data-one-sided", alt=one_sided_finding(words))


def one_sided_finding(words: tuple[WordLean, ...]) -> str:
    """Name the surest word of each label."""
    first = [next((each.word for each in words if each.log_odds * sign > 0), None) for sign in (-1, 1)]
    said = [f"“{word[:30]}” tells {label}" for word, label in zip(first, LABELS, strict=True) if word is not None]
    return " and ".join(said) + " reviews best"


def draw_frequent(profile: DataProfile, chart: dict[str, object]) -> None:
    """Draw the most frequent words."""
    if not profile.frequent:
        draw_chart_title("There is no word", "Preprocessing leaves none.")
        return
    n = profile.splits["train"].n
    # With punctuation kept, a full stop is the most frequent word of all, which tells nothing.
    word, held = next((each for each in profile.frequent if each[0].isalpha()), profile.frequent[0])
    finding = f"“{word[:30]}” stands in {percent(held / n, 0)} of training reviews"
    draw_chart_title(
        finding, f"The {len(profile.frequent)} most frequent words, by the share of training reviews that hold them."
    )
    st.vega_lite_chart(chart, theme=None, key="data-frequent", alt=finding)


def draw_first_batch(profile: DataProfile, train: LabelledTexts, config: RunConfig) -> None:
    """Draw the texts of the first batch as the model gets them."""
    batch = profile.first_batch
    if batch is None:
        draw_chart_title("The first batch is not shown", profile.no_batch)
        return
    padded = f" Padded to {batch.longest:,} words." if config.model.kind == "bilstm" else ""
    draw_chart_title(
        "The first batch, as the model sees it",
        f"{len(batch.texts)} of its {batch.size:,} reviews, seed {config.training.seed}. Dotted: not known. Grey: cut "
        f"off.{padded}",
    )
    with st.container(height=PANEL_HEIGHT, border=True):
        st.html(charts.batch_html(view_batch(train, batch, config.preprocessing), current_tokens()))


def draw_examples(train: LabelledTexts) -> None:
    """Draw some reviews of each label as they stand."""
    seed, tokens = state.recall("data-examples", 0), current_tokens()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="top"):
        with st.container(width="content"):
            draw_chart_title(
                f"{EXAMPLES} of each label, as they stand", "Drawn from train; long ones are shortened here."
            )
        st.button(
            "Other examples", key="data-others", type="tertiary", icon=":material/casino:",
            on_click=partial(state.remember, "data-examples", seed + 1),
        )  # fmt: skip
    with st.container(height=PANEL_HEIGHT, border=True):
        rows = pick_examples(train.labels, EXAMPLES, seed)
        st.html(charts.examples_html(train.take(rows), tokens) if len(rows) else "There is no review.")


main()
