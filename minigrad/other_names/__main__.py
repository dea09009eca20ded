"""Writes the page "Coming from PyTorch" from the table: `python -m minigrad.other_names`."""

from .page import PATH, page

if __name__ == "__main__":
    PATH.write_text(page(), encoding="utf-8")
    print(f"wrote {PATH}")
