"""Write what `evaluate-dynamics` fits to the training tosses of each committed network: assets/contact/fitted-*.json.

    .venv/bin/python tests/benchmarks/dynamics_fitted.py [--only NAME ...]

Once after networks were trained; half a minute of one core each. Without these records the verb fits them again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro
from _records import data_folder, say

from dynamics._evaluate_body import cube_body
from dynamics._evaluate_choice import calibrating, fitted_path
from dynamics._evaluate_fitted import fit_to, save_fitted
from dynamics._evaluate_split import default_weights, load_networks
from dynamics._tosses import load_tosses, toss_hash


@dataclass(frozen=True)
class FittedRecords:
    """Fit the records."""

    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME")] = ()
    """Of these networks, all by default."""


def main() -> None:
    """Fit to each network's tosses and write."""
    arguments = tyro.cli(FittedRecords)
    networks = load_networks(default_weights())
    tosses = load_tosses(data_folder() / "cube_toss" / "tosses.npz")
    for name, weights in networks.items():
        if arguments.only and name not in arguments.only:
            continue
        say(name)
        seen = [toss for toss in tosses if toss_hash(toss) in weights.tosses]
        pairs = calibrating(networks, name, seen)
        fitted = fit_to(seen, cube_body(), constants=weights.identified, networks=pairs, progress=say)
        save_fitted(fitted_path(default_weights(), name), fitted)
        say(f"  {fitted.scales}")


if __name__ == "__main__":
    main()
