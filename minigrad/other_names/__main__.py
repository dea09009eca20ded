"""Writes the page "Coming from PyTorch" from the table: `python -m minigrad.other_names`."""

from ..utils.files import replace_file
from .page import PATH, page

if __name__ == "__main__":
    replace_file(PATH, page().encode())
    print(f"wrote {PATH}")
