"""`minigrad doctor`."""

import json

import click

from minigrad.doctor import exit_code, report, table
from minigrad.utils.settings import wrong_settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def doctor(as_json: bool) -> None:
    """Say which backends work here, and if not, why not; and which settings are wrong.

    Exits with 0 if the current backend works and no setting is wrong, else with 1.

    \b
    Examples:
      minigrad doctor
      MINIGRAD_BACKEND=numba minigrad doctor --json
    """
    rows = report()
    click.echo(json.dumps(rows, indent=2) if as_json else table(rows))
    for sentence in wrong_settings() if as_json else ():
        click.echo(f"! {sentence}", err=True)
    raise SystemExit(exit_code(rows))
