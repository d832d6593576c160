"""What is known about chest radiographs and how reports speak of them: the YAML files below `knowledge/`.

`concepts/` has a file for each organ system, `cues/` what the words around a finding say of it, `words.yaml` how words
are spelt, `plain.yaml` which words name no finding, `examination.yaml` what tells a report of a chest radiograph from
any other text. This module only reads and joins them; `compiler` gives them their meaning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any, Final

import yaml

_SYSTEMS: Final = ("lungs", "pleura", "heart", "mediastinum", "vessels", "abdomen", "bones", "soft_tissue", "surgery",
                   "devices", "film", "general")  # fmt: skip
_CUES: Final = (
    "assertion",
    "grammar",
    "retraction",
    "history",
    "frames",
    "turns",
    "statement",
    "change",
    "attributes",
    "details",
    "places",
    "headings",
)
WORDS: Final = "words.yaml"
EXAMINATION: Final = "examination.yaml"
_PLAIN: Final = "plain.yaml"
FILES: Final = (
    *(f"concepts/{name}.yaml" for name in _SYSTEMS),
    *(f"cues/{name}.yaml" for name in _CUES),
    WORDS,
    _PLAIN,
    EXAMINATION,
)
"""All files, in the order in which they are joined."""


class LexiconError(ValueError):
    """The files contradict themselves; the message names the entry."""


class Loader(yaml.CSafeLoader):
    """Refuses what plain YAML overwrites in silence, and remembers in which line a cue or concept begins."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        found = super().construct_mapping(node, deep=deep)
        if len(found) < len(node.value):
            keys = [key.value for key, _ in node.value]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise LexiconError(f"line {node.start_mark.line + 1}: {twice!r} stands twice")
        if "phrases" in found:
            found["line"] = node.start_mark.line + 1
        return found


def texts() -> dict[str, str]:
    """The shipped files by name."""
    folder = resources.files("judges.rules") / "knowledge"
    return {name: (folder / name).read_text("utf-8") for name in FILES}


def joined(files: Mapping[str, str]) -> dict[str, Any]:
    """The sections of all files, each entry with its `file` and `line`.

    Raises `LexiconError` when a name stands twice, in one file or in two.
    """
    data: dict[str, Any] = {}
    for file in FILES:
        for section, content in _parsed(file, files[file]).items():
            entries = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
            for entry in entries:
                if isinstance(entry, dict) and "line" in entry:
                    entry["source"] = f"{file}:{entry.pop('line')}"
            known = data.setdefault(section, type(content)())
            if isinstance(content, dict):
                if twice := known.keys() & content.keys():
                    raise LexiconError(f"{file}: {section} {min(twice)!r} stands in another file, too")
                known.update(content)
            else:
                known += content
    return data


def _parsed(file: str, text: str) -> dict[str, Any]:
    try:
        return dict(yaml.load(text, Loader=Loader))
    except (LexiconError, yaml.YAMLError) as error:
        raise LexiconError(f"{file}: {error}") from None


@lru_cache(maxsize=1)
def words() -> dict[str, Any]:
    """`words.yaml`: how words are spelt and what is measured."""
    text = (resources.files("judges.rules") / "knowledge" / WORDS).read_text("utf-8")
    return _parsed(WORDS, text)


def digest(files: Mapping[str, str]) -> str:
    """The SHA-256 of all files, given by name, in hexadecimal digits."""
    made = hashlib.sha256()
    for name in FILES:
        made.update(f"{name}\0{files[name]}\0".encode())
    return made.hexdigest()
