"""State -> State: the physics side of the world. Knows nothing of pictures.

For now this package owns what everything to its right shares: rotations and poses (`dynamics.poses`).
Bodies, contact and the learned network join it with their own issues.
"""
