"""Scripts for Isaac Sim and Isaac Lab, which run them in interpreters of their own; README.md says what was run."""
