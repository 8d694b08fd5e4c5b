"""Pieces of the demo capture's generator: shapes, textures, room, camera path, rendering, ground truth."""
