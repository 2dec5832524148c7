"""Models of strangers in: checked, tried in a process of their own, kept under their SHA-256."""

import shutil
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.default_model import default_model, use_model
from core.errors import ReviewscopeError
from core.prediction.exchange import import_model
from core.runs import clean_name, imported_model_file
from dashboard.components import ago, draw_caption, draw_chart_title, draw_facts, failed_box, file_size
from dashboard.state import recall, remember

SHOWN_ID = 12
LONGEST_NAME = 60  # characters of up to four bytes, in a file name of at most 255
LARGEST_MODEL_MB = 500


def draw_import() -> None:
    """Draw the button that opens the upload, and what came of the last one."""
    with st.popover("Import a model", icon=":material/upload:", key="runs_import"):
        draw_caption(
            "A .safetensors file that Reviewscope exported. It is checked and tried before it is kept; a .pt or .pth "
            "file can run programs when it is opened and is refused."
        )
        generation = recall("runs_import_generation", 0)
        file = st.file_uploader(
            "Model file", type="safetensors", key=f"runs_import_{generation}", label_visibility="collapsed",
            max_upload_size=LARGEST_MODEL_MB,
        )  # fmt: skip
        if file is not None:
            with st.spinner("Trying it in a process of its own", show_time=True):
                remember("runs_imported", _import(file))
            remember("runs_import_generation", generation + 1)
            st.rerun()
        _draw_outcome()


def _import(file: UploadedFile) -> tuple[bool, str]:
    """Return whether a model was kept, and its id or why not."""
    name = clean_name(Path(file.name).name).strip()[-LONGEST_NAME:] or "model.safetensors"
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder) / name
            with path.open("wb") as target:
                shutil.copyfileobj(file, target)
            return True, import_model(path)
    except ReviewscopeError as error:
        return False, str(error)
    except OSError as error:
        return False, f"The file could not be kept: {error.strerror or error}. Free some disk space."


def _draw_outcome() -> None:
    outcome = recall("runs_imported")
    if outcome is None:
        return
    is_kept, words = outcome
    if not is_kept:
        with failed_box("runs-import", words, "Nothing was imported."):
            draw_caption("Choose another file above.")
        return
    draw_facts(f"Imported as {words[:SHOWN_ID]}. It stands at the end of this page.")


def draw_imported() -> None:
    """Draw the models that came from elsewhere; nothing is drawn when there is none."""
    files = sorted(imported_model_file("").parent.glob("*.safetensors"), key=lambda path: -path.stat().st_mtime)
    if not files:
        return
    draw_chart_title("Imported models", "Named by the beginning of their SHA-256. Tick one to use it for predictions.")
    used = default_model()
    frame = pd.DataFrame(
        {
            "Model": [path.stem[:SHOWN_ID] for path in files],
            "Size": [file_size(path.stat().st_size) for path in files],
            "When": [ago(path.stat().st_mtime) for path in files],
            "Use": ["in use for predictions" if path.stem == used else "" for path in files],
        }
    )
    event = st.dataframe(
        frame, hide_index=True, on_select="rerun", selection_mode="single-row", key=f"runs_imports_{len(files)}",
        row_height=38, height="content" if len(files) <= 6 else 38 * 7, alt="Imported models",
    )  # fmt: skip
    rows = [row for row in event["selection"]["rows"] if row < len(files)]
    if rows and files[rows[0]].stem != used:
        st.button("Use this model", key="runs_use_imported", on_click=partial(use_model, files[rows[0]].stem))
