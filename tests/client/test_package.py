"""The client's wheel holds its tree, and needs httpx alone: it is installed beside trainers with tight pins."""

from __future__ import annotations

import email
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_is_the_tree_and_needs_httpx_only(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), "client"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("reward_service_client-*.whl")
    package = ROOT / "client" / "reward_client"
    tree = {str(p.relative_to(ROOT / "client")) for p in package.rglob("*") if p.suffix in (".py", ".typed")}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        headers = email.message_from_bytes(archive.read(metadata))
    assert packed == tree
    assert "reward_client/py.typed" in packed
    assert headers.get_all("Requires-Dist") == ["httpx>=0.27"]
