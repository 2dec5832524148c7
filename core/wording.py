"""How figures are written, on every page, in every chart and in reports."""

DASH = "–"


def percent(share: float | None, digits: int = 1) -> str:
    """Write a share as "92.0 %"; None is a dash."""
    return DASH if share is None else f"{100 * share:.{digits}f} %"


def interval_text(low: float, high: float) -> str:
    """Write an interval of shares as "91.7 to 92.4"."""
    return f"{100 * low:.1f} to {100 * high:.1f}"


def decimal(value: float | None) -> str:
    """Write a number with three decimals; None is a dash."""
    return DASH if value is None else f"{value:.3f}"


def plural(n: int, thing: str) -> str:
    """Write a number of things as "1 review" or "1,204 reviews"."""
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"
