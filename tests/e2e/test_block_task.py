"""The capability of docs/block-task.md, whose file and test are run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "block-task.md"


def test_the_capability_of_the_documentation_passes_its_test(tmp_path):
    files = dict(
        re.findall(
            r"^```python\n# (\S+)\n(.*?)^```",
            PAGE.read_text(encoding="utf-8"),
            re.MULTILINE | re.DOTALL,
        )
    )
    assert list(files) == ["block_maxima.py", "test_block_maxima.py"]
    for name, code in files.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "test_block_maxima.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
