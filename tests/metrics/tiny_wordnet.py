"""A WordNet of a few words, in the format of its files (`wndb(5WN)`)."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

SYNSETS: dict[str, list[list[str]]] = {
    "noun": [["effusion", "gush", "outburst"], ["lung"], ["heart", "pump", "ticker"], ["heart", "bosom"], ["axis"], ["ax", "axe"],
             ["pleural_space"], ["knife"], ["woman"], ["ABO_blood_group_system", "ABO_system", "ABO_group"]],
    "verb": [["pump"], ["enlarge", "magnify", "blow_up"], ["go", "travel"], ["see", "view"]],
    "adj": [["large", "big"], ["minor(ip)", "little(a)", "small"], ["enlarged", "hypertrophied"]],
    "adv": [["mildly", "gently"]],
}  # fmt: skip
EXCEPTIONS = {
    "noun": ["axes axis", "axes ax", "knives knife", "women woman"], "verb": ["saw see", "went go"], "adj": [], "adv": ["best well"]
}  # fmt: skip
"""Sorted; of two lines of one form, the last counts."""
_LICENCE = "  1 The first lines of every file begin with two blanks.  \n"
_TYPES = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}


def make(folder: Path) -> Path:
    """Write the files into `folder`, with those that only nltk's reader asks for."""
    for part, synsets in SYNSETS.items():
        data, offsets = _LICENCE, defaultdict(list)
        for words in synsets:
            for word in words:
                offsets[word.partition("(")[0].lower()].append(len(data))
            fields = " ".join(f"{word} 0" for word in words)
            frames = " 01 + 02 00" if part == "verb" else ""
            data += f"{len(data):08} 00 {_TYPES[part]} {len(words):02x} {fields} 000{frames} | a gloss  \n"
        lines = [
            f"{lemma} {_TYPES[part]} {len(at)} 0 {len(at)} 0 {' '.join(f'{each:08}' for each in at)}  \n"
            for lemma, at in sorted(offsets.items())
        ]
        (folder / f"data.{part}").write_text(data, "ascii")
        (folder / f"index.{part}").write_text(_LICENCE + "".join(lines), "ascii")
        # A file without a line cannot be mapped; WordNet's own have some.
        (folder / f"{part}.exc").write_text("".join(f"{line}\n" for line in EXCEPTIONS[part]) or "zzz zz\n", "ascii")
    (folder / "lexnames").write_text("00\tnoun.Tops\t1\n", "ascii")
    (folder / "cntlist.rev").write_text("", "ascii")
    (folder / "index.sense").write_text("", "ascii")
    return folder
