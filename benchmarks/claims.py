"""Are the figures of the READMEs so? Computes again what can be, and says what can't and why.

    python benchmarks/claims.py [reviews] [gradcheck]

Without arguments it checks both: accuracies on film reviews (15 trainings and a naive Bayes; the
reviews are downloaded once), and what minigrad's gradient checks catch in 20 seeds. Each figure is
printed as the page has it and as found; the exit status is 1 if one is wrong. What is cheap (how
many ops, lines, cases, commands and files there are) is checked by tests/project/test_claims.py.
"""

from __future__ import annotations

import argparse
import math
import re
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "models" / "tasks" / "README.md", ROOT / "benchmarks" / "README.md"]

NOT_CHECKED = {
    "times, and factors between them": "they depend on the machine; each table names the "
    "benchmark that measured it",
    "PyTorch's, JAX's and autograd's rows of the table of gradient checks": "they need these "
    "libraries: python benchmarks/gradcheck.py --seeds 20",
    "what runs on a GPU": "there is none here: minigrad gpu-report",
}

Claim = tuple[str, str, str, bool]  # what, on its page, found, whether they agree


def text_of_pages() -> str:
    """The pages with figures, one after the other."""
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def table_rows(first_cell: str) -> dict[str, list[str]]:
    """The rows of the table whose second column is headed so, by their first cell."""
    lines = text_of_pages().splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith(f"| | {first_cell}")]
    (start,) = starts
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows[name] = cells
    return rows


def stated(pattern: str) -> str:
    """What a page says where this pattern has its group."""
    found = re.search(pattern, " ".join(text_of_pages().split()))
    if found is None:
        raise SystemExit(f"no page says anything like {pattern!r} any more")
    return found[1]


def two_digits(x: float) -> str:
    """As on the pages: .77."""
    return f"{x:.2f}".lstrip("0")


def reviews() -> Iterator[Claim]:
    """Accuracies on held-out film reviews: of the layers, of naive Bayes, of one answer for all."""
    from minigrad.models.tasks.review_task import Reviews, ReviewSettings
    from minigrad.models.training.loop import fit
    from minigrad.models.training.results import run_of

    for name, cells in table_rows("accuracy").items():
        figures = []
        for seed in range(5):
            task = Reviews(ReviewSettings(cell=name.lower(), seed=seed))
            metrics = run_of(fit(task)).metrics
            figures.append(metrics["test"]["accuracy"])
        mean, low, high = statistics.mean(figures), min(figures), max(figures)
        found = f"{two_digits(mean)} ({two_digits(low)} to {two_digits(high)})"
        # A last digit may differ: arithmetic differs in the last bits between processors.
        numbers = [float(x) for x in re.findall(r"\.\d+", cells[0])]
        near = all(abs(a - b) < 0.0151 for a, b in zip(numbers, (mean, low, high), strict=True))
        yield f"accuracy of {name}", cells[0], found, near

    for name, pattern in (("always the same answer", ""), ("naive Bayes", "[^:]*")):
        said = stated(rf"{name}{pattern}: (\.\d+)")
        found = two_digits(metrics["baselines"][name])
        yield name, said, found, said == found
    n = len(task.labels["test"])
    said, found = stated(r"standard error of (\.\d+)"), f"{math.sqrt(0.78 * 0.22 / n):.3f}"[1:]
    yield "standard error of an accuracy", said, found, said == found


def gradcheck() -> Iterator[Claim]:
    """What minigrad's checks catch, miss and leave open on the benchmark's cases."""
    sys.path.insert(0, str(Path(__file__).parent))
    import gradcheck as benchmark

    outcomes = benchmark.run(benchmark.minigrad(), range(20))
    bugs, right, hard, evaluations, _ = table_rows("bugs")["minigrad"]
    for kind, said in {"bug": bugs, "right": right, "hard": hard}.items():
        verdicts = [o.verdict for o in outcomes if o.kind == kind]
        found = f"{verdicts.count(benchmark.REFUSED)} of {len(verdicts)}"
        yield f"refused of kind {kind}", said, found, said == found
    found = str(sum(o.verdict == benchmark.UNDECIDED for o in outcomes))
    said = stated(r"minigrad calls (\d+) of the right or hard ones INCONCLUSIVE")
    yield "INCONCLUSIVE", said, found, said == found
    found = f"{statistics.median(o.evaluations for o in outcomes):.0f}"
    yield "evaluations, the median", evaluations, found, evaluations == found


def main() -> None:
    """Check the chosen groups of figures; exit with 1 if one is wrong."""
    groups: dict[str, Callable[[], Iterator[Claim]]] = {"reviews": reviews, "gradcheck": gradcheck}
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("groups", nargs="*", choices=[*groups, []], metavar="|".join(groups))
    chosen = options.parse_args().groups or list(groups)
    wrong = 0
    print(f"{'':40}{'page':>24}{'found':>24}")
    for group in chosen:
        for what, said, found, right in groups[group]():
            wrong += not right
            print(f"{what:40}{said:>24}{found:>24}{'' if right else '  WRONG'}", flush=True)
    print("\nnot checked:")
    for what, why in NOT_CHECKED.items():
        print(f"- {what}: {why}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
