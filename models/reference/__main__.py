"""Makes the reference: `python -m minigrad.models.reference FOLDER`."""

import argparse
import sys
from pathlib import Path

from ...utils.install import install_line


def main() -> None:
    """Build the pages, check their links, and say where they are."""
    options = argparse.ArgumentParser(prog="python -m minigrad.models.reference")
    options.add_argument("folder", type=Path, help="where the pages go; older ones are replaced")
    folder = options.parse_args().folder
    try:
        from .build import build
    except ImportError as error:
        sys.exit(f"the reference needs {error.name}: {install_line('docs')}")
    from .links import dead_links

    count = build(folder)
    if dead := dead_links(folder):
        sys.exit("links that lead nowhere:\n" + "\n".join(dead))
    print(f"{count} pages, all links checked; open {folder / 'index.html'}")


if __name__ == "__main__":
    main()
