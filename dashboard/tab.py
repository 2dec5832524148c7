"""The browser's tab: its title says how a run goes, and it can notify when the run has ended.

The component below is trusted code of ours and constant; what it shows of a run reaches it as data and becomes text.
"""

import streamlit as st

from core.job_folder import Status
from core.wording import percent
from dashboard.run_snapshot import Snapshot

APP = "Reviewscope"
LONGEST_NAME = 60
MARKS: dict[Status, str] = {
    "running": "●", "queued": "○", "paused": "‖", "finished": "✓", "stopped": "■", "failed": "✗", "interrupted": "✗",
}  # fmt: skip
ENDINGS: dict[Status, str] = {
    "finished": "has finished", "stopped": "was stopped", "failed": "has failed", "interrupted": "was interrupted",
    "paused": "is paused",
}  # fmt: skip

HTML = """<label hidden><input type="checkbox"><span></span></label>"""
CSS = """
label { align-items: center; color: var(--st-text-color); cursor: pointer; display: inline-flex; gap: 0.5em;
  font: 400 0.875rem/1.6 var(--st-font); }
label[hidden] { display: none; }
input { accent-color: var(--st-primary-color); height: 1em; margin: 0; width: 1em; }
input:disabled + span { opacity: 0.6; }
"""
# The wish is kept by the tab under the run's id, so that it outlives a reload and the redraw at the run's end.
JS = """
export default function ({ data, parentElement }) {
  const label = parentElement.querySelector("label");
  const box = parentElement.querySelector("input");
  const words = parentElement.querySelector("span");
  const wish = "reviewscope-notify:" + data.run;
  const can = "Notification" in window && window.isSecureContext;
  const show = () => {
    const blocked = !can || Notification.permission === "denied";
    label.hidden = Boolean(data.ended);
    box.disabled = blocked;
    box.checked = !blocked && sessionStorage.getItem(wish) === "yes";
    words.textContent = blocked ? "This browser blocks notifications" : "Notify me when it ends";
  };
  box.onchange = async () => {
    sessionStorage.removeItem(wish);
    if (box.checked && (await Notification.requestPermission()) === "granted") sessionStorage.setItem(wish, "yes");
    show();
  };
  if (data.ended && sessionStorage.getItem(wish) === "yes") {
    sessionStorage.removeItem(wish);
    if (can && Notification.permission === "granted") new Notification(data.title, { body: data.ended });
  }
  show();
}
"""
_notifier = st.components.v2.component("reviewscope.notifier", html=HTML, css=CSS, js=JS)


def name_tab(shot: Snapshot) -> None:
    """Write the run's state into the tab's title; works inside a fragment too."""
    st.set_page_config(page_title=tab_title(shot))


def tab_title(shot: Snapshot) -> str:
    """Return the tab's title: a mark, how far or how good, and the name."""
    words = [MARKS[shot.state.status]]
    if shot.status in ("running", "paused"):
        words.append(percent(shot.share_done, 0))
    elif shot.status == "finished" and shot.result is not None and shot.result.valid_accuracy is not None:
        words.append(percent(shot.result.valid_accuracy))
    return " ".join([*words, shot.about.name[:LONGEST_NAME]]) + f" · {APP}"


def draw_notifier(shot: Snapshot) -> None:
    """Draw the box that asks for a notification; once the run has ended, it is gone and the notification is shown."""
    ended = ""
    if not shot.is_live:
        accuracy = shot.result.valid_accuracy if shot.result else None
        figure = f", {percent(accuracy)} on validation" if accuracy is not None else ""
        ended = f"{shot.about.name} {ENDINGS[shot.state.status]}{figure}."
    _notifier(key="notifier", data={"run": shot.run.run_id, "title": APP, "ended": ended}, width="content")
