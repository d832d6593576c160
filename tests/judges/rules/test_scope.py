"""How far denials, doubts and exceptions reach in a sentence. The sentences are ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Describe = Callable[[str], set[str]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # what stands before the last comma has its own say
        ("Small left effusion, pneumothorax not identified.", {"pleural_effusion:left.small", "-pneumothorax"}),
        ("Right IJ line unchanged, left chest tube removed.",
         {"central_line:right", "central_line=stable", "-chest_tube", "chest_tube=resolved"}),
        ("ET tube and NG tube remain in place, Swan-Ganz removed.",
         {"endotracheal_tube", "enteric_tube", "endotracheal_tube=stable", "enteric_tube=stable",
          "-pulmonary_artery_catheter", "pulmonary_artery_catheter=resolved"}),
        ("Left PICC unchanged, right IJ line has been removed.",
         {"picc:left", "picc=stable", "-central_line", "central_line=resolved"}),
        ("Cardiomegaly, small effusion, pneumothorax absent.",
         {"cardiomegaly", "pleural_effusion.small", "-pneumothorax"}),
        ("Bibasilar atelectasis, effusion not seen.", {"atelectasis:both^lower", "-pleural_effusion"}),
        ("Bibasilar atelectasis, pneumonia cannot be excluded.", {"atelectasis:both^lower", "?pneumonia"}),
        ("Mild edema with superimposed infection not excluded.", {"edema.small", "?pneumonia"}),
        # but a plural verb, or an "and" or "or" after that comma, speaks of the list
        ("Pneumothorax, effusion, and edema are not seen.", {"-pneumothorax", "-pleural_effusion", "-edema"}),
        ("Pneumothorax, effusion or edema not identified.", {"-pneumothorax", "-pleural_effusion", "-edema"}),
        ("Edema, pneumonia are unlikely.", {"-edema", "-pneumonia"}),
        ("Small effusion, pneumothorax or edema not seen.", {"pleural_effusion.small", "-pneumothorax", "-edema"}),
        ("The small pneumothorax, seen on the left, is not identified.", {"-pneumothorax"}),
    ],
)  # fmt: skip
def test_what_a_trailing_denial_speaks_of(describe: Describe, text: str, expected: set[str]) -> None:
    assert describe(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The opacity is unlikely to represent pneumonia.", {"lung_opacity", "-pneumonia"}),
        ("Left opacity not likely pneumonia.", {"lung_opacity:left", "-pneumonia"}),
        ("It is unlikely that there is pneumonia.", {"-pneumonia"}),
        ("Pneumonia is unlikely to be present.", {"-pneumonia"}),
        ("Pneumonia is felt to be unlikely.", {"-pneumonia"}),
        ("Pneumonia is not likely.", {"-pneumonia"}),
        ("Pneumonia is doubted.", {"?pneumonia"}),
        ("Findings are not consistent with pneumonia.", {"-pneumonia"}),
        ("Not entirely compatible with edema or pneumonia.", {"-edema", "-pneumonia"}),
        ("There is no opacity consistent with pneumonia.", {"-lung_opacity", "-pneumonia"}),
        ("No opacity likely to represent pneumonia.", {"-lung_opacity", "-pneumonia"}),
        ("No effusion, small basal opacity consistent with pneumonia.",
         {"-pleural_effusion", "lung_opacity.small^lower", "pneumonia^lower"}),
        ("Not typical for pulmonary edema.", {"?edema"}),
        ("Appearance is atypical for pulmonary edema.", {"?edema"}),
        ("The sharp costophrenic angles exclude a pleural effusion.", {"-pleural_effusion"}),
        ("Excludes pneumothorax.", {"-pneumothorax"}),
        ("This does not exclude pneumonia.", {"?pneumonia"}),
        ("The film does not reliably exclude pneumonia.", {"?pneumonia"}),
        ("CT is advised to exclude pneumonia.", set()),
    ],
)  # fmt: skip
def test_a_denial_before_what_something_is_taken_for(describe: Describe, text: str, expected: set[str]) -> None:
    assert describe(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tiny right apical pneumothorax is no longer seen.", {"-pneumothorax", "pneumothorax=resolved"}),
        ("Large right effusion has resolved.", {"-pleural_effusion", "pleural_effusion=resolved"}),
        ("Previously seen small left effusion is not seen.", {"-pleural_effusion"}),
        ("A large effusion is not seen.", {"~pleural_effusion"}),
    ],
)  # fmt: skip
def test_a_grade_of_what_is_gone_leaves_no_rest(describe: Describe, text: str, expected: set[str]) -> None:
    assert describe(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("More likely atelectasis than pneumonia.", {"atelectasis", "?pneumonia"}),
        ("Favor atelectasis over pneumonia.", {"atelectasis", "?pneumonia"}),
        ("Opacity favored to represent atelectasis over pneumonia.", {"lung_opacity", "atelectasis", "?pneumonia"}),
        ("More in keeping with atelectasis than consolidation.", {"atelectasis", "?consolidation"}),
        ("Edema is less likely than infection.", {"?edema", "pneumonia"}),
        ("The effusion is larger than the pneumothorax.",
         {"pleural_effusion", "pneumothorax", "pleural_effusion=worse"}),
        ("Likely atelectasis over the left base.", {"atelectasis:left^lower"}),
    ],
)  # fmt: skip
def test_of_two_findings_that_are_weighed_one_is_only_possible(
    describe: Describe, text: str, expected: set[str]
) -> None:
    assert describe(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Left pleural effusion is unchanged, none on right.", {"pleural_effusion:left", "pleural_effusion=stable"}),
        ("Pleura: small effusion on left, none on right.", {"pleural_effusion:left.small"}),
        ("No effusion on the left, small on the right.", {"pleural_effusion:right.small"}),
        ("No right effusion, but a small left one.", {"pleural_effusion:left.small"}),
        ("There is no left effusion; trace right.", {"pleural_effusion:right.trace"}),
        ("The right pleural effusion is small and the left is moderate.",
         {"pleural_effusion:right.small", "pleural_effusion:left.moderate"}),
        ("Moderate right effusion with small left.",
         {"pleural_effusion:right.moderate", "pleural_effusion:left.small"}),
        ("Effusion on the left has resolved while that on the right persists.",
         {"pleural_effusion:right", "pleural_effusion=stable", "pleural_effusion=resolved"}),
        ("Right chest tube has been removed; left remains in place.",
         {"chest_tube:left", "chest_tube=stable", "chest_tube=resolved"}),
        # a noun of its own
        ("Small right effusion, mild left opacification.", {"pleural_effusion:right.small", "lung_opacity:left.small"}),
        ("Small right effusion, and the left is clear.", {"pleural_effusion:right.small"}),
        ("Bilateral effusions, small on the left and moderate on the right.",
         {"pleural_effusion:left.small", "pleural_effusion:right.moderate"}),
    ],
)  # fmt: skip
def test_a_finding_left_out_of_what_is_said_of_the_other_side(
    describe: Describe, text: str, expected: set[str]
) -> None:
    assert describe(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No consolidation other than at the left base.", {"consolidation:left^lower"}),
        ("No pneumothorax or effusion other than on the left.", {"-pneumothorax", "pleural_effusion:left"}),
        ("No effusion except on the left.", {"pleural_effusion:left"}),
        ("No effusion other than trace on the right.", {"pleural_effusion:right.trace"}),
        ("No pneumothorax other than the tiny left apical component.", {"pneumothorax:left.trace^upper"}),
        ("There is no more than a trace effusion.", {"pleural_effusion.trace"}),
        ("No effusion other than mild edema.", {"-pleural_effusion", "edema.small"}),
        ("No effusion except on the left, no edema.", {"pleural_effusion:left", "-edema"}),
        # there or not
        ("Left lower lobe atelectasis with or without effusion.",
         {"atelectasis:left^lower", "?pleural_effusion:left^lower"}),
        ("Minimal, if any, pleural effusion.", {"?pleural_effusion.trace"}),
        ("Trace if any effusion.", {"?pleural_effusion.trace"}),
        ("Little if any change in the effusion.", {"pleural_effusion", "pleural_effusion=stable"}),
    ],
)  # fmt: skip
def test_an_exception_is_there(describe: Describe, text: str, expected: set[str]) -> None:
    assert describe(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Intubated patient with bilateral opacities.", {"endotracheal_tube", "lung_opacity:both"}),
        ("This is a patient with cardiomegaly and small effusions.", {"cardiomegaly", "pleural_effusion:both.small"}),
        ("History of CHF, now with moderate edema.", {"edema.moderate"}),
        ("History of pneumonia, new right effusion.", {"pleural_effusion:right", "pleural_effusion=new"}),
        ("60 year old patient with pneumonia.", set()),
        ("Patient presents with pneumonia.", set()),
        ("Patient with history of pneumonia, effusion.", set()),
    ],
)  # fmt: skip
def test_a_patient_has_findings_too(describe: Describe, text: str, expected: set[str]) -> None:
    assert describe(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No pneumothorax, bibasilar atelectasis.", {"-pneumothorax", "atelectasis:both^lower"}),
        ("No pneumothorax, biapical scarring.", {"-pneumothorax", "scarring:both^upper"}),
        ("No pneumothorax, increased effusion.", {"-pneumothorax", "pleural_effusion", "pleural_effusion=worse"}),
        ("No pneumothorax, smaller effusion.", {"-pneumothorax", "pleural_effusion", "pleural_effusion=better"}),
        ("No pneumothorax, bibasilar atelectasis, or effusion.",
         {"-pneumothorax", "-atelectasis", "-pleural_effusion"}),
        ("No cardiomegaly, increased effusion or pneumothorax.",
         {"-cardiomegaly", "-pleural_effusion", "-pneumothorax"}),
    ],
)  # fmt: skip
def test_where_a_denied_list_ends(describe: Describe, text: str, expected: set[str]) -> None:
    assert describe(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Multifocal opacities: edema, pneumonia or hemorrhage.",
         {"lung_opacity", "?edema", "?pneumonia", "?pulmonary_hemorrhage"}),
        ("Edema, pneumonia, or hemorrhage.", {"?edema", "?pneumonia", "?pulmonary_hemorrhage"}),
        ("Cardiomegaly and edema, pneumonia or hemorrhage.",
         {"cardiomegaly", "edema", "?pneumonia", "?pulmonary_hemorrhage"}),
        ("Opacities may be chronic or due to mild edema.", {"lung_opacity", "?edema.small"}),
        ("Edema, infection, or a combination of both.", {"?edema", "?pneumonia"}),
        ("Opacities could reflect edema, infection, or a combination of both.",
         {"lung_opacity", "?edema", "?pneumonia"}),
    ],
)  # fmt: skip
def test_alternatives(describe: Describe, text: str, expected: set[str]) -> None:
    assert describe(text) == expected
