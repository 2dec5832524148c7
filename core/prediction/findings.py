"""What the charts of a scored table show, as their titles say it."""

import pandas as pd

from core.charts.bulk_groups import group_name
from core.prediction.star_agreement import StarAgreement
from core.prediction.summary import change_over_time
from core.wording import interval_text, percent

LONGEST_NAME = 60


def groups_finding(frame: pd.DataFrame, whole: float | None) -> str:
    """Say which group is clearly liked least, or most, or that none differs; ``frame`` is of ``share_by_group``."""
    alone = frame[frame["pooled"] == 0]
    if alone.empty or whole is None:
        return "No value has rows enough to stand alone"
    last, first = alone.iloc[-1], alone.iloc[0]
    if last["high"] < whole:
        return f"Least positive: {group_name(last['group'], 0)[:LONGEST_NAME]}, {percent(last['share'], 0)}"
    if first["low"] > whole:
        return f"Most positive: {group_name(first['group'], 0)[:LONGEST_NAME]}, {percent(first['share'], 0)}"
    return "No group differs clearly from all together"


def time_finding(frame: pd.DataFrame) -> str:
    """Say whether the share moved between the halves of the time, or chance explains it."""
    change = change_over_time(frame)
    if change is None:
        return "Too short a time to compare"
    earlier, later = percent(change.earlier, 0), percent(change.later, 0)
    halves = f"from {earlier} in the first half to {later} in the second"
    if earlier == later:
        halves = f"{later} in both halves"
    if change.low <= 0 <= change.high:
        return f"No clear change: {halves}"
    return f"{'Fell' if change.later < change.earlier else 'Rose'} {halves}"


def agreement_finding(found: StarAgreement) -> str:
    """Say how often stars and text agree."""
    if found.share is None or found.interval is None:
        return "No row has both clear stars and a sure score"
    return f"Stars and text agree in {percent(found.share)} ({interval_text(*found.interval)})"
