"""The verbs of sim_bridge, one small file each; the command `scene3d` finds them by their entry points."""
