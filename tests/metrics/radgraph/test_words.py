"""Words against the package's own function (MIT, copied here) and the words of 1,000 published reports."""

from __future__ import annotations

import json
import lzma
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.radgraph.words import shown, split
from testbed.radgraph.reports import EMPTY, ODD

DATA = Path(__file__).parent / "data" / "radlabels_words.jsonl.xz"
texts = st.one_of(
    st.text(st.sampled_from(" \n\tab.,:!?()/-%'\"\\nfu2122`"), max_size=40), st.text(max_size=40), st.sampled_from(ODD)
)


def published(report: str, model_type: str) -> list[str]:
    """`preprocess_reports` of radgraph 0.1.18, with nltk's wordpunct as the pattern it has."""
    if model_type == "radgraph":
        return re.sub("(?<! )(?=[/,-,:,.,!?()])|(?<=[/,-,:,.,!?()])(?! )", r" ", report).split()
    for old, new in (("\\n", "  "), ("\\f", "  "), ("\\u2122", "      "), ("\n", " "), ('\\"', "``")):
        report = report.replace(old, new)
    words = " ".join(re.findall(r"\w+|[^\w\s]+", re.sub(r"\s+", " ", report)))
    for old, new in ((").", ") ."), ("%.", "% ."), (".'", ". '"), ("%,", "% ,"), ("%)", "% )")):
        words = words.replace(old, new)
    return words.split()


@given(text=texts, model_type=st.sampled_from(["radgraph", "radgraph-xl"]))
def test_words_are_the_packages(text: str, model_type: str) -> None:
    assert split(text, model_type) == published(text, model_type)


def test_words_of_the_thousand_published_reports() -> None:
    with lzma.open(DATA, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    assert len(rows) == 1000
    assert [name for name, report, words in rows if " ".join(split(report, "modern-radgraph-xl")) != words] == []


@pytest.mark.parametrize(
    ("text", "v1", "xl"),
    [
        ("right-sided, 2.5 cm.", "right-sided , 2 . 5 cm .", "right - sided , 2 . 5 cm ."),
        ("T8/T9 (see above).", "T8 / T9 ( see above ) .", "T8 / T9 ( see above ) ."),
        ("[SEP] /.", "[SEP] / .", "[ SEP ] /."),
        ("50%.", "50% .", "50 % ."),
        ('said \\"x\\" \\n', 'said \\"x\\" \\n', "said `` x ``"),
        ("cm² ½", "cm² ½", "cm² ½"),
    ],
)
def test_words_by_hand(text: str, v1: str, xl: str) -> None:
    assert " ".join(split(text, "radgraph")) == v1
    assert " ".join(split(text, "radgraph-xl")) == xl


@pytest.mark.parametrize("text", EMPTY)
def test_white_space_has_no_words(text: str) -> None:
    assert split(text, "radgraph") == split(text, "radgraph-xl") == []


def test_a_full_stop_after_a_slash_is_shown_without_it() -> None:
    assert [shown(word) for word in ("/.", "/?", "/", ".", "/..", "and/or")] == [".", "?", "/", ".", "/..", "and/or"]
