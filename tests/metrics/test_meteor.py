"""METEOR and its synonyms equal nltk's, which reads the same files with its own reader."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.data import distinct_pairs
from metrics.meteor import Meteor
from metrics.wordnet import FILES, NoWordNet, WordNet
from reward_service.components import registry
from reward_service.errors import ConfigurationError
from tests.metrics import tiny_wordnet
from tests.needs import is_missing

INSTALLED = Path("/usr/share/wordnet")
PAIRS = [
    ("The heart is big.", "The pump is large."),
    ("Large outbursts in both lungs.", "Big effusion in the lung."),
    ("The women saw it go.", "A woman can view what went."),
    ("Lungs are clear. Heart is enlarged.", "Heart is hypertrophied. Lungs are clear."),
    ("Axes of little knives.", "Axis of a minor knife. Axe."),
    ("", "The heart is big."),
    ("The heart is big.", ""),
    ("", ""),
    ("é ﬁ 心", "é ﬁ 心 ABO_group"),
    ("No word agrees", "xylophone"),
]
WORDS = ["axes", "knives", "women", "saw", "sees", "seeing", "pumped", "larger", "biggest", "littlest", "mildly", "men", "s", "",
         "abo_system", "abo_group", "hearts", "best", "went", "é", "(a)"]  # fmt: skip
NLTK = """
import io, json, sys
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.translate.meteor_score import single_meteor_score

class Reader(WordNetCorpusReader):
    def open(self, file):  # Debian's package has no table of the lexicographers' files, and METEOR asks for none
        return io.StringIO("".join(f"{i:02}\\tx\\t1\\n" for i in range(45))) if file == "lexnames" else super().open(file)
    def map_wn(self, *_):
        return None

folder, pairs, words = json.load(sys.stdin)
reader = Reader(folder, None)
scores = [single_meteor_score(reference, candidate, wordnet=reader) for candidate, reference in pairs]
synonyms = [sorted({l.name() for s in reader.synsets(w) for l in s.lemmas() if "_" not in l.name()}) for w in words]
print(json.dumps([scores, synonyms]))
"""


def by_nltk(folder: Path, pairs: list[tuple[str, str]], words: list[str]) -> Any:
    """Scores and synonyms of nltk in a process of its own, because it reads only below the folders of `NLTK_DATA`."""
    tokens = [[text.lower().replace(".", " .").split() for text in pair] for pair in pairs]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", NLTK],
        input=json.dumps([str(folder), tokens, words]),
        env={**os.environ, "NLTK_DATA": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def scores(metric: Meteor, pairs: list[tuple[str, str]]) -> list[float]:
    made = metric.compare(metric.encode([c for c, _ in pairs]), metric.encode([r for _, r in pairs]))
    return [one.values["meteor"] for one in made]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_wordnet.make(tmp_path_factory.mktemp("wordnet"))


def test_it_equals_nltk_on_a_few_words(tiny: Path) -> None:
    expected, synonyms = by_nltk(tiny, PAIRS, WORDS)
    assert scores(Meteor(str(tiny)), PAIRS) == expected
    wordnet = WordNet(str(tiny))
    assert [sorted(wordnet.synonyms(word)) for word in WORDS] == synonyms


def test_a_synonym_and_a_stem_are_found(tiny: Path) -> None:
    """Lavie and Agarwal 2007: F = P R / (.9 P + .1 R), penalty .5 (chunks / matches)^3. All four match in one run."""
    assert scores(Meteor(str(tiny)), [("pump is small .", "hearts is minor .")]) == [1 - 0.5 / 4**3]


def test_synonyms_are_those_of_stems(tiny: Path) -> None:
    """As nltk has it: "large" is "larg" by then, so that three of four match, in two runs."""
    assert scores(Meteor(str(tiny)), [("pump is big .", "heart is large .")]) == [0.75 * (1 - 0.5 * (2 / 3) ** 3)]


def test_it_equals_nltk_with_wordnet_itself() -> None:
    if not INSTALLED.is_dir():
        is_missing("WordNet", "apt-get install wordnet-base")
    pairs = distinct_pairs(500, synthetic=True)[0]
    words = sorted({word for pair in pairs for text in pair for word in text.lower().replace(".", " ").split()})
    expected, synonyms = by_nltk(INSTALLED, pairs, words)
    assert scores(Meteor(), pairs) == expected
    wordnet = WordNet(str(INSTALLED))
    assert [sorted(wordnet.synonyms(word)) for word in words] == synonyms


def test_the_example_of_nltk() -> None:
    """From the docstring of `nltk.translate.meteor_score.single_meteor_score`."""
    if not INSTALLED.is_dir():
        is_missing("WordNet", "apt-get install wordnet-base")
    candidate = "It is a guide to action which ensures that the military always obeys the commands of the party"
    reference = "It is a guide to action that ensures that the military will forever heed Party commands"
    assert round(scores(Meteor(), [(candidate, reference)])[0], 4) == 0.6944


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = tiny_wordnet.make(tmp_path)
    (folder / name).unlink()
    with pytest.raises(NoWordNet, match=rf"{name} is no file of WordNet \(No such file or directory\)"):
        Meteor(str(folder))


def test_the_message_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"package wordnet-base; .* set REWARD_WORDNET\.$"):
        registry.build("meteor", {"wordnet": str(tmp_path)})


def test_other_files_are_another_metric(tmp_path: Path, tiny: Path) -> None:
    other = tiny_wordnet.make(tmp_path)
    with (other / "adv.exc").open("a", encoding="ascii") as file:
        file.write("worse badly\n")
    assert Meteor(str(other)).manifest() != Meteor(str(tiny)).manifest()
