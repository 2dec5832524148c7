"""The entry: page config and navigation, nothing else. ``streamlit run dashboard/app.py`` works too."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # Streamlit adds only this file's folder
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from dashboard.components import draw_stylesheet  # noqa: E402
from dashboard.running_line import draw_running_line  # noqa: E402

PAGES = {
    "home": st.Page(ROOT / "pages" / "home.py", title="Home", icon=":material/home:", default=True),
    "data": st.Page(ROOT / "pages" / "data.py", title="Data", icon=":material/table_view:"),
    "training": st.Page(ROOT / "pages" / "training.py", title="Training", icon=":material/model_training:"),
    "runs": st.Page(ROOT / "pages" / "runs.py", title="Runs", icon=":material/format_list_bulleted:"),
    "evaluation": st.Page(ROOT / "pages" / "evaluation.py", title="Evaluation", icon=":material/grid_view:"),
    "prediction": st.Page(ROOT / "pages" / "prediction.py", title="Prediction", icon=":material/rate_review:"),
}

FAVICON = str(ROOT / "dashboard" / "static" / "favicon.svg")
st.set_page_config(page_icon=FAVICON, layout="wide")
page = st.navigation(list(PAGES.values()), position="top")
st.set_page_config(page_title=f"{page.title} · Reviewscope")
st.logo(FAVICON)
draw_stylesheet()
if page is not PAGES["training"]:
    draw_running_line()
page.run()
