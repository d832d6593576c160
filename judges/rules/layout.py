"""How a report was laid out, undone before it is read: wrapped lines, lists, tables, gaps, signs between sentences.

What stays is the same words in the same order, a line break where a statement ends, and full stops for what stood in
their place. Every character of the result knows where it came from. All steps are linear in the length of the text; a
text of one line with ordinary punctuation passes through untouched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from judges.containers import unwrap
from judges.draft import Draft
from judges.rules import lexicon as lx
from judges.rules.dictation import dictated
from judges.rules.letterhead import FINDING, PLACE, without_letterhead
from judges.rules.lines import joined_lines
from judges.rules.margins import without_margins
from judges.rules.words import KNOWN, fold
from judges.rules.wraps import GAP, Words

_MARKED: Final = re.compile(
    r"\.{3}|:-|->|=|→|\?:|[\n|*#`\\{<~•·&;—–☐☑☒❌✅✘✗]|\[|__| (?:[->/]|--|//)(?:[\s.,;]|\Z)| [-=*]{3}| ##"
)
"""No other text needs any of the steps, unless it has blanks before its punctuation."""

_GAP: Final = re.compile(r"\[\*\*[^\]\n]{0,80}\]|_{2,}|<[A-Z][A-Z_ ]{1,30}>|\[[A-Z][A-Z_ ]{2,30}\]")
_UNFILLED: Final = re.compile(
    r"(?<![^\n])(?P<name>[ \t]*(?!(?:no|without|there|with)\b)(?:[A-Za-z()/]+[ ]){0,3}[A-Za-z()/]+)"
    r"[ \t]*(?::|[–—-]|\t)[ \t]*_{2,}(?=[ .]*(?:\n|\Z))",
    re.I,
)
"""A field of a form that nobody has filled in: "Effusion: ___"."""
_EMPHASIS: Final = re.compile(r"(?<![*\s])\*{1,3}(?=[\s.,:;]|\Z)|(?:(?<=\s)|\A)\*{1,3}(?=[^*\s])")

_BETWEEN: Final = re.compile(
    r"\s(?:[|•·~]|\|\||//|>{1,2}(?!\s\d)|[-=_*]{3,20})\s|\s?(?P<weak>[—–]|(?<=\s)-{1,2}(?=\s)|;(?=\s))\s?"
)
_STOPPED: Final = re.compile(r"(?<!\bDr)(?<=[A-Za-z)]) ?[.?!]\s+\S")
_LINE: Final = re.compile(r"[^\n]+")
_BOX: Final = re.compile(
    r"\s?(?:(?P<ticked>\[[xX✓✔*]\]|\([xX✓*]\)|[☑☒●◉])|\[ ?\]|\( ?\)|[☐○])\s?"
    r"(?P<answer>yes|no|present|absent|positive|negative|uncertain|possible|unsure|unknown|n/a|y|n|none|left|right|both|bilateral"
    r"|small|moderate|large|trace|mild|severe)\b",
    re.I,
)
_BOX_LINE: Final = re.compile(
    r"\n[ \t]*(?:[-*][ \t]+)?(?=(?:\[[ xX✓✔]?\]|[☑☒☐])[ \t]*(?:yes|no|present|absent|unsure|unknown|n/a)[ \t]*$)",
    re.M | re.I,
)
"""A break before an answer of its own line: "Effusion:", "[x] yes", "[ ] no"."""
_TICK: Final = re.compile(r" (?:Y|N|yes|no|neg|pos|nil|[+-])[,;]")
_TICKED: Final = re.compile(r"\s?[A-Za-z][A-Za-z -]{2,40} (?:[YN]|yes|no|neg|pos|nil|[+-])\s?")
_SENTENCE: Final = re.compile(r"[A-Z][a-z]")
_ANSWER: Final = re.compile(
    rf"(?:{'|'.join(sorted(map(re.escape, KNOWN['answers']), key=len, reverse=True))}"
    rf"|(?:not|nil|none) (?:{'|'.join(KNOWN['classes']['seen'])}))[ ]?(?=[.;,\n(]|\||\Z)",
    re.I,
)
"""What behind a dash, a bar or dots is the answer to what stands before."""
_HEADED: Final = re.compile(r"[a-z\d)\]][ ](?P<words>[A-Z]{2,}[A-Z /&,]{0,60}):")
"""A heading in capitals, in the line of a sentence that is not."""
_CAPITALS: Final = re.compile(r"[A-Z]{5}")  # fewer are an abbreviation: "compatible with CHF: improved"
_LABEL: Final = re.compile(r"\s*[A-Za-z][\w ]{1,40}:(?=\s|\Z)")
_SLASH: Final = re.compile(r"(?<=[A-Za-z]) / (?=[A-Za-z])")
_LOOSE: Final = re.compile(r" (?P<mark>[,.:;?!])(?=\s|\Z)")
_ATTACHED: Final = re.compile(r"(?P<mark>[,.:;?!])(?<=[^\s.,:;?!].)(?=\s|\Z)", re.S)
_LEADER: Final = re.compile(
    rf"\s?\.{{4,}}(?=\s?\w)|(?<=[\w)]) ?\??[ ]?(?:\.{{3}}|[-=]{{1,2}}>|→|=|\|) ?(?={_ANSWER.pattern})"
    r"|(?<=\w) ?\?(?= ?:)",
    re.I,
)
_BANNER: Final = re.compile(
    r"^[ \t]*[-=*_#~]{2,}[ \t]*(?P<name>[A-Za-z][A-Za-z ]{1,30}?)[ \t]*[-=*_#~]{2,}[ \t]*$", re.M
)
"""A heading between lines: "---- FINDINGS ----"."""
_COLON_DASH: Final = re.compile(r"(?<=[A-Za-z)])[ ]?:[-–—]+(?=\s|[A-Za-z])")
_BRACKETED: Final = re.compile(r"^[ \t]*\[(?P<name>[A-Za-z][A-Za-z /&]{2,30})\][ \t]*:?[ \t]*(?=\S)", re.M)
"""A heading in brackets: "[LUNGS] Clear"."""
_UNDERLINED: Final = re.compile(r"(?<![\w])__(?=[^\W_])(?P<words>[^\n_]{1,60})(?<=[\w:.!?])__(?!\w)")
"""Emphasis: "__Heart:__ large"; a gap has blanks on both sides."""
_FIELD: Final = re.compile(r"^[ \t]*(?P<name>[A-Za-z][A-Za-z ]{2,30}?)[ ]?=[ ]?(?=[^\s=])", re.M)
_ASIDES: Final = (
    "however",
    "though",
    "therefore",
    "in fact",
    "of course",
    "fortunately",
    "thankfully",
    "reassuringly",
    "on the other hand",
    "on the one hand",
)
_ASIDE: Final = re.compile(
    r"(?P<verb>\b(?:is|are|was|were|has|have|does|do|did|there|not)\b)?"
    rf"(?P<aside>\s?,\s?(?:{'|'.join(_ASIDES)})\s?,)"
    r"(?P<after>\s(?:is|are|was|were|has|have|does|do|did|shows?|appears?|remains?|looks?)\b)?"
    r"|(?P<contrast>\bon the (?:other|one) hand\s?,\s?)",
    re.I,
)
"""What stands between subject and verb and says nothing of either: "the film, however, is normal"."""
_CORRECTED: Final = re.compile(
    r"\b(?:left|right)\b[ ]?(?:\.{2,3}|…|[,;–—-])?[ ]?"
    r"(?:no|sorry|i mean|i meant|correction|make that|rather|or rather|no, i mean)"
    r"[, ]{1,2}(?=(?:left|right)\b)[, ]{0,2}",
    re.I,
)
"""A side that is corrected at once: "right... no, left effusion"."""
_THAT_IS: Final = re.compile(r",? ?\(?\bi\.e\b\.?,?")
_SPOKEN: Final = (
    *(f", {aside}" for aside in _ASIDES), "n the other hand", "n the one hand", "no, left", "no, right", "mean left",
    "i.e", "mean right", "mean, left", "mean, right", "that left", "that right",
)  # fmt: skip
"""A text without any of these has neither."""
_BONE: Final = r"(?:ribs?|clavicles?|humerus|scapula|sternum|vertebra|femur|[TL]\d{1,2}\b)"
_ORDINALS: Final = r"\d{1,2}(?:st|nd|rd|th)?(?:(?: ?(?:-|,|/|&|to|and) ?)\d{1,2}(?:st|nd|rd|th)?){0,5}"
_FRACTURE: Final = re.compile(
    r"#s?(?P<of> ?(?:of )?(?:(?:the|a|left|right|[LR]|Lt|Rt|mid|middle|distal|proximal|lateral|medial|posterior|"
    rf"anterior|old|healed|healing|upper|lower) ){{0,3}}(?:{_ORDINALS} )?{_BONE}(?: [LR](?= ?\d))?)"
    rf"|\b(?:{_BONE}|sternal|clavicular|humeral|vertebral) (?P<after>#s?)(?![\w#])"
    r"|\b(?:no|nil|any|acute|old|new|other|obvious|displaced|undisplaced|bony) (?P<alone>#s?)(?=[.,; ]|$)(?! ?\d)",
    re.I,
)
"""The sign with which a fracture is noted, beside a bone."""
_SIDE: Final = re.compile(r"\b[LR]\b", re.I)
_PIECES: Final = re.compile(r" ##(?=\w)|\[(?:CLS|SEP|PAD)\] ?")
_TILDE: Final = re.compile(r" ?~(?!\s?\d) ?")
_ADDENDUM: Final = re.compile(
    r"\b(addendum|correction)[ ]+(?:by|from|dated|at|on)\b[^:\n]{1,60}?(?::\d\d[^:\n]{0,40})?:", re.I
)
_CELLS: Final = re.compile(r'(?<![.?!])","(?=[A-Z])')
_SIGNS: Final = (
    ("ddendum ", _ADDENDUM, "Addendum:"), ("DDENDUM ", _ADDENDUM, "ADDENDUM:"), (":-", _COLON_DASH, ":"),
    (" ##", _PIECES, ""), ("~", _TILDE, "\n"), ('","', _CELLS, ". "),
)  # fmt: skip
"""A hint of each sign, and what it stands for: addenda with a name, dashed colons, pieces of words, breaks, cells."""
_GLUED: Final = re.compile(r"[A-Z](?<=[A-Za-z].)(?=[a-z])")
"""A capital behind a letter."""
_DENIES: Final = lx.NEG | lx.NEG_AFTER
_NEXT_WORD: Final = re.compile(r" [A-Za-z]")
_BEGINS: Final = frozenset((
    "no", "the", "there", "negative", "normal", "clear", "heart", "lung", "right", "left", "stable", "mild", "small",
    "moderate", "unchanged", "without", "cardiac", "mediastinum", "bone", "degenerative",
))  # fmt: skip
"""Words that begin a sentence where the blank before it is missing."""
_NUMBER: Final = re.compile(r"(?<!\S)\(?(?P<number>\d{1,2}|[a-h])\)\s+")
_LAST, _FIRST = re.compile(r"[A-Za-z]{1,40}\Z"), re.compile(r"[A-Za-z]{1,40}")
_WORDS: Final = re.compile(r"[^\W_]+")
_LONGEST: Final = 40  # characters of a word beside a hyphen
_HEADING_WORDS: Final = 5
_BEFORE: Final = 60  # characters in which a heading ends


class Layout:
    """Undoes the layout of one text after another; keeps nothing between them."""

    def __init__(self, lexicon: lx.Lexicon) -> None:
        """The lexicon tells headings, and phrases that a line break cuts in two."""
        self._trie = lexicon.trie
        self._plain = lexicon.plain
        self._words = Words(self._cut_in_two, self._broken, self._cut_word, self._is_heading)

    def undo(self, text: str) -> Draft | None:
        """`text` without its layout; None where it has none."""
        glued = _GLUED.search(text) is not None
        if not (glued or text[:1] in (">", "+", "-") or _MARKED.search(text) or any(looks(text) for looks in _LOOKS)):
            loose = _LOOSE.findall(text)
            if not loose or _tokenised(text, loose):
                return None
        draft = Draft(text)
        unwrap(draft)
        if glued:
            draft.edit(self._parted(draft.text))
        if "#" in draft.text:
            draft.edit(_fractures(draft.text))
        if "\n" in draft.text:
            banners = _BANNER.finditer(draft.text)
            draft.edit((*m.span(), "" if m["name"].lower() == "end" else f"{m['name']}:") for m in banners)
            draft.edit(without_margins(draft.text))
            draft.edit(without_letterhead(draft.text, self._says))
        draft.edit(_unfilled(draft.text))
        self._undo_signs(draft)
        if "\n" in draft.text or "|" in draft.text:
            draft.edit(joined_lines(draft.text, self._words))
        if _is_dictated(draft.text):
            draft.edit(dictated(draft.text, self._is_heading))
        if _is_numbered(draft.text):
            draft.edit(self._numbers(draft.text))
        draft.edit(self._separators(draft.text))
        if _is_headed(draft.text):
            draft.edit(self._headings(draft.text))
        loose = list(_LOOSE.finditer(draft.text))
        if loose:
            tokenised = _tokenised(draft.text, [mark["mark"] for mark in loose])
            draft.edit(self._compounds(draft.text) if tokenised else self._strays(draft.text, loose))
            if tokenised:
                draft.edit((*m.span(), "/") for m in _SLASH.finditer(draft.text))
        return draft

    def _undo_signs(self, draft: Draft) -> None:
        """What stands for a word, a colon or emphasis."""
        if "[" in draft.text or "(" in draft.text or "☐" in draft.text or "○" in draft.text:
            draft.edit((*m.span(), " ") for m in _BOX_LINE.finditer(draft.text))
            draft.edit(_options(draft.text))
        if _has_aside(draft.text):
            draft.edit((*m.span(), ",") for m in _THAT_IS.finditer(draft.text))
            draft.edit(_asides(draft.text))
            draft.edit((*m.span(), "") for m in _CORRECTED.finditer(draft.text))
        for hint, sign, meant in _SIGNS:
            if hint in draft.text:
                draft.edit((*m.span(), meant) for m in sign.finditer(draft.text))
        if "[" in draft.text:
            titles = (m for m in _BRACKETED.finditer(draft.text) if self._titles(m["name"].split()))
            draft.edit((*m.span(), f"{m['name']}: ") for m in titles)
        if "__" in draft.text:
            draft.edit(_underlined(draft.text))
        if " / " in draft.text:
            draft.edit(_slashed(draft.text))
        draft.edit(_ticked(draft.text))
        if any(mark in draft.text for mark in "_[<"):
            draft.edit((*m.span(), GAP) for m in _GAP.finditer(draft.text))
        if any(mark in draft.text for mark in ("...", "->", "=", "→", "?")):  # "Effusion ....... none"
            draft.edit((*m.span(), ":" if m.group().strip() != "?" else "") for m in _LEADER.finditer(draft.text))
        if "=" in draft.text:  # "findings=Small effusion."
            fields = (m for m in _FIELD.finditer(draft.text) if self._is_heading(draft.text, m.end("name")))
            draft.edit((m.end("name"), m.end(), ": ") for m in fields)
        if "*" in draft.text:
            draft.edit((*m.span(), "") for m in _EMPHASIS.finditer(draft.text))

    def _parted(self, text: str) -> Iterator[tuple[int, int, str]]:
        """A full stop where one sentence ends and the next begins within a word: "thoracic spineNo effusion"."""
        for glued in _GLUED.finditer(text):
            at = glued.start()
            before, after = _LAST.search(text[max(0, at - _LONGEST) : at]), _FIRST.match(text[at : at + _LONGEST])
            parts = [found.group() for found in (before, after) if found is not None]
            whole, *words = (fold(part) for part in ("".join(parts), *parts))
            if len(words[0]) < 3 or whole in self._trie or not all(self._knows(word) for word in words):
                continue
            if parts[0][0].isupper() and parts[0][1:].islower():  # "PleuralEffusion"
                yield at, at, " "
            elif words[1] in _BEGINS and _NEXT_WORD.match(text, at + len(parts[1])):
                yield at, at, ". "

    def _knows(self, word: str) -> bool:
        return word in self._plain or word in self._trie

    def _separators(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Full stops for the signs that stand between sentences: "Heart normal | No effusion"."""
        found = list(_BETWEEN.finditer(text))
        if not found:
            return
        stopped = _STOPPED.search(text) is not None
        only = sum(bool(m["weak"]) for m in found) > 1 and not stopped
        capitals = all(text[sign.end() : sign.end() + 1].isupper() for sign in found if sign["weak"])
        bullets = sum(text[max(0, sign.start() - 1) : sign.start()] in (".", "?", "!") for sign in found) > 1
        ends = [sign.start() for sign in found[1:]] + [len(text)]
        for sign, end in zip(found, ends, strict=True):
            if "\n" in sign.group():
                continue
            answer = _ANSWER.match(text, sign.end())
            more = (
                answer is not None and text[answer.end() : answer.end() + 1] == "|" and text[answer.end() + 1 :].strip()
            )
            if (sign.group() == " ; " and stopped) or (sign["weak"] and self._one_word(text, sign)):
                answer = None  # a stray mark, or the hyphen of "age - indeterminate"
            if answer and not more and text[sign.start() - 1 : sign.start()] not in ".:;,!":
                yield (*sign.span(), ": ")  # "Effusion - none"
                continue
            if sign["weak"] and text[sign.start() - 1 : sign.start()] in (".", "?", "!"):
                yield (*sign.span(), " ")  # "Lungs clear. - No effusion."
                continue
            # A dash between sentences is told by others that stand behind full stops.
            capital = (sign["weak"] == ";" or bullets) and _SENTENCE.match(text, sign.end())
            if capital or not sign["weak"] or (only and self._parts(text, sign, end, capitals=capitals)):
                yield (*sign.span(), ". ")

    def _one_word(self, text: str, sign: re.Match[str]) -> bool:
        """Whether a dash stands within a phrase that the lexicon knows."""
        before, after = _LAST.search(text[: sign.start()][-_LONGEST:]), _FIRST.match(text, sign.end())
        return before is not None and after is not None and self._leaf([before.group(), after.group()]) is not None

    def _parts(self, text: str, sign: re.Match[str], end: int, *, capitals: bool) -> bool:
        """Whether a dash or semicolon stands between two statements: "Effusion - small, right" is one.

        `capitals`: behind each of them stands one.
        """
        if self._is_heading(text, sign.start()):
            return False
        after = text[sign.end() : min(end, sign.end() + _BEFORE)].split("\n")[0]
        if capitals and GAP in after:
            return True
        return sign["weak"] == ";" or any(leaf.concept >= 0 or leaf.anatomy >= 0 for leaf in self._phrases(after))

    def _numbers(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Full stops for the numbers in brackets of a list in one line: "(1) heart normal (2) lungs clear".

        Of a list that is denied as a whole it is "or": "absent: 1) fracture 2) effusion".
        """
        found = list(_NUMBER.finditer(text))
        if len(found) < 2 or any(m["number"] not in (str(n), "abcdefgh"[n - 1 : n]) for n, m in enumerate(found, 1)):
            return
        lead = re.split(r"[.,;\n]", text[max(0, found[0].start() - _BEFORE) : found[0].start()].rstrip())[-1]
        words = lead.rstrip(": ").split()
        heads = any(self._titles(words[-n:]) for n in (1, 2, 3) if words) or "(" in lead
        said = list(self._phrases(lead)) if lead[-1:] == ":" and not heads else []
        whole = not any(leaf.concept >= 0 or leaf.cue & lx.PARTIAL for leaf in said)
        denied = whole and any(leaf.cue & _DENIES for leaf in said)
        for n, each in enumerate(found):
            before = text[: each.start()][-_BEFORE:].rstrip()[-1:]
            if denied:
                yield (*each.span(), " or " if n else "")
            else:
                yield (*each.span(), "" if not before or before in ".?!:;," else ". ")

    def _headings(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Full stops before headings in capitals, in a sentence that is not: "views REASON FOR EXAM: Cough".

        What is no heading that the lexicon knows is one, if it is no abbreviation: "compatible with CHF: improved".
        """
        for found in _HEADED.finditer(text):
            words = found["words"].split(" ")
            known = (k for k in range(len(words)) if self._is_heading(" ".join(words[k:]), len(found["words"])))
            first = next(known, 0 if _CAPITALS.search(found["words"]) else -1)
            if first >= 0:
                at = found.start("words") + sum(len(word) + 1 for word in words[:first])
                yield at - 1, at, ". "

    def _strays(self, text: str, loose: list[re.Match[str]]) -> Iterator[tuple[int, int, str]]:
        """Lone punctuation between words, in a text that attaches its own, says nothing: "no ? effusion , seen".

        A full stop ends a sentence wherever it stands, and a question mark or colon before a capital or behind a
        heading does what it always does. What follows another mark stays, as "Impression: ? pneumonia" does.
        """
        done = -1
        marks = {stray["mark"] for stray in loose if not text[stray.end() + 1 : stray.end() + 2].isupper()}
        spaced = "," not in marks  # who has a blank before "?" and ":" has none before a comma
        for stray in loose:
            start, end = stray.span()
            if start != done and (start == 0 or text[start - 1] in " \n.,:;?!"):
                continue
            mark, done = stray["mark"], end
            ends = mark == "?" and text[end + 1 : end + 2].isupper() and text[end + 2 : end + 3].islower()
            ends = ends or (mark == "?" and spaced and text[end : end + 1] in ("", "\n"))
            heads = (
                mark == ":"
                and not text[end + 1 : end + 2].islower()
                and self._is_heading(_LOOSE.sub("", text[max(0, start - _BEFORE) : start]), _BEFORE)
            )
            answers = mark == ":" and (text[end + 1 : end + 2].isdigit() or _ANSWER.match(text, end + 1) is not None)
            yield start, end, mark if mark in ".!" or ends or heads or answers else ""

    def _compounds(self, text: str) -> Iterator[tuple[int, int, str]]:
        """A tokenizer's blanks around the hyphen of one word: "right - sided". A dash stands between two findings."""
        start = text.find(" - ")
        while start >= 0:
            end = start + 3
            before, after = text[max(0, start - _LONGEST) : start].split()[-1:], text[end : end + _LONGEST].split()[:1]
            if before and after and before[0][-1].isalnum() and after[0][0].isalnum():
                dash = self._names(before[0]) and self._names(after[0])
                if not dash or self._cut_in_two(before, after[0]):
                    yield start, end, "-"
            start = text.find(" - ", end - 1)

    # ----- what the lexicon knows -------------------------------------------------------------------------------------

    def _is_heading(self, text: str, end: int) -> bool:
        """Whether the words before `end`, back to where their sentence begins, are a heading."""
        before = text[max(0, end - _BEFORE) : end]
        words = re.split(r"[.?!:;\n]", before)[-1].split()
        if not 0 < len(words) <= _HEADING_WORDS:
            return False
        leaf = self._leaf(words)
        return leaf is not None and bool(leaf.cue & (lx.BODY | lx.SKIP))

    def _titles(self, words: list[str]) -> bool:
        """Whether these words are a heading, or an anatomy that may be one."""
        leaf = self._leaf([word for word in words if word not in "/&"]) or self._leaf(words[:1])
        return leaf is not None and bool(leaf.cue & (lx.BODY | lx.SKIP) or leaf.anatomy >= 0 or leaf.kind & lx.THING)

    def _names(self, word: str) -> bool:
        """Whether a word by itself is a finding, an anatomy, or says that something is not there or normal."""
        leaf = self._leaf([word])
        return leaf is not None and bool(leaf.kind & (lx.SAYS | lx.NAMED) or leaf.cue & (lx.NEG | lx.NORMAL))

    def _says(self, text: str) -> int:
        """What a text says of a patient, as `letterhead.Says` has it."""
        most = 0
        for leaf in self._phrases(text):
            if leaf.kind & lx.SAYS or leaf.cue & lx.NORMAL:
                return FINDING
            if leaf.kind & (lx.NAMED | lx.ATTRIBUTE | lx.THING) or leaf.change or leaf.side or leaf.zone:
                most = PLACE
        return most

    def _phrases(self, text: str) -> Iterator[lx.Leaf]:
        """What the phrases of a text say, the longest at each word."""
        words = [fold(word) for word in _WORDS.findall(text)]
        i = 0
        while i < len(words):
            node = self._trie.get(words[i])
            leaf, last = lx.longest(node, words, i) if node is not None else (None, i)
            if leaf is not None:
                yield leaf
            i = last + 1

    def _leaf(self, words: list[str]) -> lx.Leaf | None:
        node: lx.Trie | None = self._trie
        for word in words:
            node = node.get(fold(word)) if node is not None else None
        return node.get(None) if node else None

    def _cut_in_two(self, before: list[str], word: str) -> bool:
        """Whether a phrase begins in these words, the last of a line, and goes on with the first of the next."""
        for start in range(len(before)):
            node: lx.Trie | None = self._trie
            for each in (*before[start:], word):
                node = node.get(fold(each)) if node is not None else None
            if node is not None:
                return True
        return False

    def _broken(self, before: str, after: str) -> bool:
        """Whether a hyphen breaks a word between these two: "cardio-" / "megaly", and not "right-" / "sided"."""
        first, second = _LAST.search(before), _FIRST.match(after)
        if first is None or second is None:
            return False
        parts = first.group(), second.group()
        if self._cut_in_two([parts[0]], parts[1]):  # "air-" / "space"
            return False
        return fold("".join(parts)) in self._plain or not any(fold(part) in self._plain for part in parts)

    def _cut_word(self, before: str, after: str) -> bool:
        """Whether a line ends within a word, of which no half is one: "pneu" / "mothorax"."""
        first, second = _LAST.search(before), _FIRST.match(after)
        if first is None or second is None:
            return False
        parts = [fold(first.group()), fold(second.group())]
        return fold("".join(parts)) in self._plain and not any(part in self._plain for part in parts)


def is_gap(word: str) -> bool:
    """Whether this is what de-identification leaves in place of a word."""
    return len(word) >= len(GAP) - 1 and not word.lower().strip("x")


# Most texts have nothing of these, which a look for a few letters shows.
def _is_dictated(text: str) -> bool:
    return "period" in text or "full stop" in text or "PERIOD" in text or "FULL STOP" in text


def _is_answer(text: str) -> bool:
    return "nswer" in text or "NSWER" in text or " A1" in text or " A:" in text


def _has_aside(text: str) -> bool:
    return any(aside in text for aside in _SPOKEN)


def _asides(text: str) -> Iterator[tuple[int, int, str]]:
    for found in _ASIDE.finditer(text):
        if found["contrast"] is not None:
            yield (*found.span("contrast"), "")
        elif found["verb"] is not None or found["after"] is not None:
            yield (*found.span("aside"), "")


def _is_numbered(text: str) -> bool:
    return ") " in text and _NUMBER.search(text) is not None


def _is_headed(text: str) -> bool:
    return ":" in text and _HEADED.search(text) is not None


def _options(text: str) -> Iterator[tuple[int, int, str]]:
    """Of boxes with an answer each the one that is ticked: "Effusion: [x] yes [ ] no"."""
    for line in _LINE.finditer(text):
        boxes = list(_BOX.finditer(text, *line.span()))
        ticked = [box for box in boxes if box["ticked"]]
        if len(boxes) > 1 and len(ticked) == 1:
            colon = ": " if text[: boxes[0].start()].rstrip()[-1:] not in (":", "") else ""
            for n, box in enumerate(boxes):
                yield (*box.span(), f"{colon * (n == boxes.index(ticked[0]))}{box['answer']}" if box["ticked"] else "")


def _slashed(text: str) -> Iterator[tuple[int, int, str]]:
    """Full stops for slashes between answers: "Effusion: none / Heart: large / ..."."""
    start = 0
    for line in text.split("\n"):
        parts = line.split(" / ")
        if len(parts) > 1 and all(_LABEL.match(part) for part in parts):
            at = start
            for part in parts[:-1]:
                at += len(part) + 3
                yield at - 3, at, ". "
        start += len(line) + 1


def _ticked(text: str) -> Iterator[tuple[int, int, str]]:
    """Colons before the answers of a list that has nothing else: "Checklist: effusion N, fracture Y"."""
    start = 0
    for line in text.split("\n"):
        begin = start + line.find(":") + 1
        end = start + len(line)
        parts = re.split("[,;]", text[begin:end].rstrip(" ."))
        if len(parts) > 1 and all(_TICKED.fullmatch(part) for part in parts):
            at = begin
            for part in parts:
                blank = at + part.rstrip().rindex(" ")
                yield blank, blank + 1, ": "
                at += len(part) + 1
                yield from [(at - 1, at, ".")] if at <= end and text[at - 1 : at] in (",", ";") else []
        start = end + 1


def _unfilled(text: str) -> Iterator[tuple[int, int, str]]:
    """What stands for the line in a field of a form that nobody has filled in."""
    if "__" in text:
        yield from ((m.end("name"), m.end(), ": not stated") for m in _UNFILLED.finditer(text))


def _underlined(text: str) -> Iterator[tuple[int, int, str]]:
    for found in _UNDERLINED.finditer(text):
        yield found.start(), found.start("words"), ""
        yield found.end("words"), found.end(), ""


def _is_ticked(text: str) -> bool:
    return _TICK.search(text) is not None


_LOOKS: Final = (_is_dictated, _is_numbered, _is_headed, _is_ticked, _has_aside, _is_answer)


def _tokenised(text: str, marks: list[str]) -> bool:
    """Whether a tokenizer has put blanks before the punctuation, all of `marks`.

    Full stops tell, or commas where there is no more.
    """
    attached = _ATTACHED.findall(text)
    stops = marks.count("."), attached.count(".")
    return stops[0] > stops[1] if any(stops) else not attached and set(marks) == {","}


def _fractures(text: str) -> Iterator[tuple[int, int, str]]:
    """Words for the sign of a fracture: "# L 3rd ribs", "old rib #s", "No #"."""
    for sign in _FRACTURE.finditer(text):
        if (of := sign["of"]) is None:
            yield (*sign.span(sign.lastgroup or 0), "fracture")
            continue
        yield sign.start(), sign.start("of"), "fracture of" if of.startswith(" ") else "fracture of "
        begin = sign.start("of")
        for side in _SIDE.finditer(of):  # "L 3rd" is no lumbar vertebra
            yield begin + side.start(), begin + side.end(), "left" if side.group() in "Ll" else "right"
