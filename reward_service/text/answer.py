"""Where an answer begins: behind the prompt that a model repeats and the reasoning that it writes without tags.

Cut is only where a marker says so for certain. What reasons or repeats a prompt without one stays, and `deliberates`
tells it, for the guard `not_a_report`.
"""

from __future__ import annotations

import re
from typing import Final

from judges import chat_tokens as tokens

# Harmony's channels, decoded without special tokens: "analysisIs there an effusion?assistantfinalSmall effusion."
_HARMONY: Final = re.compile(r"(?:\A|(?<=[^A-Za-z])|(?<=[a-z]))assistant\s{0,2}final(?=[\s:*#]*[A-Z\d*#{\[])")
# The model's turn, in the tokens of a template: nothing before it is the model's.
_TURN: Final = re.compile(
    rf"\[/{tokens.either(tokens.INSTRUCTION)}\]"
    rf"|<\|{tokens.either(tokens.HEADERS)}\|>\s?assistant(?:<\|end_header_id\|>)?|<\|assistant\|>"
    r"|<start_of_turn>\s?model\b|<\|turn>model\b",
    re.IGNORECASE,
)
# The same as words, in a text that begins with the user's or the system's turn.
_ASKED: Final = re.compile(
    r"[\s*#]*(?:(?:system|user|human|instructions?|prompt|question|q)[\s*]*(?::|\n)|you are (?:an? |the ))", re.I
)
_REPLY: Final = re.compile(
    r"(?:^|(?<=[.?!\s]))[*#\s]{0,6}(?:assistant|model|response|answer|reply|a)[\s*]{0,3}(?::[*\s]|\n)", re.I | re.M
)
# A reply that says nothing without its question.
_QUESTIONS: Final = re.compile(r"(?:^|(?<=[.?!\s]))[*#]{0,3}(?:q|question)[ ]?\d{0,2}[ *]{0,3}[:.)]", re.I | re.M)
_QUESTION: Final = 120  # characters of a question that is read with its answer
_BARE: Final = re.compile(
    r"\W*(?:no|none|nil|negative|absent|yes|present|positive|excluded|ruled out|not \w{4,12}|nothing"
    r"|there (?:is|are) (?:none|not|one))\b(?:[,;:-][^.!?\n]{1,80})?\W*"
    r"|[^.!?\n]{0,60}\b(?:it|one|any|that|this)\b[^.!?\n]{0,40}[.!]?\s*",
    re.I,
)
# Who speaks, or what follows, at the very beginning.
_LEAD: Final = re.compile(
    r"[\s*#]*(?:(?:assistant|ai|model|response|answer|output|reply|report|draft report|"
    r"(?:my|the|our) (?:draft )?report|(?:final|generated) (?:answer|report|response))"
    r"[\s*]*:|(?:(?:sure|certainly|of course|okay)\s?[,.!]\s{0,2})?(?:[^.:\n]{0,80}\bbut )?"
    r"(?:here is|here's|below is) [^.:\n]{0,80}:)[\s*]*",
    re.I,
)
# A sentence to whoever asked, before the report.
_OPENING: Final = re.compile(
    r"[\s*_#>-]*(?:(?:sure|certainly|of course|absolutely|okay|ok|got it|great|understood|no problem)\s?[,.!:]"
    r"(?:\s{0,2}here (?:you go|is|are)[^.:\n]{0,60}[.:])?"
    r"|(?:sure|certainly|absolutely|okay|great)?,? ?(?:thank you|thanks) for [^.:!\n]{0,80}[.:!]"
    r"|(?:(?:sure|certainly|of course|absolutely|okay),? )?(?:i'm |i am )?happy to help\s?[.!:]"
    r"|(?:here you go|(?:the )?report (?:is )?below|see (?:the )?report below)\s?[.:!]"
    r"|(?:the |my )?(?:final )?answer(?: is)?(?: as follows)?\s?[.:]"
    r"|(?:based on|from|after reviewing|having reviewed) (?:the|this|your) "
    r"(?:provided |uploaded |given |attached |chest )*(?:image|x-?ray|radiograph|scan|film|picture)s?"
    r"(?: (?:(?:that )?you (?:have )?)?(?:uploaded|provided|sent|shared|attached))?\s?"
    r"(?::|,\s?here(?:'s| is| are) [^.:\n]{0,60}:"
    r"|,(?:\s?(?:i|we)(?: have|'ve)? (?:drafted|written|prepared|generated|created|made)[^.:\n]{0,60}:)?)"
    r")[\s*_]*",
    re.I,
)
# And behind it: what a model says of itself, of its answer and of whom to ask.
_MODEL: Final = r"(?:ai|a\.i\.|(?:large )?language model|artificial intelligence|machine learning)"
_CLOSING: Final = re.compile(
    r"(?:(?:please note|note|disclaimer|important|caution|nb)\b[ *_]{0,6}[:,-]?[ *_]{0,6}(?:that )?)?(?:"
    rf"(?:as|since|because|i am|i'm|being)\b[^.!?\n]{{0,30}}\b{_MODEL}\b[^.!?\n]{{0,160}}"
    r"|(?:this|the above|it)(?: (?:report|answer|text|response|interpretation|analysis|information|content|output))? "
    r"(?:is|was|has been|should|may|cannot|does)\b[^.!?\n]{0,60}"
    rf"\b(?:{_MODEL}|medical advice|substitute|informational|educational|research (?:use|purposes))\b[^.!?\n]{{0,100}}"
    rf"|generated (?:by|with) (?:an? )?{_MODEL}\b[^.!?\n]{{0,80}}"
    r"|(?:please |always )(?:consult|see|seek|contact|verify|discuss)\b[^.!?\n]{0,80}"
    r"\b(?:professional|doctor|physician|radiologist|advice|provider|clinician)s?\b[^.!?\n]{0,60}"
    r"|(?:please )?(?:let me know|feel free to ask)\b[^.!?\n]{0,120}|i hope (?:this|that) helps?\b[^.!?\n]{0,40}"
    r"|would you like (?:me to )?[^.!?\n]{0,120}"
    r"|(?:for )?research (?:use|purposes) only"
    r")",
    re.I,
)
_ASIDE: Final = frozenset(
    """a able about above accuracy accurate additional adjust advice ai all also always am an analysis and answer any
    anything are artificial as ask asking assist assistance assistant assistive at attached attachment based be
    because been before below but by can cannot capable care cause caution chest clarification clinic clinical
    clinician clinicians comments completely concise consult consulting contact contacting contain contains
    content context created data decision decisions definitive detailed details diagnosing diagnosis diagnostic
    disclaimer discuss do doctor doctors does don draft drafted educational else english error errors evaluation
    exam examination expert experts explain feedback feel film final finalized findings follow following follows
    for formal formatted free from full further future generated given go great guidance happy have having
    health healthcare help helpful helps hope hospital human i if image images imaging important impression in
    inaccuracies inaccurate independent information informational input intelligence intelligent intended
    interpretation investigational is it its just know language large learning let licensed like local m machine
    made make making may me medical mistake mistakes model more must my nb need nice nor not note of on only
    opinion or other our out output patient performed personalized photo physician physicians picture plain
    please prepared produced professional professionals proper provide provided providing purpose purposes
    qualified question questions radiograph radiographic radiography radiological radiologist radiologists
    radiology ray rays read reading reads regarding replace report reports request requested requests research
    response result results review reviewed reviewing revise s said sample scan scans see seek seeking send sent
    shall shared sharing should simple simpler since so something specialist specific structured study submitted
    substitute such suggested summarize summary supervision supplied system t term terms text than thank thanks
    that the their them these they this those to trained training translate treatment under uploaded uploading
    use used using ve verified verify view was we well were when which will with without words would write
    written x xray xrays you your asked replacement""".split()  # noqa: SIM905
)
"""No sentence with any other word is cut off as an aside: it may tell of the patient, or be aimed at a grader."""
_A_WORD: Final = re.compile(r"[^\W_]+")
_PIECE: Final = re.compile(r"[^.!?\n]+[.!?]*")
_MARKS: Final = " \t*_#>()[]-"
"""Signs of Markdown around a sentence."""
_LONGEST: Final = 400
"""No aside has more characters."""
_ADDRESS: Final = re.compile(
    r"\b(?:sure|certainly|of course|absolutely|okay|ok|got it|great|understood|no problem|here(?: you go|'?s)?|i've"
    r"|we've)\b|[\W_]+",
    re.I,
)
"""With which an answer may begin, beside such words."""
_CLOSES: Final = (
    "model",
    " ai",
    "ai ",
    "a.i.",
    "artificial",
    "advice",
    "let me know",
    "feel free",
    "hope th",
    "would you like",
    "research",
    "consult",
)
"""A text without any of these, in lower case, has no closing."""
_REASONS: Final = re.compile(
    r"[\s*#]*(?:reasoning|thoughts?|thinking|thought process|chain of thought|rationale|scratchpad|step[- ]by[- ]step)"
    r"[\s*]{0,3}:",
    re.I,
)
# A text that begins with one of these says later where its answer begins.
_FINAL: Final = re.compile(
    r"(?:^|(?<=[.?!\s]))[*#\s]{0,6}(?:(?:so |thus |therefore |hence )?,? ?(?:the |my )?final (?:answer|report|response)"
    r"(?: is)?|(?:here is|here's) [^.:\n]{0,60}|(?:the |my )?(?:report|answer|response)(?: is)?|output)"
    r"[\s*]{0,3}:[\s*]{0,4}",
    re.I | re.M,
)

_THINKS: Final = re.compile(
    r"\b(?:let me|let's|let us|i (?:need|have|want|ought) to|we (?:need|have) to|i (?:should|must|will|can|could|might)"
    r" (?:now |also |first )?(?:look|check|analy[sz]e|write|describe|mention|consider|start|note|think|generate|"
    r"provide|say)|i'll|i'm going to|i am going to|i think|i guess|i wonder|we should (?:write|mention|say|describe)|"
    r"hmm+|wait,|okay,|alright,|ok,? so|first, i|now,? i|so,? (?:the )?(?:answer|report|findings) (?:is|are|should|"
    r"would)|the user|thought process|step by step|step \d{1,2}:|looking at the (?:image|x-?ray|picture|film)|as an ai|"
    r"i(?: am|'m) (?:sorry|unable|not able)|i can(?:not|'t) (?:view|see|interpret|analy[sz]e|access))(?!\w)",
    re.I,
)
_PROMPTS: Final = re.compile(
    r"\byou are (?:an? |the )(?:[a-z-]{1,20} ){0,4}(?:radiologist|assistant|expert|doctor|physician|model)\b"
    r"|\b(?:write|generate|provide|produce|create|draft|compose|give me|describe|summari[sz]e) "
    r"(?:me )?(?:an?|the|your|only) (?:[a-z-]{1,20} ){0,5}(?:report|findings|impression|image|x-?ray|radiograph)s?\b"
    r"(?! (?:by|from|of the outside))"
    r"|\b(?:given|based on|look at|examine|analy[sz]e) (?:the|this|a|an) (?:[a-z-]{1,20} ){0,4}"
    r"(?:image|x-?ray|radiograph)s?,? (?:please|write|generate|provide|describe|what|and)\b"
    r"|\byour task\b|\bplease (?:write|generate|provide|produce|describe|answer|respond)\b|<image>|\banswer in\b",
    re.I,
)
_ENOUGH: Final = 2  # marks of reasoning, other than in the reference; one may be a turn of speech


_HINTS: Final = (
    "assistant", "answer", "model", "inst]", "start_of_turn", "user", "human", "instruction", "prompt", "question",
    "you are", "q:", "output", "reply", "response", "report", "here is", "here's", "below is", "ai:", "ai**", "sure",
    "certainly", "of course", "absolutely", "okay", "ok,", "got it", "great", "understood", "thank", "here you go",
    "image", "x-ray", "film", "radiograph", "happy to help",
)  # fmt: skip
"""A text without any of these, in lower case, has no marker."""


def start(text: str) -> int:
    """Where the answer begins: behind the last sure marker that words follow; 0 where there is none."""
    lower = text.lower()
    if not any(hint in lower for hint in _HINTS):
        return 0
    begin = max(_after(_HARMONY, text), _after(_TURN, text))
    if asked := _ASKED.match(text, begin):
        reply = _after(_REPLY, text, asked.end())
        question = text[begin:reply]
        if len(_QUESTIONS.findall(text, begin)) > 1:  # a form of questions is read as a whole
            return begin
        if not (_BARE.fullmatch(text, reply) and len(question) < _QUESTION and question.count("?") <= 1):
            # but "Q: Effusion? A: None." is read as a whole
            begin = max(begin, reply)
    elif _REASONS.match(text, begin) or thinks(text[begin:]) >= _ENOUGH:
        begin = max(begin, _after(_FINAL, text, begin))
    while (lead := _LEAD.match(text, begin) or _OPENING.match(text, begin)) and _says_something(text, lead.end()):
        if not _is_plain(_ADDRESS.sub(" ", lead.group())):
            break
        begin = lead.end()
    while begin and text[begin].isspace():
        begin += 1
    return begin


def end(text: str) -> int:
    """Where the answer ends: before the sentences that speak of the model and its answer; else at the end."""
    lower = text.lower()
    if not any(hint in lower for hint in _CLOSES):
        return len(text)
    stop = len(text)
    for piece in reversed([*_PIECE.finditer(text)]):
        said = piece.group()
        if said.strip(_MARKS) and not _is_aside(said):
            break
        stop = piece.start()
    if stop < len(text):
        stop = len(text[:stop].rstrip(" \t\n*_#>-"))
    return stop if _says_something(text[:stop], 0) else len(text)


def _is_aside(sentence: str) -> bool:
    """Whether a sentence speaks of the model and its answer, and of nothing else."""
    said = sentence.strip(_MARKS + ".!?")
    return len(said) <= _LONGEST and _CLOSING.fullmatch(said) is not None and _is_plain(said)


def _is_plain(said: str) -> bool:
    """Whether every word is one of those with which one speaks of an answer."""
    return all(word in _ASIDE for word in _A_WORD.findall(said.lower()))


def thinks(text: str) -> int:
    """How many different marks of reasoning and of a prompt a text has; those of a prompt count twice."""
    reasons = {m.group().lower() for m in _THINKS.finditer(text)}
    orders = {m.group().lower() for m in _PROMPTS.finditer(text)}
    return len(reasons) + 2 * len(orders)


def deliberates(text: str, reference: str = "") -> bool:
    """Whether a text reasons, or repeats its prompt, as no report does; more than `reference` does."""
    ours = thinks(text)
    return ours >= _ENOUGH and ours > thinks(reference)


def _after(marker: re.Pattern[str], text: str, begin: int = 0) -> int:
    """The end of the last marker behind `begin` that words follow; 0 where there is none."""
    ends = [m.end() for m in marker.finditer(text, begin)]
    while ends and not _says_something(text, ends[-1]):
        ends.pop()
    return ends[-1] if ends else 0


def _says_something(text: str, begin: int) -> bool:
    return any(map(str.isalnum, text[begin : begin + 200]))
