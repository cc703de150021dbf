"""The bundle that a teacher uploads to Gradescope: set-up, start, the grader's files and the lab's key.

Gradescope runs `setup.sh` once, to make an image, and `run_autograder` for each submission, as root, in a container of
its own with the notebook in /autograder/submission, and reads /autograder/results/results.json.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FILES = (
    "__init__",
    "difference",
    "grader",
    "helpers",
    "learner",
    "limits",
    "secrets",
    "submission",
    "walls",
    "wire",
    "on_gradescope",
)
#: PyTorch's index of builds for machines without a GPU; the ordinary Linux build weighs gigabytes more.
INDEX = "https://download.pytorch.org/whl/cpu"

# No torchvision and no resnet_edu: what is not there cannot be imported. torch's own tests hold a residual network.
SETUP = f"""\
#!/usr/bin/env bash
set -e
apt-get update
apt-get install -y python3 python3-venv
python3 -m venv /autograder/python
/autograder/python/bin/pip install --extra-index-url {INDEX} torch numpy
/autograder/python/bin/pip install matplotlib tqdm packaging
rm -f /autograder/python/lib/python3*/site-packages/torch/testing/_internal/common_quantization.py
"""
RUN = """\
#!/usr/bin/env bash
set -e
mkdir -p /autograder/results
# The learner's process is another user's: key, results and names are not for it.
chmod 700 /autograder/source /autograder/results /autograder/submission
chmod 600 /autograder/submission_metadata.json || true
cd /autograder/source
exec /autograder/python/bin/python -m grading.on_gradescope
"""


def write(key: dict[str, Any], path: Path) -> None:
    """Write the bundle of a lab. The same key gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in (("setup.sh", SETUP), ("run_autograder", RUN), ("key.json", json.dumps(key, indent=1))):
            _add(bundle, name, text)
        for name in FILES:
            _add(bundle, f"grading/{name}.py", (HERE / f"{name}.py").read_text(encoding="utf-8"))


def _add(bundle: zipfile.ZipFile, name: str, text: str) -> None:
    entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
    entry.external_attr = 0o755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    bundle.writestr(entry, text)
