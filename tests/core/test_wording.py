"""How things are written."""

from core.wording import excerpt


def test_an_excerpt_is_one_short_line() -> None:
    assert excerpt("a\n\n b\t c", 200) == "a b c"
    assert excerpt("word " * 100, 200) == ("word " * 100)[:200] + "…"
    assert excerpt("", 200) == ""
    assert excerpt("a" + " " * 10_000 + "b", 200) == "a…", "what was not read is not left out in silence"


def test_an_excerpt_has_a_blank_for_line_breaks_of_html() -> None:
    assert excerpt("The end.<br /><br>Or not <b>yet</b>", 200) == "The end. Or not <b>yet</b>"
