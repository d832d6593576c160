"""Random annotations: few words and labels, so that pairs have much in common."""

from __future__ import annotations

from hypothesis import strategies as st

from metrics.radgraph.annotation import Annotation, Entity

_words = st.sampled_from(
    ["heart", "Heart", "effusion", "Effusion", "EFFUSION", "left", "small left", "Straße", "STRASSE"]
)
_labels = st.sampled_from(["ANAT-DP", "OBS-DP", "OBS-DA"])
_types = st.sampled_from(["modify", "located_at"])


@st.composite
def _annotations(draw: st.DrawFn) -> Annotation:
    count = draw(st.integers(0, 7))
    relations = st.lists(st.tuples(_types, st.integers(0, max(0, count - 1))), max_size=2)
    entities = (Entity(draw(_words), draw(_labels), i, i, tuple(draw(relations))) for i in range(count))
    return Annotation(draw(_words), tuple(entities))


annotations = _annotations()
