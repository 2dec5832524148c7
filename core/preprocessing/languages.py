"""Which language a text looks like, by its most frequent small words or by its script; a guess, and it says so."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.preprocessing.cleaning import HTML_TAG

# Small words that hardly a text can do without; one that two languages share counts for both.
SMALL_WORDS: Mapping[str, str] = {
    "English": "the and of to in is it that was for with this but are have not you they be at as my on i we so from",
    "German": "der die das und ist nicht ich ein eine es zu mit den von auf für im sich auch war wir sehr aber wie dem",
    "French": "le la les et est un une des que qui pas pour dans ce je il du en avec mais très nous vous sur plus",
    "Spanish": "el la los las y es un una que de no en por con para se lo muy pero como mi su al del más me",
    "Italian": "il la che e è un una di non per con mi si ma gli le del della molto sono questo come ho più anche",
    "Portuguese": "o a os as e é um uma que de não em por com para se muito mas como do da meu eu ao mais foi",
    "Dutch": "de het een en is niet ik van dat met voor op zijn maar er wat ook heel te aan deze bij nog dit mijn",
    "Polish": "i w nie na się jest to z że do jak ale o po co tak za bardzo od tylko już mnie jestem przez",
    "Swedish": "och att det är en ett som på inte jag med för den av till har men så var mycket om vi min",
    "Danish": "og at det er en et som på ikke jeg med for den af til har men så var meget om vi min der",
    "Turkish": "ve bir bu çok da de için ama ne ile gibi daha en ben olarak değil var yok kadar sonra her şey mi",
    "Indonesian": "yang dan di ini itu dengan untuk tidak dari saya ada ke sangat bisa karena juga sudah tapi akan",
}
SCRIPTS: Mapping[str, str] = {
    "Cyrillic letters": r"\p{Cyrillic}",
    "Greek letters": r"\p{Greek}",
    "Arabic letters": r"\p{Arabic}",
    "Hebrew letters": r"\p{Hebrew}",
    "Indian letters": r"\p{Devanagari}|\p{Bengali}|\p{Tamil}|\p{Telugu}",
    "Thai letters": r"\p{Thai}",
    "Korean letters": r"\p{Hangul}",
    "Chinese or Japanese characters": r"\p{Han}|\p{Hiragana}|\p{Katakana}",
}
NAMES = (*SMALL_WORDS, *SCRIPTS)
UNCLEAR = -1
LEAST_WORDS, LEAST_SHARE = 2, 0.1


def guess_languages(texts: pa.Array) -> NDArray[np.int64]:
    """Return the place in ``NAMES`` of the language that each text looks like, int64 (N); ``UNCLEAR`` where none is.

    A text whose letters are mostly of another script than the Latin is named by the script. Else the language wins
    whose small words it holds most often, if there are two at least, they make a tenth of its words, and no other
    language has as many.
    """
    plain = pc.utf8_lower(pc.replace_substring_regex(texts, HTML_TAG, " "))
    found = _by_small_words(plain)
    foreign = pc.count_substring_regex(plain, r"[^\P{L}\p{Latin}]").to_numpy()
    odd = np.flatnonzero(2 * foreign > pc.count_substring_regex(plain, r"\p{L}").to_numpy())
    if len(odd):
        letters = plain.take(pa.array(odd))
        counts = np.stack([pc.count_substring_regex(letters, pattern).to_numpy() for pattern in SCRIPTS.values()])
        found[odd] = np.where(counts.max(axis=0) > 0, len(SMALL_WORDS) + counts.argmax(axis=0), UNCLEAR)
    return found


def _by_small_words(texts: pa.Array) -> NDArray[np.int64]:
    words = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, r"[^\p{L}]+", " ")))
    lengths = np.diff(words.offsets.to_numpy())
    coded = words.flatten().dictionary_encode()
    rows = np.repeat(np.arange(len(texts)), lengths)
    known = [pa.array(small.split(), coded.dictionary.type) for small in SMALL_WORDS.values()]
    is_small = np.stack([pc.is_in(coded.dictionary, value_set=words).to_numpy(False) for words in known])
    held = is_small[:, coded.indices.to_numpy()]
    counts = np.stack([np.bincount(rows[of_one], minlength=len(texts)) for of_one in held])
    ordered = np.sort(counts, axis=0)
    is_clear = (ordered[-1] >= LEAST_WORDS) & (ordered[-1] > ordered[-2]) & (ordered[-1] >= LEAST_SHARE * lengths)
    return np.where(is_clear, counts.argmax(axis=0), UNCLEAR)
