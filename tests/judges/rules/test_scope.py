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
def test_of_two_findings_that_are_weighed_one_is_only_possible(describe: Describe, text: str, expected: set[str]) -> None:
    assert describe(text) == expected
