"""Changes of a scene's objects, as pure functions: Scene in, Scene out.

Each takes the scene and the name of an object. Splats lie in the frame of their body, so moving, renaming or weighing
an object touches none of them. `scene3d edit` strings these functions together and saves the result once.
"""

from __future__ import annotations

from scene3d.edit._attributes import rename, set_mass, set_material
from scene3d.edit._duplicate import duplicate
from scene3d.edit._merge import merge
from scene3d.edit._move import move, put
from scene3d.edit._place import Place
from scene3d.edit._remove import remove
from scene3d.edit._split import split

__all__ = ["Place", "duplicate", "merge", "move", "put", "remove", "rename", "set_mass", "set_material", "split"]
