"""Scripted edits of reports whose effect is known: seven corruptions and six harmless rewrites.

The word lists here are the benchmark's own and the MeSH coding says which findings a report has; nothing of the rules
judge (lexicon, detector) is used, so the judge is not graded by itself.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.data import Report

# Surface words for MeSH headings (first part of the code).
SURFACE: Mapping[str, str] = {
    "Pleural Effusion": r"effusions?|pleural fluid",
    "Pneumothorax": r"pneumothora(?:x|ces)",
    "Pulmonary Atelectasis": r"atelecta\w+",
    "Cardiomegaly": r"cardiomegaly|(?:heart|cardiac)[^.]*enlarge\w*|enlarge\w*[^.]*(?:heart|cardiac)|borderline[^.]*heart",
    "Consolidation": r"consolidations?",
    "Pneumonia": r"pneumonias?",
    "Infiltrate": r"infiltrates?",
    "Airspace Disease": r"air\s?-?space (?:disease|opacit\w+)",
    "Opacity": r"opacit\w+",
    "Nodule": r"nodules?|nodular",
    "Mass": r"mass(?:es)?",
    "Granuloma": r"granulomas?",
    "Calcified Granuloma": r"granulomas?",
    "Emphysema": r"emphysem\w+",
    "Pulmonary Edema": r"edema",
    "Pulmonary Congestion": r"congestion",
    "Cicatrix": r"scar(?:ring|s)?",
    "Scoliosis": r"\w*scolio\w+",
    "Kyphosis": r"kypho\w+",
    "Hernia, Hiatal": r"hernia",
    "Fractures, Bone": r"fractures?",
    "Osteophyte": r"osteophyt\w+",
    "Spondylosis": r"spondylosis",
    "Catheters, Indwelling": r"catheter|picc|\bport\b|line",
    "Atherosclerosis": r"atherosclero\w+",
    "Diaphragmatic Eventration": r"eventration",
    "Pulmonary Disease, Chronic Obstructive": r"copd|obstructive",
}
# Headings that speak of the same thing, so that one does not count as foreign beside the other.
_KIN: Sequence[frozenset[str]] = (
    frozenset(("Opacity", "Infiltrate", "Consolidation", "Pneumonia", "Airspace Disease", "Pulmonary Atelectasis", "Density",
               "Cicatrix", "Nodule", "Mass", "Granuloma", "Calcified Granuloma", "Pulmonary Edema", "Pulmonary Congestion",
               "Markings", "Pulmonary Fibrosis", "Granulomatous Disease", "Calcinosis", "Lung Diseases, Interstitial",
               "Cavitation", "Lung", "Thickening", "Volume Loss")),
    frozenset(("Emphysema", "Pulmonary Disease, Chronic Obstructive", "Lung", "Pulmonary Emphysema", "Bullous Emphysema",
               "Lung, Hyperlucent", "Lucency")),
    frozenset(("Osteophyte", "Spondylosis", "Thoracic Vertebrae", "Spine", "Arthritis", "Lumbar Vertebrae", "Bone and Bones",
               "Hyperostosis, Diffuse Idiopathic Skeletal")),
    frozenset(("Scoliosis", "Kyphosis", "Deformity")),
    frozenset(("Fractures, Bone", "Deformity", "Ribs")),
    frozenset(("Atherosclerosis", "Aorta", "Aorta, Thoracic", "Calcinosis")),
    frozenset(("Cardiomegaly", "Cardiac Shadow", "Heart", "Heart Ventricles", "Heart Atria", "Heart Failure")),
    frozenset(("Pleural Effusion", "Costophrenic Angle", "Hydropneumothorax", "Pneumothorax")),
    frozenset(("Catheters, Indwelling", "Implanted Medical Device", "Medical Device", "Tube, Inserted")),
)  # fmt: skip
_NEGATION = re.compile(
    r"\b(no|not|without|negative|free of|clear of|absen\w+|never|resolv\w+|rather|neither|nor)\b", re.I
)
_HEDGE = re.compile(r"\b(may|might|could|possib\w+|question\w*|suspicious|exclude\w*|rule\w*|versus|vs|suggest\w*|evaluat\w+|"
                    r"or|if|recommend\w*|follow\w*|likely|consider\w*|concern\w*|cannot|unlikely)\b", re.I)  # fmt: skip
_COMPARISON = re.compile(r"\b(stable|unchanged|change[ds]?|interval|increas\w+|decreas\w+|improv\w+|wors\w+|prior|previous\w*|"
                         r"compar\w+|again|new\w*|since|persist\w+|resol\w+|remain\w*|progress\w*|larger|smaller|similar|"
                         r"continu\w+|clear(?:ing|ed)|still|redemonstrat\w+|develop\w+)\b", re.I)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edit:
    """A rewritten report and the category its error belongs to (None: no error)."""

    name: str
    text: str
    category: str | None


def sentences(text: str) -> list[str]:
    """A plain splitter: after a full stop, question mark or line break; list numbers stay with their sentence."""
    parts = re.split(r"(?<=[.?!])\s+|\n+", text)
    joined: list[str] = []
    for part in parts:
        if joined and re.fullmatch(r"\d+\.", joined[-1]):
            joined[-1] += " " + part
        elif part.strip():
            joined.append(part)
    return joined


def related(heading: str) -> frozenset[str]:
    """The heading and everything that speaks of the same thing."""
    return frozenset((heading,)).union(*(kin for kin in _KIN if heading in kin))


def _stated(report: Report) -> list[tuple[str, str]]:
    """(heading, sentence) where the sentence plainly asserts a coded finding."""
    found = []
    for heading in sorted(report.headings & SURFACE.keys()):
        pattern = re.compile(rf"\b(?:{SURFACE[heading]})\b", re.I)
        for sentence in sentences(report.text):
            if pattern.search(sentence) and not _NEGATION.search(sentence) and not _HEDGE.search(sentence):
                found.append((heading, sentence))
    return found


def negate(report: Report, _: random.Random, __: Sequence[Report]) -> Edit | None:
    """A plainly asserted coded finding becomes denied, everywhere in the report."""
    for heading, sentence in _stated(report):
        pattern = re.compile(rf"\b(?:{SURFACE[heading]})\b", re.I)
        text = report.text
        if len([s for s in sentences(text) if pattern.search(s)]) != 1 or len(sentence.split()) > 14:
            continue
        start = re.match(r"(There (?:is|are) )(?:a |an |some )?", sentence)
        if start:
            new = f"{start.group(1)}no {sentence[start.end() :]}"
        elif (
            re.match(rf"(?:\d+\. )?(?:\w+ ){{0,2}}(?:{SURFACE[heading]})\b", sentence, re.I) and " is " not in sentence
        ):
            new = re.sub(r"^(\d+\. )?(.)", lambda m: f"{m.group(1) or ''}No {m.group(2).lower()}", sentence)
        else:
            continue
        return Edit("negation flip (denied)", text.replace(sentence, new), "missing_finding")
    return None


_DENIAL = re.compile(
    r"^(?P<start>(?:\d+\. )?)(?:(?:There (?:is|are) )?no|No evidence of|Negative for)(?: (?:evidence of|focal|visible|visualized|definite|acute|large))*"
    r" (?P<what>pleural effusions?|pneumothorax|consolidation|pneumonia|pulmonary edema|effusions?|infiltrates?|cardiomegaly|fractures?)"
    r"(?: (?:is )?(?:seen|identified|noted))?\.$",
    re.I,
)  # fmt: skip
_DENIED = {
    "effusion": "Pleural Effusion", "pneumothorax": "Pneumothorax", "consolidation": "Consolidation", "pneumonia": "Pneumonia",
    "edema": "Pulmonary Edema", "infiltrate": "Infiltrate", "cardiomegaly": "Cardiomegaly", "fracture": "Fractures, Bone",
}  # fmt: skip


def affirm(report: Report, _: random.Random, __: Sequence[Report]) -> Edit | None:
    """A denied finding becomes asserted."""
    for sentence in sentences(report.text):
        match = _DENIAL.match(sentence)
        if match:
            what = match["what"].rstrip("s") if not match["what"].endswith("is") else match["what"]
            heading = _DENIED[what.split()[-1].lower()]
            if related(heading) & report.headings:
                continue
            new = f"{match['start']}There is {what.lower()}."
            return Edit("negation flip (asserted)", report.text.replace(sentence, new), "false_finding")
    return None


_SIDED = {"Pleural Effusion", "Pneumothorax", "Pulmonary Atelectasis", "Opacity", "Consolidation", "Pneumonia", "Infiltrate",
          "Airspace Disease", "Nodule", "Mass", "Granuloma", "Calcified Granuloma", "Cicatrix", "Catheters, Indwelling",
          "Diaphragm", "Fractures, Bone", "Costophrenic Angle", "Density"}  # fmt: skip
_SWAP = {"left": "right", "right": "left"}


def swap_sides(report: Report, _: random.Random, __: Sequence[Report]) -> Edit | None:
    """Left and right exchanged in the whole report, where a coded finding has one side and the text names it near it."""
    for code in report.mesh:
        parts = code.split("/")
        side = next((p for p in parts[1:] if p in _SWAP), None)
        if parts[0] not in _SIDED or side is None:
            continue
        surface = SURFACE.get(
            parts[0],
            {"Diaphragm": r"\w*diaphragms?", "Costophrenic Angle": r"blunt\w*", "Density": r"densit\w+"}.get(
                parts[0], ""
            ),
        )
        near = re.compile(
            rf"\b{side}\b(?!\s+(?:atri|ventric|heart))[^.]*\b(?:{surface})\b|\b(?:{surface})\b[^.]*\b{side}\b(?!\s+(?:atri|ventric|heart))",
            re.I,
        )
        if not any(near.search(s) and not _NEGATION.search(s) for s in sentences(report.text)):
            continue

        def other(match: re.Match[str]) -> str:
            word = _SWAP[match.group().lower()]
            return word.capitalize() if match.group()[0].isupper() else word

        return Edit("side swap", re.sub(r"\b(left|right)\b", other, report.text, flags=re.I), "wrong_location")
    return None


_GRADES = {"minimal": "severe", "trace": "large", "tiny": "large", "mild": "severe", "mildly": "severely", "small": "large",
           "moderate": "minimal", "large": "tiny", "severe": "mild", "severely": "mildly", "marked": "minimal"}  # fmt: skip


def swap_severity(report: Report, _: random.Random, __: Sequence[Report]) -> Edit | None:
    """The grade beside a coded, plainly asserted finding becomes a distant one."""
    for heading, sentence in _stated(report):
        pattern = re.compile(rf"\b({'|'.join(_GRADES)})\b(?=(?:\s+[\w-]+){{0,3}}?\s+(?:{SURFACE[heading]})\b)", re.I)
        match = pattern.search(sentence)
        if heading == "Cardiomegaly" and not match:
            match = re.search(r"\b(mildly|severely)\b(?= enlarged)", sentence, re.I)
        if (
            not match
            or re.match(r"\s+(?:to|or|and)\b", sentence[match.end() :])
            or re.search(r"\bto\s+$", sentence[: match.start()])
        ):
            continue
        word = _GRADES[match.group().lower()]
        word = word.capitalize() if match.group()[0].isupper() else word
        changed = sentence[: match.start()] + word + sentence[match.end() :]
        text = report.text.replace(sentence, changed)
        if len(re.findall(rf"\b(?:{SURFACE[heading]})\b", text, re.I)) == 1:
            return Edit("severity swap", text, "wrong_severity")
    return None


def drop_finding(report: Report, _: random.Random, __: Sequence[Report]) -> Edit | None:
    """Every sentence that names one coded finding is dropped."""
    for heading, _sentence in _stated(report):
        if len(related(heading) & report.headings) > 1:
            continue  # its kin would still stand for it
        pattern = re.compile(rf"\b(?:{SURFACE[heading]})\b", re.I)
        kept = [s for s in sentences(report.text) if not pattern.search(s)]
        if kept:
            return Edit("finding dropped", " ".join(kept), "missing_finding")
    return None


def add_finding(report: Report, rng: random.Random, others: Sequence[Report]) -> Edit | None:
    """A plain finding of another report, foreign to this one, is added."""
    for _ in range(40):
        other = rng.choice(others)
        for heading, sentence in _stated(other):
            foreign = not any(
                re.search(rf"\b(?:{SURFACE[h]})\b", sentence, re.I) for h in SURFACE if h != heading and h in SURFACE
            )
            if related(heading) & report.headings or not foreign or _COMPARISON.search(sentence) or "XXXX" in sentence:
                continue
            text = report.text.rstrip()
            return Edit("finding added", f"{text}{'' if text.endswith('.') else '.'} {sentence}", "false_finding")
    return None


def add_comparison(report: Report, rng: random.Random, _: Sequence[Report]) -> Edit | None:
    """A direction of change is claimed for a coded finding in a report that compares nothing."""
    if _COMPARISON.search(report.text):
        return None
    for heading, sentence in _stated(report):
        if heading in ("Catheters, Indwelling", "Scoliosis") or not sentence.endswith("."):
            continue
        tail = rng.choice((", increased since the previous examination.", ", which has worsened.", ", now improved."))
        return Edit("comparison added", report.text.replace(sentence, sentence[:-1] + tail), "false_comparison")
    return None


_DROPS: Sequence[tuple[str, str]] = (
    (r"\b(?:stable|unchanged|persistent|new|worsening|increasing|decreasing|improving) (?=[a-z])", ""),
    (r"^(?:Stable|Unchanged|Persistent|New|Worsening|Increasing|Decreasing|Improving) (\w)", r"\1"),
    (r"\b(?:is|are|remains?|appears?) (?:stable|unchanged)\b", "is seen"),
    (r",? ?(?:which is |which are )?\b(?:stable|unchanged)(?= from|\.|,|;)", ""),
    (r"\b(?:has|have) (?:increased|decreased|improved|worsened|progressed)\b", "is seen"),
    (r"\b(?:as )?(?:compared (?:to|with)|since|in comparison to) (?:the |a )?(?:prior|previous)\b[^.,;]*", ""),
)  # fmt: skip


def drop_comparison(report: Report, _: random.Random, __: Sequence[Report]) -> Edit | None:
    """Every word of comparison is taken out, where that leaves none."""
    done: list[str] = []
    for sentence in sentences(report.text):
        for pattern, new in _DROPS:
            sentence = re.sub(pattern, new, sentence, flags=0 if pattern.startswith("^") else re.I)
        done.append(sentence)
    text = " ".join(done)
    if re.sub(r"\s+", "", text) == re.sub(r"\s+", "", " ".join(sentences(report.text))) or _COMPARISON.search(text):
        return None
    return Edit("comparison dropped", text, "missing_comparison")


CORRUPTIONS: Sequence[Callable[[Report, random.Random, Sequence[Report]], Edit | None]] = (
    negate, affirm, swap_sides, swap_severity, drop_finding, add_finding, add_comparison, drop_comparison,
)  # fmt: skip

_SYNONYMS: Sequence[tuple[str, str]] = (
    (r"\bpleural effusion\b", "pleural fluid collection"), (r"\bcardiomegaly\b", "enlargement of the heart"),
    (r"\bwithin normal limits\b", "normal"), (r"\bunremarkable\b", "normal"), (r"\bosseous\b", "bony"),
    (r"\bmildly\b", "slightly"), (r"\bmild\b", "slight"), (r"\bhyperexpanded\b", "hyperinflated"), (r"\bscarring\b", "scars"),
    (r"\batelectasis\b", "atelectatic change"), (r"\bThere is no\b", "No evidence of"), (r"\bThere are no\b", "No"),
    (r"\bunchanged\b", "stable"), (r"\bright lower lobe\b", "RLL"), (r"\bleft lower lobe\b", "LLL"), (r"\bbibasilar\b", "bibasal"),
    (r"\bpulmonary nodule\b", "lung nodule"), (r"\bairspace\b", "air space"), (r"\bdegenerative changes\b", "degenerative change"),
    (r"\bhiatal hernia\b", "hiatus hernia"), (r"\bedema\b", "oedema"), (r"\bis seen\b", "is noted"), (r"\bidentified\b", "seen"),
    (r"\bfree of\b", "clear of"), (r"\btortuous\b", "ectatic"),
)  # fmt: skip
_LONG_FORMS: Sequence[tuple[str, str]] = (
    (r"\bCOPD\b", "chronic obstructive pulmonary disease"), (r"\bCHF\b", "congestive heart failure"),
    (r"\bSVC\b", "superior vena cava"), (r"\bCABG\b", "coronary artery bypass graft"), (r"\bNG tube\b", "nasogastric tube"),
    (r"\bET tube\b", "endotracheal tube"), (r"\bRUL\b", "right upper lobe"), (r"\bLLL\b", "left lower lobe"),
    (r"\bPICC\b", "peripherally inserted central catheter"), (r"\bIJ\b", "internal jugular"), (r"\bTB\b", "tuberculosis"),
    (r"\bCP angle", "costophrenic angle"), (r"\bDJD\b", "degenerative joint disease"), (r"\bICD\b", "implantable cardiac defibrillator"),
    (r"\bRML\b", "right middle lobe"), (r"\bRLL\b", "right lower lobe"), (r"\bLUL\b", "left upper lobe"),
)  # fmt: skip


def _replace(text: str, pairs: Sequence[tuple[str, str]]) -> str:
    for pattern, new in pairs:
        text = re.sub(pattern, new, text, flags=re.I if new.islower() or " " in new else 0)
    return text


def harmless(report: Report, rng: random.Random) -> list[Edit]:
    """All rewrites that change something but not what is said."""
    text = report.text
    order = sentences(text)
    rng.shuffle(order)
    listed = "\n".join(f"{i}. {re.sub(r'^[0-9]+[.] ', '', s)}" for i, s in enumerate(sentences(text), 1))
    edits = [
        Edit("sentence order", " ".join(order), None),
        Edit("synonyms", _replace(text, _SYNONYMS), None),
        Edit("upper case", text.upper(), None),
        Edit("lower case, spaced tokens", re.sub(r"([.,;:()])", r" \1 ", text.lower()), None),
        Edit("numbered lines", listed, None),
        Edit("abbreviations expanded", _replace(text, _LONG_FORMS), None),
    ]
    return [e for e in edits if e.text != text]
