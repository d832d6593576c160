"""A changed program has another hash, the same program written otherwise has not."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reward_service.errors import ConfigurationError
from reward_service.profiles import source_code

ROOT = Path(__file__).parents[3]
PROGRAM = '''
def rate(counts, *, floor=0.25):
    """Say what it does."""
    if not counts:
        return floor
    return f"{sum(counts) / len(counts):.2f} of {counts!r}" if floor < 1 else None
'''
GOLDEN = (
    "(Module body=[(FunctionDef name=4:rate args=(arguments args=[(arg arg=6:counts)] kwonlyargs=[(arg arg=5:floor)] "
    "kw_defaults=[(Constant value=<float 0.25>)]) body=["
    "(If test=(UnaryOp op=(Not) operand=(Name id=6:counts)) body=[(Return value=(Name id=5:floor))])"
    "(Return value=(IfExp test=(Compare left=(Name id=5:floor) ops=[(Lt)] comparators=[(Constant value=<int 1>)]) "
    "body=(JoinedStr values=[(FormattedValue value=(BinOp left=(Call func=(Name id=3:sum) args=[(Name id=6:counts)]) "
    "op=(Div) right=(Call func=(Name id=3:len) args=[(Name id=6:counts)])) conversion=<int -1> "
    "format_spec=(JoinedStr values=[(Constant value=3:.2f)]))(Constant value=4: of )"
    "(FormattedValue value=(Name id=6:counts) conversion=<int 114>)]) orelse=(Constant)))])])"
)


def test_the_canonical_form_is_this_one_in_every_version_of_python() -> None:
    # Written by hand from the rules in the module's docstring; 3.10 to 3.13 gave it, and equal hashes for all our files.
    assert source_code.canonical(PROGRAM).decode() == GOLDEN
    assert hashlib.sha256(GOLDEN.encode()).hexdigest()[:16] == "2bade1d263743b3b"


SAME = {
    "comments and blanks": ("x = a + b", "# about x\n\nx = (a\n     + b)  # sum"),
    "docstrings": ("class A:\n  x: int = 1\n  def f(self): return 1", "class A:\n  'A.'\n  x: int = 1\n  'X.'\n  def f(self):\n    'F.'\n    return 1"),
    "pass": ("if a:\n  'nothing'", "if a:\n  pass"),
    "quotes": ("x = 'a' 'b'", 'x = u"ab"'),
    "numbers": ("x = 1000, 0x10", "x = 1_000, 16"),
    "f-strings": ("x = f'a{b}c' 'd'", "x = f'a' f'{b}' 'cd'"),
    "type checkers": ("x = 1", "if TYPE_CHECKING:\n  import torch\nx = 1"),
}  # fmt: skip
OTHER = {
    "operator": ("x = a + b", "x = a - b"),
    "comparison": ("x = a < b", "x = a <= b"),
    "number": ("x = 1", "x = 1.0"),
    "truth": ("x = 1", "x = True"),
    "small number": ("x = 0.1", "x = 0.10000000000000002"),
    "minus zero": ("x = 0.0", "x = -0.0"),
    "text": ("x = 'a'", "x = 'b'"),
    "bytes": ("x = 'a'", "x = b'a'"),
    "name": ("x = a", "x = b"),
    "order": ("f(a, b)", "f(b, a)"),
    "statements": ("a()\nb()", "b()\na()"),
    "branch": ("if a:\n  b()\nc()", "if a:\n  b()\n  c()"),
    "decorator": ("def f(): return 1", "@cache\ndef f(): return 1"),
    "default": ("def f(a=1): return a", "def f(a=2): return a"),
    "annotation of a field": ("class A:\n  x: int", "class A:\n  x: float"),
    "nothing returned": ("def f(): return None", "def f(): return 0"),
    "conversion": ("x = f'{a!r}'", "x = f'{a!s}'"),
    "format": ("x = f'{a:.1f}'", "x = f'{a:.2f}'"),
    "async": ("def f(): return 1", "async def f(): return 1"),
    "texts that join": ("f('a', 'b')", "f('a, b')"),
}


@pytest.mark.parametrize("pair", SAME.values(), ids=SAME)
def test_the_same_program(pair: tuple[str, str]) -> None:
    assert source_code.canonical(pair[0]) == source_code.canonical(pair[1])


@pytest.mark.parametrize("pair", OTHER.values(), ids=OTHER)
def test_another_program(pair: tuple[str, str]) -> None:
    assert source_code.canonical(pair[0]) != source_code.canonical(pair[1])


def test_imports_are_followed_wherever_they_stand_and_no_further_than_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "__init__": "", "one": "from planted import two\nimport json", "two": "def f():\n  from planted.three import g\n",
        "three": "from . import four\nimport planted.five", "four": "from outside import x", "five": "from .one import f",
        "six": "if TYPE_CHECKING:\n  from planted import one\n", "unused": "",
    }  # fmt: skip
    (tmp_path / "planted").mkdir()
    for name, text in files.items():
        (tmp_path / "planted" / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    reached = {"planted", "planted.one", "planted.two", "planted.three", "planted.four", "planted.five"}
    assert set(source_code.of(["planted.one"], ["planted"])) == reached
    assert set(source_code.of(["planted.one"], ["planted.two"])) == {"planted.one", "planted.two"}
    assert set(source_code.of(["planted.six"], ["planted"])) == {"planted", "planted.six"}
    with pytest.raises(ConfigurationError, match=r"Module 'planted\.none' cannot be found"):
        source_code.of(["planted.none"], ["planted"])


BLEU, ROUGE, RULES = {"bleu2", "bleu4"}, {"rouge1", "rouge2", "rougeL"}, {"rules"}
ENCODED = {"bertscore", "semb_score", "radgraph_f1"}
METRICS = BLEU | ROUGE | ENCODED | {"meteor"}
ALL, LLM, COUNTED = {"text", "llm", "crimson"}, {"llm"}, {"crimson"}
WITH_RULES = {"text", "crimson"}


def moved_by(file: str) -> tuple[set[str], set[str]]:
    """Which component fingerprints a change of code in `file` should move, and which profiles'."""
    exact: dict[str, tuple[set[str], set[str]]] = {
        "metrics/base.py": (METRICS, {"text"}),
        "metrics/ngrams.py": (BLEU | ROUGE, {"text"}),
        "metrics/bleu.py": (BLEU, {"text"}),
        "metrics/rouge.py": (ROUGE, {"text"}),
        "metrics/meteor.py": ({"meteor"}, set()),
        "metrics/wordnet.py": ({"meteor"}, set()),
        "metrics/bertscore.py": ({"bertscore"}, set()),
        "metrics/chexbert.py": ({"semb_score"}, set()),
        "metrics/encoder.py": (ENCODED, set()),
        "metrics/model_folder.py": ({"semb_score"}, set()),
        "metrics/torch_settings.py": (ENCODED, set()),
        "metrics/sub_batches.py": (ENCODED, set()),
        "metrics/radgraph/conversion.py": (set(), set()),
        "judges/base.py": (RULES, ALL),
        "judges/scores.py": (RULES, ALL),
        "judges/crimson.py": (set(), COUNTED),
        "judges/containers.py": (RULES, ALL),
        "judges/draft.py": (RULES, ALL),
        "judges/attachments.py": (RULES, ALL),
        "judges/elements.py": (RULES, ALL),
        "judges/exchange.py": (RULES, ALL),
        "judges/section_names.py": (RULES, ALL),
        "judges/markup.py": (RULES, ALL),
        "judges/records.py": (RULES, ALL),
        "judges/signs.py": (RULES, ALL),
        "judges/injection.py": (set(), ALL),
        "judges/chat_tokens.py": (set(), ALL),
        "reward_service/scoring/composite.py": (set(), ALL),
        "reward_service/scoring/profile_scorer.py": (set(), ALL),
        "reward_service/scoring/references.py": (set(), ALL),
        "reward_service/workers/pair_computer.py": (set(), ALL),
        "reward_service/profiles/profile.py": (set(), ALL),
    }
    if file in exact:
        return exact[file]
    folder, name = os.path.split(file)
    if folder == "judges/rules":
        if name == "reading.py":  # what people are shown of a reading
            return set(), set()
        if name == "vocabulary.py":
            return set(), ALL
        if name in (
            "around.py", "compiler.py", "constructions.py", "details.py", "dictation.py", "examination.py", "findings.py", "knowledge.py", "layout.py",
            "letterhead.py", "lexicon.py", "lines.py", "links.py", "margins.py", "measures.py", "phrases.py", "provisos.py", "retractions.py", "rhetoric.py", "shipped.py", "stored.py", "telling.py", "tips.py", "trace.py", "words.py", "wraps.py",
        ):  # fmt: skip
            return RULES, ALL  # the guards undo the layout, and look up the words of the lexicon
        return RULES, WITH_RULES
    if folder == "metrics/radgraph":
        return {"radgraph_f1"}, set()
    if folder == "reward_service/text":
        return set(), ALL
    if folder == "judges/vllm" and name in (
        "accounting.py", "answer.py", "calibration.py", "errors.py", "green_answer.py", "letters.py", "prompt.py", "settings.py",
        "statements.py", "verdict.py", "weighing.py",
    ):  # fmt: skip
        return set(), LLM  # they read a verdict; what they form of one is told by the manifest
    return set(), set()


@pytest.mark.slow
def test_one_operator_in_each_file_moves_the_right_fingerprints_and_a_comment_none(tmp_path: Path) -> None:
    for package in ("metrics", "judges", "reward_service"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    script = Path(__file__).with_name("mutations.py")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answered = json.loads(done.stdout.splitlines()[-1])
    assert answered["commented"] == [[], []]
    got = {file: tuple(map(set, moved)) for file, moved in answered["changed"].items()}
    assert {file: moved for file, moved in got.items() if moved != moved_by(file)} == {}
    assert len([file for file, moved in got.items() if any(moved)]) >= 45
