"""The READMEs of the project, and the commands in them."""

import re

from places import ROOT

FOLDERS = ("minigrad", "backends", "models", "tests", "benchmarks", "docs")


def readmes():
    """Their paths: of the checkout, and of each folder that has one."""
    below = (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("README.md")))
    return [ROOT / "README.md", *below]


def commands(text):
    """The lines in shell blocks and the code in sentences and tables that call minigrad."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    return [line for line in lines if re.match(r"(\w+=\S+ )*(\S*/)?minigrad [a-z-]", line)]
