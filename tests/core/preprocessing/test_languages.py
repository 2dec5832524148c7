"""Languages are guessed from small words and scripts; what is unclear stays so."""

import pyarrow as pa
import pytest

from core.preprocessing.languages import NAMES, SMALL_WORDS, UNCLEAR, guess_languages

SENTENCES = {
    "English": "The kettle was loud, and I have not used it for a week.",
    "German": "Der Kessel ist sehr laut, und ich habe ihn nicht mit auf die Reise genommen.",
    "French": "La bouilloire est très belle, mais elle ne chauffe pas et je suis déçu.",
    "Spanish": "La tetera es muy bonita, pero no funciona con el cable y se rompe.",
    "Italian": "Il bollitore è molto bello, ma non funziona e la spina si rompe.",
    "Portuguese": "A chaleira é muito bonita, mas não funciona e o cabo foi para o lixo.",
    "Dutch": "De ketel is heel mooi, maar het deksel sluit niet en ik ben er niet blij mee.",
    "Polish": "Czajnik jest bardzo ładny, ale nie działa i już się do tego nie nadaje.",
    "Swedish": "Kokaren är mycket fin, men jag kan inte använda den och det är synd.",
    "Danish": "Kedlen er meget fin, men jeg kan ikke bruge den, og det er ærgerligt for mig.",
    "Turkish": "Su ısıtıcısı çok güzel ama bir ay sonra bozuldu ve bu benim için kötü.",
    "Indonesian": "Ceret ini sangat bagus, tetapi tidak bisa dipakai dan saya kecewa dengan itu.",
    "Cyrillic letters": "Чайник очень красивый, но не работает.",
    "Greek letters": "Ο βραστήρας είναι όμορφος αλλά δεν λειτουργεί.",
    "Arabic letters": "الغلاية جميلة جدا لكنها لا تعمل.",
    "Hebrew letters": "הקומקום יפה מאוד אבל לא עובד.",
    "Indian letters": "केतली बहुत सुंदर है लेकिन काम नहीं करती।",
    "Thai letters": "กาต้มน้ำสวยมากแต่ใช้งานไม่ได้",
    "Korean letters": "주전자는 아주 예쁘지만 작동하지 않아요.",
    "Chinese or Japanese characters": "水壶很漂亮，但是不能用。",
}


def guess(*texts: str) -> list[str | None]:
    found = guess_languages(pa.array(texts, pa.large_string()))
    return [None if place == UNCLEAR else NAMES[place] for place in found]


@pytest.mark.parametrize("name", NAMES)
def test_every_language_and_script_is_told_from_one_sentence(name: str) -> None:
    assert guess(SENTENCES[name]) == [name]
    assert guess(SENTENCES[name].upper().replace("İ", "I")) == [name] or name == "Turkish"


def test_a_text_without_small_words_is_unclear() -> None:
    assert guess("", "Great!", "5/5", "Loud kettle", "xqz wvk", "!!! ???") == [None] * 6


def test_one_small_word_among_many_others_says_nothing() -> None:
    assert guess("the kettle", "and " + "kettle " * 30 + "the") == [None, None]


def test_html_is_no_language() -> None:
    assert guess("<the><and> kettle") == [None]


def test_a_foreign_name_in_an_english_text_does_not_make_it_foreign() -> None:
    assert guess("The kettle from Киев was loud and I have not used it for a week.") == ["English"]


def test_no_text_gives_no_guess() -> None:
    assert guess() == []


def test_small_words_are_lower_case_and_stand_once() -> None:
    for words in SMALL_WORDS.values():
        assert len(set(words.split())) == len(words.split()) and words == words.lower()
