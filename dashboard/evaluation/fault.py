"""The section Whose fault?: labels judged one by one, what that makes of the score, and corrected training sets.

A card shows a text and its label. It does not tell a suspect from an agreement dealt among them, nor what the model
said of it, until it is judged: a reader who knew would judge the model, not the label.
"""

import time
from collections.abc import Mapping
from functools import partial
from html import escape
from typing import Literal, cast

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.data.corrections import Corrections, find_corrections
from core.errors import DataError, ReviewscopeError
from core.evaluation.adjudication import (
    CANNOT_TELL,
    LABEL_RIGHT,
    LABEL_WRONG,
    LEAST_AGREEMENTS,
    METHOD,
    UNREAD,
    Adjudication,
    adjudicate,
    deal,
)
from core.evaluation.intervals import wilson_interval
from core.evaluation.selection import LABELS, Mask, Selection
from core.evaluation.suspects import Suspects, rank_suspects
from core.label_reviews import (
    FAULTS,
    JUDGED,
    Fault,
    LabelReview,
    Source,
    add_review,
    export_reviews,
    home_fingerprint,
    import_reviews,
    judge_labels,
    make_corrections,
    propose_changes,
)
from core.wording import interval_text, percent
from dashboard.cache import load_as_it_came, load_base_rows, load_label_reviews, load_predictor, load_split
from dashboard.components import draw_caption, draw_chart_title, draw_facts, empty_box, failed_box
from dashboard.evaluation import choices
from dashboard.evaluation.choices import Door
from dashboard.evaluation.view import Scored
from dashboard.highlight import SHOWN_CHARACTERS, highlight
from dashboard.settings_source import data_parameters
from dashboard.state import forget, recall, remember
from dashboard.tokens import current_tokens

DOORS: dict[str, Door] = {}
SHORTCUTS: Mapping[Fault, str] = {"model": "1", "label": "2", "unsure": "3"}
# Of a label alone, where it is hidden or plain that the model read it so too.
OF_LABEL: Mapping[Fault, str] = {**FAULTS, "model": "Label is right"}
PLACE, LAST, REFUSED = "evaluation_card", "evaluation_card_last", "evaluation_fault_refused"
IMPORTED, GENERATION = "evaluation_verdicts_imported", "evaluation_verdicts_generation"
TEXT_HEIGHT = 290
Judged = NDArray[np.int8]


def draw(view: Scored, selection: Selection) -> None:
    """Draw the section."""
    try:
        judged = judged_labels(view)
    except ReviewscopeError as error:
        with failed_box("fault", str(error), "The verdicts are as they were, and so is everything else on this page."):
            st.button("Read them again", key="evaluation_fault_again")
        return
    if refused := recall(REFUSED):
        forget(REFUSED)
        with failed_box("fault", refused, "What was judged before is kept."):
            st.button("Close", key="evaluation_fault_close")
    left, right = st.columns([3, 2], gap="large")
    with left:
        draw_cards(view, judged)
    with right:
        draw_scores(view, adjudicate(view.results.wrong, judged), selection)
        draw_corrections(view)
        draw_exchange(view)


def judged_labels(view: Scored) -> Judged:
    """Return how each label of the view's split was judged, int8 (N); see ``core.evaluation.adjudication``.

    Raises:
        ReviewscopeError: The verdicts cannot be read.
    """
    split, rows = load_base_rows(view.data.config, view.data.split)
    return judge_labels(load_label_reviews(verdicts_home(view)), split, rows, view.results.labels)


def fault_mask(view: Scored, fault: str) -> Mask:
    """Return which reviews a reader judged so, bool (N); where the model agrees with a right label, it is not wrong."""
    mask: Mask = judged_labels(view) == JUDGED[cast(Fault, fault)]
    return mask & view.results.wrong if fault == "model" else mask


def fault_words(fault: str) -> str:
    """Return a reader's verdict as part of a sentence."""
    return FAULTS[cast(Fault, fault)].lower()


def verdicts_home(view: Scored) -> str:
    """Return the fingerprint that the verdicts on the view's data are kept under."""
    return home_fingerprint(view.data.config.data, view.fingerprint)


def find_suspects(view: Scored) -> Suspects:
    """Return the suspected label errors of the view.

    Raises:
        DataError: The model learnt from these reviews.
    """
    of_data = {"source", "path", "text_column", "label_column", "label_map"}
    own, here = view.model.config.data.model_dump(include=of_data), view.data.config.data.model_dump(include=of_data)
    temperature = load_predictor(view.model.reference).temperature
    return rank_suspects(view.results, view.data.split, temperature, is_unseen=own != here)


def draw_cards(view: Scored, judged: Judged) -> None:
    """Draw the card whose turn it is, and what came of the one before."""
    try:
        suspects = find_suspects(view)
    except DataError as error:
        with empty_box("fault", str(error), "Labels of training reviews are judged where they stand as neighbours."):
            pass
        return
    cards = deal(suspects.rows, view.results.wrong)
    read = int((judged[cards] != UNREAD).sum())
    if not len(suspects.rows):
        finding = f"The model agrees with every label · {read:,} of {len(cards):,} read"
    else:
        finding = f"Is the label right? · {read:,} of {len(cards):,} read"
    draw_chart_title(finding, deal_sentence(len(suspects.rows), len(cards) - len(suspects.rows)))
    place = card_place(cards, judged)
    row = recall(LAST) if place is None or judged[cards[place]] == UNREAD else int(cards[place])
    is_known = row is not None and row < len(judged) and judged[row] != UNREAD
    draw_fate(fate_sentence(view, suspects, row, int(judged[row])) if is_known else "")
    if place is not None:
        draw_card(view, cards, judged, place)
        return
    with st.container(border=True, key="evaluation_card_box"):
        draw_facts("All of them are read." if len(cards) else "There is no review to judge.")
        draw_steps(cards, judged, None)


def deal_sentence(suspects: int, agreements: int) -> str:
    """Say what lies in the cards."""
    drawn = several(agreements, "agreement", "agreements") + " drawn at random"
    if not suspects:
        return f"No review is read otherwise than labelled. The cards are {drawn}: both may still be wrong."
    return (
        f"{several(suspects, 'suspect', 'suspects')}, read otherwise than labelled, the least probable label first; "
        f"dealt among them {drawn}. What the model said, and so which is which, is shown once you have judged. A right "
        "label of a suspect is the model's fault."
    )


def card_place(cards: NDArray[np.int64], judged: Judged) -> int | None:
    """Return the place of the card to show: one that was turned back to, else the first that is not read."""
    asked = recall(PLACE)
    if isinstance(asked, int) and 0 <= asked < len(cards) and judged[cards[asked]] != UNREAD:
        return asked
    unread = np.flatnonzero(judged[cards] == UNREAD)
    return int(unread[0]) if len(unread) else None


def draw_fate(sentence: str) -> None:
    """Draw what became of a card that was judged, or hold its place."""
    shown = escape(sentence) or '<span class="rs-muted">What the model said will stand here.</span>'
    st.html(f'<div class="rs" style="min-height:3em"><p>{shown}</p></div>')


def draw_card(view: Scored, cards: NDArray[np.int64], judged: Judged, place: int) -> None:
    """Draw a text, its label and the three verdicts."""
    row, tokens = int(cards[place]), current_tokens()
    text, label = view.rows.texts[row].as_py(), int(view.results.labels[row])
    colour = (tokens.negative, tokens.positive)[label]
    with st.container(border=True, key="evaluation_card_box"):
        st.html(
            f'<div class="rs"><p>Labelled <b style="font-weight:600;color:{colour}">{LABELS[label]}</b> '
            f'<span class="rs-caption">· review {row:,}, counted from 0</span></p></div>'
        )
        with st.container(height=TEXT_HEIGHT, border=False, key=f"evaluation_card_text_{row}"):
            draw_plain_text(text)
        with st.container(horizontal=True, horizontal_alignment="distribute"):
            with st.container(width="content"):
                draw_fault_buttons(
                    view, view.data.split, row, "evaluation_card", shortcuts=not is_review_opening(),
                    source="suspect" if view.results.wrong[row] else "agreement", is_blind=True,
                )  # fmt: skip
            with st.container(width="content"):
                draw_steps(cards, judged, place)


def draw_plain_text(text: str) -> None:
    """Draw a stranger's text in serif, with no mark of what the model made of it."""
    shown = text[:SHOWN_CHARACTERS]
    body = highlight(shown, (), current_tokens()) if shown.strip() else '<span class="rs-muted">No text.</span>'
    st.html(f'<div class="rs rs-review">{body}</div>')
    if len(text) > len(shown):
        draw_caption(f"The first {SHOWN_CHARACTERS:,} of {len(text):,} characters.")


def draw_steps(cards: NDArray[np.int64], judged: Judged, place: int | None) -> None:
    """Draw the way back to cards that were judged, and forward again."""
    end = len(cards) if place is None else place
    read = np.flatnonzero(judged[cards[:end]] != UNREAD)
    has_shortcuts = not is_review_opening()
    with st.container(horizontal=True):
        st.button(
            "Back", key="evaluation_card_back", type="tertiary", shortcut="ArrowLeft" if has_shortcuts else None,
            disabled=not len(read), on_click=remember, args=(PLACE, int(read[-1]) if len(read) else None),
        )  # fmt: skip
        if place is not None and judged[cards[place]] != UNREAD:
            st.button(
                "Go on", key="evaluation_card_on", type="tertiary", shortcut="ArrowRight" if has_shortcuts else None,
                on_click=remember, args=(PLACE, place + 1),
            )  # fmt: skip


def is_review_opening() -> bool:
    """Tell whether a review is open in the drawer, or its row was just clicked: the drawer then takes the keys."""
    if choices.open_row() is not None:
        return True
    event = recall(f"evaluation_table_{recall('evaluation_opened', 0)}")
    return bool(event and (event["selection"].get("rows") or event["selection"].get("cells")))


def draw_fault_buttons(
    view: Scored,
    split: str,
    row: int,
    key: str,
    shortcuts: bool,
    source: Source | None = None,
    is_blind: bool = False,
) -> None:
    """Draw the verdicts on a review's label, the one that holds marked; to press that takes it back.

    Args:
        view: What the page shows.
        split: The view's split, or "train" for a training review that stands beside it.
        row: Of that split, as the view's config cuts it.
        key: Names the widgets.
        shortcuts: Whether the keys 1, 2 and 3 press them.
        source: How the reader came to it; found from the split when not given.
        is_blind: Whether what the model said of it is hidden.
    """
    chosen = load_split(view.data.config, split)
    base, rows = load_base_rows(view.data.config, split)
    label, base_row = int(chosen.labels[row]), row if rows is None else int(rows[row])
    try:
        known = load_label_reviews(verdicts_home(view)).get((base, base_row))
    except ReviewscopeError as error:
        draw_caption(f"Labels cannot be judged now. {error}")
        return
    fault = known.fault if known is not None and known.label == label else ""
    is_suspect = split == view.data.split and not is_blind and bool(view.results.wrong[row])
    words = FAULTS if is_suspect else OF_LABEL
    came = source or ("drawer" if split == view.data.split else "neighbour")
    review = LabelReview(
        split=base, row=base_row, label=1 if label else 0, fault="", source=came, model_sha256=view.sha256, time=0.0
    )
    with st.container(horizontal=True):
        for name, title in words.items():
            is_chosen = name == fault
            st.button(
                title, key=f"{key}_{name}", icon=":material/check:" if is_chosen else None,
                shortcut=SHORTCUTS[name] if shortcuts else None,
                help="Take this verdict back." if is_chosen else None,
                on_click=partial(keep_verdict, verdicts_home(view), review, "" if is_chosen else name),
                args=(row,) if is_blind else (),
            )  # fmt: skip


def keep_verdict(home: str, review: LabelReview, fault: Fault | Literal[""], card: int | None = None) -> None:
    """Write a verdict down; of a card, go on to the next."""
    try:
        add_review(home, review.model_copy(update={"fault": fault, "time": time.time()}))
    except ReviewscopeError as error:
        remember(REFUSED, str(error))
        return
    if card is not None:
        forget(PLACE)
        remember(LAST, card if fault else None)


def fate_sentence(view: Scored, suspects: Suspects, row: int, judged: int) -> str:
    """Say what became of a card that was judged: what the model said, and whose fault it is."""
    results = view.results
    label, verdict = LABELS[results.labels[row]], LABELS[results.verdicts[row]]
    said = {LABEL_RIGHT: "label is right", LABEL_WRONG: "label is wrong", CANNOT_TELL: "cannot tell"}[judged]
    begin = f"Review {row:,}, labelled {label}, judged: {said}."
    if not results.wrong[row]:
        end = {LABEL_RIGHT: "both are right", LABEL_WRONG: "both are wrong", CANNOT_TELL: "it is left out of the score"}
        return f"{begin} The model read it as {verdict} too: {end[judged]}."
    place = np.flatnonzero(suspects.rows == row)
    given = f", giving its label {percent(float(suspects.probabilities[place[0]]))}" if len(place) else ""
    end = {LABEL_RIGHT: "its fault", LABEL_WRONG: "the label's fault", CANNOT_TELL: "it is left out of the score"}
    return f"{begin} The model read it as {verdict}{given}: {end[judged]}."


def draw_scores(view: Scored, found: Adjudication, selection: Selection) -> None:
    """Draw the raw and the adjudicated score side by side, how they came about, and the reviews that were judged."""
    draw_chart_title(score_finding(found), "Accuracy by the labels as they are, and by those that were judged.")
    raw, adjudicated = st.columns(2)
    low, high = wilson_interval(found.agreements, found.n)
    raw.metric(
        "By the labels", percent(found.raw), delta=interval_text(low, high), delta_color="off", delta_arrow="off",
        help=f"{found.agreements:,} of {found.n:,} reviews; 95 % interval: Wilson.",
    )  # fmt: skip
    chip = "nothing read yet"
    if found.interval is not None:
        chip = interval_text(*found.interval)
    elif is_begun(found):
        chip = "at most, as far as read"
    adjudicated.metric(
        "Adjudicated", percent(found.value if is_begun(found) else None), delta=chip, delta_color="off",
        delta_arrow="off", help=f"95 % interval: {METHOD}." if found.interval is not None else None,
    )  # fmt: skip
    draw_caption(score_sentence(found))
    with st.container(horizontal=True):
        for fault, title in FAULTS.items():
            count = {
                "model": found.suspects.right, "label": found.suspects.wrong + found.seen.wrong,
                "unsure": found.suspects.unsure + found.seen.unsure,
            }[fault]  # fmt: skip
            chosen = selection.fault == fault
            st.button(
                f"{title} · {count:,}", key=f"evaluation_fault_door_{fault}", type="tertiary", disabled=not count,
                icon=":material/filter_alt:" if chosen else None, help="List them below.",
                on_click=open_fault, args=(fault,),
            )  # fmt: skip


def open_fault(fault: str) -> None:
    """Filter by a reader's verdict; a second click takes the filter away."""
    selection = choices.selection_from_url()
    chosen = Selection() if selection.fault == fault else Selection(fault=fault, only_wrong=False)
    choices.selection_to_url(chosen)


def is_begun(found: Adjudication) -> bool:
    """Tell whether any label was judged."""
    return found.suspects.n + found.seen.n > 0


def score_finding(found: Adjudication) -> str:
    """Say what judged labels make of the score."""
    if not is_begun(found) or found.value is None:
        return "What judged labels make of the score"
    if not found.is_estimate:
        return f"Adjudicated, at most {percent(found.value)} as far as read"
    return f"Adjudicated, about {percent(found.value)}"


def score_sentence(found: Adjudication) -> str:
    """Say how the adjudicated score came about, and what is not known yet."""
    if not is_begun(found):
        return "It will stand beside the raw score as soon as a label is judged."
    suspects, sample = found.suspects, found.sample
    left, unsure = found.disagreements - suspects.n, suspects.unsure + found.seen.unsure
    said = ["No suspect's label is judged wrong yet."]
    if suspects.wrong:
        right = several(suspects.wrong, "suspect's label is wrong: it counts", "suspects' labels are wrong: they count")
        said = [f"{right} as right."]
    if unsure:
        said.append(several(unsure, "label cannot be told and is", "labels cannot be told and are") + " left out.")
    if left:
        said.append(
            several(left, "suspect not read yet still counts", "suspects not read yet still count") + " as wrong."
        )
    if found.is_estimate and found.agreements:
        said.append(
            f"Of {sample.decided:,} agreements drawn at random {several(sample.wrong, 'has', 'have')} a wrong label; "
            f"their share is taken for all {found.agreements:,}. The interval says how far those not read are unknown."
        )
    elif found.agreements:
        if found.seen.wrong:
            said.append(several(found.seen.wrong, "agreement's label is", "agreements' labels are") + " wrong too.")
        need = min(LEAST_AGREEMENTS, found.agreements)
        said.append(
            f"Agreements whose label is wrong can only lower it: {sample.n:,} of {need:,} are read that turn it into "
            "an estimate."
        )
    return " ".join(said)


def several(count: int, one: str, many: str) -> str:
    """Return a count and what of: "1 label is", "3 labels are"."""
    return f"{count:,} {one if count == 1 else many}"


def draw_corrections(view: Scored) -> None:
    """Draw the new version of the training set that verdicts on training reviews make."""
    came = load_as_it_came(view.data.config)
    home = verdicts_home(view)
    changes = propose_changes(load_label_reviews(home), came["train"].labels)
    count = f"{len(changes):,} label{'' if len(changes) == 1 else 's'}"
    draw_chart_title(
        f"{count} of the training set judged wrong" if changes else "No label of the training set is judged wrong yet",
        "Verdicts on validation reviews, which are cut from train, and on nearest training reviews make a corrected "
        "training set. Verdicts on test never do.",
    )
    if not changes:
        return
    draft = Corrections(base_fingerprint=home, fingerprint="", changes=changes)
    if not draft.file.exists():
        st.button(
            f"Make a corrected training set ({count} changed)", key="evaluation_correct",
            on_click=correct, args=(view,),
        )  # fmt: skip
        return
    try:
        made = find_corrections(draft.corrections_id)
    except DataError as error:
        with failed_box("corrections", str(error), "The verdicts are kept."):
            st.button("Make it again", key="evaluation_correct", on_click=correct, args=(view,))
        return
    draw_facts(f"{made.corrections_id}: {count} changed, fingerprint {made.fingerprint[:12]}.")
    if made.corrections_id == view.data.config.data.corrections:
        draw_caption(f"{view.model.name} was trained on it.")
    with st.container(horizontal=True):
        if st.button("Train on it", key="evaluation_train_corrected"):
            st.switch_page("../pages/training.py", query_params=training_parameters(view, made.corrections_id))
        st.download_button(
            "Change list", made.model_dump_json(indent=2), key="evaluation_change_list", on_click="ignore",
            file_name=f"corrections-{made.corrections_id}.json", mime="application/json", icon=":material/download:",
        )  # fmt: skip


def correct(view: Scored) -> None:
    """Make the corrected training set."""
    try:
        make_corrections(load_as_it_came(view.data.config), load_label_reviews(verdicts_home(view)))
    except ReviewscopeError as error:
        remember(REFUSED, str(error))


def training_parameters(view: Scored, corrections_id: str) -> dict[str, str]:
    """Return what the training page's URL needs to train on corrected data; a run on it gives its settings too."""
    found = data_parameters(view.data.config) | {"corrections": corrections_id}
    is_own = view.model.config.data.source == view.data.config.data.source and view.model.reference != "starter"
    found |= {"from": view.model.reference} if is_own else {}
    return {name: value for name, value in found.items() if value is not None}


def draw_exchange(view: Scored) -> None:
    """Draw how verdicts are taken elsewhere and brought back."""
    home = verdicts_home(view)
    count = len(load_label_reviews(home))
    with st.expander("Take the verdicts elsewhere, or bring some"):
        draw_caption(
            "Verdicts belong to the data, not to the model: every run on the same data finds them. The file names "
            "reviews by their place and holds no text."
        )
        st.download_button(
            f"Export {count:,} verdict{'' if count == 1 else 's'}", partial(export_reviews, home), on_click="ignore",
            key="evaluation_export_verdicts", file_name=f"verdicts-{home[:12]}.jsonl", mime="application/jsonl",
            icon=":material/download:", disabled=not count,
        )  # fmt: skip
        generation = recall(GENERATION, 0)
        st.file_uploader(
            "Import verdicts", type="jsonl", key=f"evaluation_verdicts_{generation}", max_upload_size=20,
            on_change=take_verdicts, args=(view, f"evaluation_verdicts_{generation}"),
        )  # fmt: skip
        if message := recall(IMPORTED):
            forget(IMPORTED)
            draw_caption(message)


def take_verdicts(view: Scored, key: str) -> None:
    """Import the file that was dropped."""
    file = recall(key)
    if file is None:
        return
    remember(GENERATION, recall(GENERATION, 0) + 1)
    try:
        found = import_reviews(verdicts_home(view), load_as_it_came(view.data.config), file.read())
    except ReviewscopeError as error:
        remember(REFUSED, str(error))
        return
    kept = f", {found.kept:,} left out that are here already or were judged later here" if found.kept else ""
    remember(IMPORTED, f"{found.added:,} verdict{'' if found.added == 1 else 's'} taken up{kept}.")
