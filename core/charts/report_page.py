"""What every report is made of: one HTML file that needs no server, no network and no other file.

Charts are drawn in the reader's browser by libraries that stand in the file, each once and only where it is needed; the
page forbids itself every outside request.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from core.charts.tokens import LIGHT

# Nothing may be fetched. Vega compiles its expressions, which needs eval.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; img-src data:"
PLOTLY_OPTIONS = {"displaylogo": False, "displayModeBar": False, "responsive": True}


@dataclass
class ReportPage:
    """A report in the making.

    Attributes:
        vega: The Vega-Lite charts so far.
        plotly: The Plotly figures so far, as JSON.
    """

    vega: list[dict[str, Any]] = field(default_factory=list)
    plotly: list[str] = field(default_factory=list)

    def chart(
        self, finding: str, how_to_read: str, key: Iterable[tuple[str, str]], drawn: Iterable[Any], under: str = ""
    ) -> str:
        """Return charts under one title as HTML, and note them for the scripts.

        Args:
            finding: The title; what the charts show.
            how_to_read: How to read them, with their n and interval.
            key: Words and their colours.
            drawn: Altair charts or Plotly figures.
            under: HTML that stands under them.
        """
        words = "".join(f'<span><i style="background:{colour}"></i>{escape(word)}</span>' for word, colour in key)
        places = "".join(self._place(each, finding) for each in drawn)
        return (
            f'<figure><figcaption><h2>{escape(finding)}</h2><p class="note">{escape(how_to_read)}</p>'
            f'<p class="key">{words}</p></figcaption>{places}{under}</figure>'
        )

    def assemble(self, title: str, sections: Iterable[str]) -> str:
        """Return the whole file: the sections, and the scripts that draw their charts."""
        return (
            f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<style>{_style()}</style>\n</head>\n<body>\n<main>\n{''.join(sections)}</main>\n"
            f"{self._vega_scripts()}{self._plotly_scripts()}</body>\n</html>\n"
        )

    def _place(self, drawn: Any, finding: str) -> str:
        label = f'role="img" aria-label="{escape(finding)}"'
        if hasattr(drawn, "to_plotly_json"):
            self.plotly.append(drawn.to_json())
            return f'<div class="chart" id="figure-{len(self.plotly) - 1}" {label}></div>'
        self.vega.append(drawn.to_dict())
        return f'<div class="chart" id="chart-{len(self.vega) - 1}" {label}></div>'

    def _vega_scripts(self) -> str:
        if not self.vega:
            return ""
        drawn = "\n".join(
            f"vegaEmbed('#chart-{place}', {_harmless(json.dumps(spec, allow_nan=False))}, "
            "{actions: false, renderer: 'svg'});"
            for place, spec in enumerate(self.vega)
        )
        return f"<script>{load_vega()}</script>\n<script>{drawn}</script>\n"

    def _plotly_scripts(self) -> str:
        if not self.plotly:
            return ""
        drawn = "\n".join(
            f"{{const drawn = {_harmless(figure)}; "
            f"Plotly.newPlot('figure-{place}', drawn.data, drawn.layout, {json.dumps(PLOTLY_OPTIONS)});}}"
            for place, figure in enumerate(self.plotly)
        )
        return f"<script>{load_plotly()}</script>\n<script>{drawn}</script>\n"


def load_vega() -> str:
    """Return the library that draws Vega-Lite charts, as JavaScript."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def load_plotly() -> str:
    """Return the library that draws Plotly figures, as JavaScript."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = (), serif: int = -1) -> str:
    """Return a table as HTML, every word escaped.

    Args:
        head: The columns' names.
        rows: As wide as the head.
        numbers: Places of columns that stand to the right.
        serif: Place of the column of review texts.
    """

    def cell(place: int, word: str, tag: str) -> str:
        kind = "number" if place in numbers else "review" if place == serif else ""
        name = f' data-name="{escape(head[place])}"' if tag == "td" and serif >= 0 and place != serif else ""
        return f'<{tag} class="{kind}"{name}>{escape(word)}</{tag}>'

    top = "".join(cell(place, word, "th") for place, word in enumerate(head))
    body = "".join(f"<tr>{''.join(cell(place, word, 'td') for place, word in enumerate(row))}</tr>" for row in rows)
    kind = "texts" if serif >= 0 else "figures"
    table = f'<table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="wide">{table}</div>'


def _harmless(script: str) -> str:
    """Return JSON for a script element, which a closing tag or a comment inside a word would end."""
    return script.replace("<", "\\u003c").replace("\u2028", "\\u2028")


def _style() -> str:
    return f"""
:root {{ color-scheme: light; }}
body {{ margin: 0; background: {LIGHT.paper}; color: {LIGHT.text};
  font: 15px/1.5 "Source Sans 3", "Source Sans Pro", system-ui, sans-serif; font-variant-numeric: tabular-nums; }}
main {{ max-width: 1100px; margin: 0 auto; padding: 2rem 1.25rem 3rem; overflow-wrap: anywhere; }}
h1 {{ font-size: 1.75rem; font-weight: 650; margin: 0; line-height: 1.25; }}
h2 {{ font-size: 1.0625rem; font-weight: 600; margin: 0; }}
h3 {{ font-size: 1rem; font-weight: 600; margin: 0; }}
p {{ margin: 0.2rem 0; }}
header p, .note, dt, th {{ color: {LIGHT.muted}; }}
.note, .key {{ font-size: 0.8125rem; }}
section {{ margin-top: 2rem; }}
.pair {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 2rem; }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(180px, 45%), 1fr)); gap: 1rem;
  margin: 0 0 0.8rem; }}
.tiles dd {{ margin: 0; }}
.tiles b {{ display: block; font-size: 1.5rem; font-weight: 600; }}
.tiles span {{ background: {LIGHT.quiet_tint}; border-radius: 1em; padding: 0.1em 0.6em; font-size: 0.8125rem; }}
figure {{ margin: 0; min-width: 0; }}
.chart {{ width: 100%; }}
.key span {{ margin-right: 1.1em; white-space: nowrap; }}
.key i {{ display: inline-block; width: 0.75em; height: 0.75em; border-radius: 2px; margin-right: 0.45em; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; font-size: 0.875rem; margin-top: 0.5rem; }}
th, td {{ text-align: left; padding: 0.35rem 0.6rem; border-bottom: 1px solid {LIGHT.line}; vertical-align: top;
  overflow-wrap: normal; white-space: nowrap; }}
th {{ font-weight: 500; }}
.number {{ text-align: right; }}
td.review {{ font-family: "Source Serif 4", Georgia, serif; font-size: 0.95rem; min-width: 18rem; white-space: normal;
  overflow-wrap: anywhere; }}
footer {{ margin-top: 2rem; }}
summary {{ font-size: 0.8125rem; color: {LIGHT.muted}; cursor: pointer; }}
.rs-key i {{ display: inline-block; width: 0.75em; height: 0.75em; border-radius: 2px; margin-right: 0.45em; }}
.rs-key span {{ margin-right: 1.1em; white-space: nowrap; font-size: 0.8125rem; }}
@media (max-width: 640px) {{ /* a text stands under the facts of its review, as wide as the screen */
  th, td {{ padding-inline: 0.3rem; }}
  table.texts thead {{ display: none; }}
  table.texts tr {{ display: flex; flex-wrap: wrap; column-gap: 1rem; padding: 0.6rem 0;
    border-bottom: 1px solid {LIGHT.line}; }}
  table.texts td {{ border: 0; padding: 0; }}
  table.texts td.review {{ flex: 1 0 100%; min-width: 0; }}
  table.texts td[data-name]::before {{ content: attr(data-name) " "; color: {LIGHT.muted}; }}
}}
@media print {{ section {{ break-inside: avoid; }} }}
"""
