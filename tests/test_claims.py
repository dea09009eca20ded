"""What the documents say is so: install lines, figures, names."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_no_text_installs_a_package_of_that_name_from_an_index():
    """minigrad is on no index; another project of this name may be."""
    installs = re.compile(r"pip install (?!-e )\S*minigrad")
    paths = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    paths = [ROOT / path for path in paths] or [p for p in ROOT.rglob("*.*") if p.is_file()]
    texts = [path for path in paths if path.suffix in (".py", ".md", ".toml", ".sh", "")]
    assert len(texts) > 100
    found = [
        f"{path.name}: {line.strip()}"
        for path in texts
        if path.is_file()
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if installs.search(line)
    ]
    assert found == []
