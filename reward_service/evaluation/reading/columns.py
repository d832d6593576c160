"""Which column holds the candidates, the references, the ids and the earlier reports."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from reward_service.errors import InvalidRequest, did_you_mean

ROLES = ("candidate", "reference", "id", "prior")
AND = "+"
"""Between the names of columns that together hold a text: ``findings+impression``."""
_NAMES = {
    "candidate": "candidate candidates prediction predictions predicted pred preds generated generated_report "
    "generated_text generation hypothesis hypotheses hyp hyps res result_report output model_output completion "
    "candidate_report predicted_report prediction_report pred_report report_generated response",
    "reference": "reference references target targets ground_truth groundtruth ground_truth_report gt gts ref refs "
    "reference_report gold gold_report label labels answer true_report report_reference original_report report",
    "id": "id study_id studyid study uid uuid report_id sample_id example_id item_id image_id dicom_id key name index",
    "prior": "prior prior_report previous_report prior_study previous",
}
USUAL: Mapping[str, tuple[str, ...]] = {role: tuple(names.split()) for role, names in _NAMES.items()}
"""Names that public files of results give each role, the plainest first; case, spaces and dashes do not matter."""

_NO_ID = "none"
_NO_IDS = "no column of ids found (--id-field NAME): rows are numbered, and compared only where all references agree"


class WrongColumns(InvalidRequest):
    """The names of the columns do not tell what is needed: a fault of all rows that have these names."""


@dataclass(slots=True)
class Columns:
    """Finds the roles among the names of a row's fields. `given`: names that the user said, by role."""

    given: Mapping[str, str | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What was recognised, for the user: ``using prediction → candidate``."""
    _known: dict[tuple[str, ...], dict[str, str]] = field(default_factory=dict)

    def of(self, names: Iterable[str]) -> dict[str, str]:
        """Role -> name of the field. Raises `InvalidRequest` when candidate or reference cannot be told."""
        key = tuple(names)
        if key not in self._known:
            self._known[key] = self._find(key)
        return self._known[key]

    def _find(self, names: tuple[str, ...]) -> dict[str, str]:
        roles: dict[str, str] = {}
        for role in ROLES:
            name = self.given.get(role)
            if role == "id" and name == _NO_ID:
                continue
            if name is not None:
                lacking = [part for part in parts(name, names) if part not in names]
                if lacking:
                    name = lacking[0]
                    raise WrongColumns(f"there is no field '{name}'.{did_you_mean(name, names)}", param="IN")
            else:
                taken = {
                    part for said in (*self.given.values(), *roles.values()) if said for part in parts(said, names)
                }
                name = _usual(role, [n for n in names if n not in taken])
            if name is not None:
                roles[role] = name
        self._say(roles)
        return roles

    def _say(self, roles: Mapping[str, str]) -> None:
        if "id" not in roles and _NO_IDS not in self.notes and self.given.get("id") != _NO_ID:
            self.notes.append(_NO_IDS)
        for role, name in roles.items():
            note = f"using {name} → {role}"
            if name not in (role, f"{role}s") and note not in self.notes:
                self.notes.append(note)


def parts(name: str, names: Collection[str]) -> list[str]:
    """The columns that `name` stands for: itself, or those that it joins with a plus sign."""
    return [name] if name in names or AND not in name else [part.strip() for part in name.split(AND)]


def likely(role: str, names: Iterable[str]) -> list[str]:
    """Names that have a usual one for the role in them: `prediction_ours` may hold candidates."""
    return [name for name in names if any(f"_{usual}_" in f"_{_plain(name)}_" for usual in USUAL[role])]


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name.strip().lower()).strip("_")


def _usual(role: str, names: Iterable[str]) -> str | None:
    plain = {_plain(name): name for name in names}
    found = [plain[usual] for usual in USUAL[role] if usual in plain]
    first = USUAL[role][: 2 if role in ("candidate", "reference") else 1]
    if len(found) > 1 and role in ("candidate", "reference") and not any(name in plain for name in first):
        if role == "reference" and found[-1].lower() == "report":  # a plain `report` is the least likely one
            found.pop()
        if len(found) > 1:
            raise WrongColumns(
                f"{' and '.join(found[:3])} may each be the {role}; say which: --{role}-field {found[0]}.", param="IN"
            )
    return found[0] if found else None
