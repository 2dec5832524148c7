"""Colours by meaning, in light and dark. A coloured pixel says one of these things and nothing else."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tokens:
    """The colours of one theme; ``*_tint`` is the background behind text of that colour."""

    paper: str
    panel: str
    line: str
    text: str
    muted: str
    negative: str
    negative_tint: str
    positive: str
    positive_tint: str
    not_sure: str
    not_sure_tint: str
    wrong: str
    wrong_tint: str
    quiet: str
    quiet_tint: str
    valid: str
    valid_tint: str
    run_b: str


LIGHT = Tokens(
    paper="#FCFBF8", panel="#F4F2EC", line="#E3DFD5", text="#1C2530", muted="#5B6470",
    negative="#B23A12", negative_tint="#F9E7DF", positive="#1F66B0", positive_tint="#E4EEF8",
    not_sure="#B08A12", not_sure_tint="#F7EFD3", wrong="#A11D5E", wrong_tint="#F8E4EE",
    quiet="#87929E", quiet_tint="#EFEDE6", valid="#0B7268", valid_tint="#DFF0ED",
    run_b="#7A4FC9",
)  # fmt: skip
DARK = Tokens(
    paper="#14181D", panel="#1D232A", line="#2F3740", text="#ECE8DF", muted="#A3ACB7",
    negative="#E8703A", negative_tint="#3A2116", positive="#63A8EE", positive_tint="#172A3E",
    not_sure="#F2DC8C", not_sure_tint="#332D18", wrong="#F58BBB", wrong_tint="#3A1A2A",
    quiet="#66717D", quiet_tint="#262D35", valid="#4FCBBB", valid_tint="#12302D",
    run_b="#AE90F0",
)  # fmt: skip
