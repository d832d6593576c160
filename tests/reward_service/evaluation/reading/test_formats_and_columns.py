"""One table of two reports in every format that people have, and the words that come for a wrong one."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reward_service.errors import InvalidRequest
from reward_service.evaluation.reading.columns import Columns
from reward_service.evaluation.reading.entries import Entry, Input
from reward_service.evaluation.reading.formats import opened

ROWS = [
    {"study_id": 7, "prediction": 'Small effusion,\n"new".', "target": "Small effusion – no pneumothorax.", "sex": "F"},
    {"study_id": 8, "prediction": "Größe normal.", "target": "Clear lungs.", "sex": "M"},
]
CSV = (
    "study_id,prediction,target,sex\n"
    '7,"Small effusion,\n""new"".",Small effusion – no pneumothorax.,F\n'
    "8,Größe normal.,Clear lungs.,M\n"
)
LATIN = CSV.replace("–", "-")


def parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def excel(rows: list[dict[str, Any]]) -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    book, out = openpyxl.Workbook(), io.BytesIO()
    for cells in (list(rows[0]), *(list(row.values()) for row in rows)):
        book.active.append(cells)
    book.save(out)
    return out.getvalue()


def packed(name: str, content: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, content)
    return out.getvalue()


def read(path: Path | str, allow_empty: bool = False, encoding: str | None = None, **fields: str) -> list[Entry]:
    with opened([str(path)], encoding) as sources:
        source = Input(sources, Columns(fields), allow_empty)
        census = source.check()
        found = list(source.entries())
        assert census.entries == len(found)
        return found


FILES = {
    "rows.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS).encode(),
    "lines.json": "".join(json.dumps(row) + "\r\n" for row in ROWS).encode(),
    "array.json": json.dumps(ROWS, indent=2).encode(),
    "lists.json": json.dumps({name: [row[name] for row in ROWS] for name in ROWS[0]}, indent=1).encode(),
    "lists in one line.json": json.dumps({name: [row[name] for row in ROWS] for name in ROWS[0]}).encode(),
    "nested.json": json.dumps({"model": "x", "seed": 1, "predictions": ROWS}).encode(),
    "by id.json": json.dumps({str(row["study_id"]): {**row, "id": row["study_id"]} for row in ROWS}, indent=1).encode(),
    "pandas.json": json.dumps({name: {str(i): row[name] for i, row in enumerate(ROWS)} for name in ROWS[0]}).encode(),
    "plain.csv": CSV.encode(),
    "mark.csv": CSV.encode("utf-8-sig"),
    "crlf.csv": CSV.replace("M\n", "M\r\n").replace("F\n", "F\r\n").replace("sex\n", "sex\r\n").encode(),
    "sixteen.csv": CSV.encode("utf-16"),
    "sixteen without mark.csv": CSV.encode("utf-16-le"),
    "semicolons.csv": CSV.replace(",", ";").replace("effusion;", "effusion,").encode(),
    "tabs.tsv": CSV.replace(",", "\t").replace("effusion\t", "effusion,").encode(),
    "packed.csv.gz": gzip.compress(CSV.encode()),
    "packed.jsonl.zst": pa.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode(), "zstd", asbytes=True),
    "table.parquet": parquet(ROWS),
    "table.xlsx": excel(ROWS),
    "no ending": CSV.encode(),
    "semicolons with commas in a name.csv": CSV.replace(",", ";").replace("effusion;", "effusion,").replace(
        "study_id", "study_id;seen, read, or told, or both"
    ).replace("\n7", "\n7;x").replace("\n8", "\n8;x").encode(),
    "bars.csv": CSV.replace(",", "|").replace("effusion|", "effusion,").encode(),
    "told to Excel.csv": b"sep=|\n" + CSV.replace(",", "|").replace("effusion|", "effusion,").encode(),
    "tabs.csv": CSV.replace(",", "\t").replace("effusion\t", "effusion,").encode(),
    "long lines.json": "".join(json.dumps({**row, "note": "x" * 70_000}) + "\n" for row in ROWS).encode(),
    "index of pandas.xlsx": excel([{"": i, **row} for i, row in enumerate(ROWS)]),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_the_same_table_is_the_same_entries(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    entries = read(tmp_path / name)
    assert [(e.id, e.candidates, e.references) for e in entries] == [
        (str(row["study_id"]), (row["prediction"],), (row["target"],)) for row in ROWS
    ]
    assert [(e.carried or {})["sex"] for e in entries] == ["F", "M"]


def test_an_older_encoding_is_named_and_can_be_given(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(LATIN.encode("latin-1"))
    with pytest.raises(InvalidRequest, match=r"line 4 is not utf-8 \(byte 0xf6\).*--encoding latin-1"):
        read(tmp_path / "a.csv")
    assert read(tmp_path / "a.csv", encoding="latin-1")[1].candidates == ("Größe normal.",)


@pytest.mark.parametrize("name", ["UTF-16", "utf_16", "utf-16", "utf-16-le", "UTF-32"])
def test_an_encoding_has_many_names(tmp_path: Path, name: str) -> None:
    marked = CSV if name != "utf-16-le" else "\ufeff" + CSV
    (tmp_path / "a.csv").write_bytes(marked.encode(name))
    assert [e.id for e in read(tmp_path / "a.csv", encoding=name)] == ["7", "8"]


@pytest.mark.parametrize("name", ["hex", "rot13", "latin-99"])
def test_what_is_no_encoding_of_text_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_text(CSV)
    with pytest.raises(InvalidRequest, match=f"There is no encoding '{name}'"):
        read(tmp_path / "a.csv", encoding=name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad.xlsx", b"PK\x03\x04" + b"x" * 30, "bad.xlsx is no Excel file"),
        ("packed.csv.zip", packed("packed.csv", CSV), r"packed.csv.zip is no Excel file .*unpack"),
        ("old.xls", b"\xd0\xcf\x11\xe0" + b"x" * 30, r"old Excel \(.xls\). Save it as .xlsx or CSV"),
        ("a.xlsx.gz", gzip.compress(excel(ROWS)), "unpack it; Excel files are compressed by themselves"),
        (
            "a.csv",
            b"prediction~target\nClear.~Clear lungs.\n",
            "one column: is something else than a comma",
        ),
    ],
    ids=["damaged Excel", "archive", "old Excel", "packed Excel", "unknown delimiter"],
)
def test_a_file_that_is_something_else_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidRequest, match=message):
        read(tmp_path / name)


def test_carried_columns_belong_to_the_input(tmp_path: Path) -> None:
    """A run that is resumed must not mix the columns of two files."""
    digests = []
    for sex in ("F", "M"):
        (tmp_path / "a.csv").write_text(CSV.replace(",F", f",{sex}"))
        with opened([str(tmp_path / "a.csv")]) as sources:
            digests.append(Input(sources, Columns({})).check().digest)
    assert digests[0] != digests[1]


def test_standard_input_is_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(CSV.encode())))
    assert [e.id for e in read("-")] == ["7", "8"]


@pytest.mark.parametrize(
    ("header", "roles"),
    [
        ("generated,ground_truth", {"candidate": "generated", "reference": "ground_truth"}),
        ("gts,res", {"reference": "gts", "candidate": "res"}),
        ("Hyp,Ref", {"candidate": "Hyp", "reference": "Ref"}),
        ("report,generated report", {"reference": "report", "candidate": "generated report"}),
        ("report,target,pred", {"reference": "target", "candidate": "pred"}),
        ("label,reference,candidate,output", {"candidate": "candidate", "reference": "reference"}),
        ("dicom_id,study_id,pred,gt,prior_report",
         {"id": "study_id", "candidate": "pred", "reference": "gt", "prior": "prior_report"}),
    ],
)  # fmt: skip
def test_the_usual_names_are_recognised(header: str, roles: dict[str, str]) -> None:
    assert Columns().of(header.split(",")) == roles


def test_what_is_recognised_is_told_once() -> None:
    columns = Columns()
    columns.of(["id", "prediction", "reference"])
    columns.of(["id", "prediction", "reference", "sex"])
    assert columns.notes == ["using prediction → candidate"]


def test_that_rows_are_numbered_is_told_once() -> None:
    columns = Columns()
    columns.of(["candidate", "reference"])
    columns.of(["candidate", "reference", "sex"])
    assert [note.partition(" (")[0] for note in columns.notes] == ["no column of ids found"]
    wanted = Columns({"id": "none"})
    wanted.of(["candidate", "reference"])
    assert wanted.notes == []


def test_a_wrong_name_of_a_column_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("pred,truth\na,b\nc,d\ne,f\n")
    with pytest.raises(InvalidRequest) as caught:
        read(tmp_path / "a.csv", reference="thruth")
    assert caught.value.message == f"{tmp_path / 'a.csv'}: there is no field 'thruth'. Did you mean 'truth'?"


def test_columns_that_are_lacking_are_said_once_with_likely_ones(tmp_path: Path) -> None:
    rows = [{"study_id": i, "prediction_base": "a", "prediction_ours": "b", "reference": "c"} for i in range(30)]
    (tmp_path / "a.csv").write_text("\n".join([",".join(rows[0]), *(",".join(map(str, r.values())) for r in rows)]))
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for name, start in (("a.csv", f"{tmp_path / 'a.csv'}: needs"), ("a.jsonl", "Line 1 and 29 more: needs")):
        with pytest.raises(InvalidRequest) as caught:
            read(tmp_path / name)
        assert caught.value.message.startswith(start)
        assert caught.value.message.count("needs 'candidate'") == 1
        likely = "Likely: --candidate-field prediction_base, --candidate-field prediction_ours."
        assert caught.value.message.endswith(likely)


def test_ids_are_unique_within_each_system(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,system,pred,ref\n1,x,a,b\n1,y,a,b\n")
    with opened([str(tmp_path / "a.csv")]) as sources:
        assert Input(sources, Columns(), system="system").check().entries == 2
        with pytest.raises(InvalidRequest, match=r"repeats an earlier id.*--system COLUMN"):
            Input(sources, Columns()).check()
        with pytest.raises(InvalidRequest, match=r"a\.csv: there is no column 'sistem'\. Did you mean 'system'"):
            Input(sources, Columns(), system="sistem").check()
    (tmp_path / "b.csv").write_text("id,system,pred,ref\n1,x,a,b\n1,x,a,b\n")
    with opened([str(tmp_path / "b.csv")]) as sources, pytest.raises(InvalidRequest, match="Line 3 repeats"):
        Input(sources, Columns(), system="system").check()


WRONG = {
    "gap.csv": ("id,candidate,reference\n1,,Clear.\n2,Clear.,nan\n", "Line 2: candidate: is empty", "Line 3: reference: is NaN"),
    "null.jsonl": ('{"candidate": "a", "reference": null}', "Line 1: reference: is empty", "--allow-empty"),
    "nan.json": ('[{"candidate": "a", "reference": NaN}]', "Entry 1: reference: is NaN", ""),
    "number.jsonl": ('{"candidate": 3, "reference": "b"}', "Line 1: candidate: must be text, not int", ""),
    "same.csv": ("id,pred,ref\n1,a,b\n2,a,b\n1,c,d\n", "Line 4 repeats an earlier id, that of line 2", "--id-field none"),
    "ragged.csv": ("pred,ref\na,b\nc,d,e\n", "Line 3: has 3 cells; the header names 2", "quotes"),
    "quote.csv": ('pred,ref\na,"b\nc,d\n', "Line 2 is not CSV", ""),
    "twice.csv": ("pred,pred\na,b\n", "'pred' stands twice", ""),
    "which.csv": ("pred,hyp,ref\na,b,c\n", "pred and hyp may each be the candidate", "--candidate-field pred"),
    "none.csv": ("first,second\na,b\n", "none.csv: needs 'candidate'", "'first', 'second'"),
    "uneven.json": ('{"pred": ["a"], "ref": ["b", "c"]}', "differ in length: 'pred' 1, 'ref' 2", ""),
    "number.json": ("[1]", "Entry 1: must be an object", ""),
    "cut.csv.gz": (gzip.compress(CSV.encode() * 9)[:-20], "damaged", ""),
    "bad.parquet": (b"PAR1" + b"x" * 50, "is not Parquet", ""),
    "empty list.jsonl": ('{"candidate": "a", "references": []}', "Line 1: references: the list is empty", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_by_line_and_column(tmp_path: Path, name: str) -> None:
    content, *words = WRONG[name]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidRequest) as caught:
        read(tmp_path / name)
    for word in words:
        assert str(word) in caught.value.message


def test_empty_cells_are_empty_reports_on_request(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("pred,ref\n,Clear.\n")
    assert read(tmp_path / "a.csv", allow_empty=True)[0].candidates == ("",)


def test_a_column_without_a_name_has_no_role(tmp_path: Path) -> None:
    """pandas writes its index so."""
    (tmp_path / "a.csv").write_text(",pred,ref\n0,a,b\n1,c,d\n")
    found = read(tmp_path / "a.csv")
    assert [(e.id, e.prior, e.carried) for e in found] == [("line-2", None, {"": "0"}), ("line-3", None, {"": "1"})]


def test_two_columns_may_be_one_reference(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("id,pred,Findings,Impression,sex\n1,Clear.,Lungs clear.,Normal.,F\n2,Mass.,,A mass.,M\n")
    with pytest.raises(InvalidRequest, match=r"--reference-field Findings\+Impression"):
        read(path)
    first, second = read(path, reference="Findings+Impression")
    assert (first.references, second.references) == (("Lungs clear.\nNormal.",), ("A mass.",))
    assert first.carried == {"sex": "F"}
    with pytest.raises(InvalidRequest, match="no field 'Conclusion'"):
        read(path, reference="Findings+Conclusion")


def test_an_object_is_read_as_its_json(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps({"id": 1, "candidate": "Clear.", "reference": {"conclusion": "Lungs clear."}}))
    assert read(path)[0].references == ('{"conclusion":"Lungs clear."}',)


def test_several_references_and_candidates(tmp_path: Path) -> None:
    entry = {"id": "a", "candidates": ["x", "y"], "references": ["r", "s", "t"]}
    (tmp_path / "a.jsonl").write_text(json.dumps(entry))
    (tmp_path / "a.csv").write_text('id,candidate,references\na,x,"[""r"", ""s""]"\n')
    (found,) = read(tmp_path / "a.jsonl")
    assert (found.pairs, found.grouped, found.several) == (6, True, True)
    (found,) = read(tmp_path / "a.csv")
    assert (found.references, found.grouped, found.several) == (("r", "s"), False, True)


def cells(*values: str) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(values[i : i + 2] for i in range(0, len(values), 2))
    return out.getvalue()


def test_a_list_is_a_list_whatever_its_column_is_called(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(cells("pred", "truth", "x", ' ["r", "s"]', "y", "[Preliminary] Clear.", "z", "[**"))
    (tmp_path / "a.jsonl").write_text(json.dumps({"pred": "x", "truth": '["r", "s"]'}))
    (tmp_path / "a.parquet").write_bytes(parquet([{"pred": "x", "truth": '["r", "s"]'}]))
    lists, report, other = read(tmp_path / "a.csv", reference="truth")
    assert (lists.references, lists.several) == (("r", "s"), True)
    assert (report.references, report.several) == (("[Preliminary] Clear.",), False)
    assert other.references == ("[**",)
    for name in ("a.jsonl", "a.parquet"):
        assert read(tmp_path / name, reference="truth")[0].references == ("r", "s")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ('["r", "s"', "looks like a list and is no JSON"),
        ('["r" "s"]', "looks like a list"),
        ("['r', 's']", "looks like a list"),
        ("[]", "the list is empty"),
        ('["r", 3]', r"\[1\]: must be text, not int"),
        ('["r", null]', r"\[1\]: is empty"),
    ],
)
@pytest.mark.parametrize("column", ["references", "truth"])
def test_a_list_that_is_none_is_refused_with_its_place(tmp_path: Path, written: str, words: str, column: str) -> None:
    (tmp_path / "a.csv").write_text(cells("pred", column, "x", "Clear.", "y", written))
    with pytest.raises(InvalidRequest, match=f"^Line 3: {column}.*{words}"):
        read(tmp_path / "a.csv", reference=column)


def test_what_a_model_wrote_like_a_list_stays_its_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(cells("pred", "ref", '["cut', "Clear.", '["x", "y"]', "Clear."))
    cut, rollouts = read(tmp_path / "a.csv")
    assert (cut.candidates, rollouts.candidates) == (('["cut',), ("x", "y"))
    (tmp_path / "b.csv").write_text(cells("candidates", "ref", '["cut', "Clear."))
    with pytest.raises(InvalidRequest, match="Line 2: candidates: looks like a list"):
        read(tmp_path / "b.csv")


def test_blanks_alone_are_an_empty_cell(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(cells("pred", "ref", " \t\u00a0", "Clear."))
    with pytest.raises(InvalidRequest, match="Line 2: pred: is empty"):
        read(tmp_path / "a.csv")
    assert read(tmp_path / "a.csv", allow_empty=True)[0].candidates == ("",)
    (tmp_path / "b.csv").write_text("id,prior,pred,ref\n  ,  ,x,Clear.\n")
    found = read(tmp_path / "b.csv")[0]
    assert (found.id, found.prior) == ("line-2", None)


def test_several_files_have_one_rule_for_ids(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("id,pred,ref\n1,a,b\n")
    with opened([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]) as sources:
        with pytest.raises(InvalidRequest, match=r"b\.csv: line 2 repeats an earlier id"):
            Input(sources, Columns()).check()
        assert Input(sources, Columns({"id": "none"})).check().entries == 2


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    digests = []
    for name in ("plain.csv", "table.parquet", "array.json"):
        (tmp_path / name).write_bytes(FILES[name])
        with opened([str(tmp_path / name)]) as sources:
            digests.append(Input(sources, Columns()).check().digest)
    assert len(set(digests)) == 1
