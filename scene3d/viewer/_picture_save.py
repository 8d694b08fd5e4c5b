"""Pictures that leave the page: downloads, and screenshots that the scene's report keeps.

The browser draws the page itself (`Screenshot`), our renderer what the Picture tab shows. What is kept lies in
``SCENE/report/screenshots/NNN.png`` and in the report's gallery.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from scene3d._errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from viser import ClientHandle, ViserServer

    from scene3d.viewer._session import Session

__all__ = ["add_save_buttons", "keep_screenshot", "png_of"]

SCREENSHOTS = "screenshots"
MOST_KEPT = 999
PATIENCE = 20.0
"""Seconds that a browser may take to draw."""


def add_save_buttons(session: Session, server: ViserServer, render: Callable[[], NDArray[np.uint8] | None]) -> None:
    """Add buttons that save what ``render`` gives, or the page itself."""
    gui = server.gui
    save = gui.add_button("Download PNG", hint="The picture above at full size, as a file.")
    shoot = gui.add_button(
        "Screenshot", hint="The page's own view as a file; it is kept in the gallery of the scene's report too."
    )

    @save.on_click
    def _(event: Any) -> None:
        if event.client is None:
            return
        picture = render()
        if picture is not None:
            event.client.send_file_download(f"{_name(session)}.png", png_of(picture), save_immediately=True)

    @shoot.on_click
    def _(event: Any) -> None:
        client = event.client
        if client is not None:
            session.jobs.run("Screenshot", lambda tell: _shoot(session, client))


def keep_screenshot(folder: Path, picture: NDArray[np.uint8]) -> Path:
    """Keep a picture (H, W, 3) in a scene's report and in its gallery.

    Raises:
        OutputError: It cannot be written, or too many are kept.
    """
    from scene3d.files._atomic import make_folder, write_atomic
    from scene3d.report._gallery import renew_gallery

    where = folder / "report" / SCREENSHOTS
    make_folder(where)
    taken = [int(path.stem) for path in where.glob("*.png") if path.stem.isdecimal()]
    number = max(taken, default=0) + 1
    if number > MOST_KEPT:
        raise OutputError(f"{where} holds {number - 1} screenshots already. Delete some of them.")
    path = where / f"{number:03d}.png"
    write_atomic(path, [png_of(picture)])
    renew_gallery(folder)
    return path


def png_of(picture: NDArray[np.uint8]) -> bytes:
    """An image (H, W, 3) or (H, W, 4) as a PNG file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _shoot(session: Session, client: ClientHandle) -> None:
    camera = client.camera
    picture = client.get_render(camera.image_height, camera.image_width, transport_format="jpeg", timeout=PATIENCE)
    path = keep_screenshot(session.folder, picture[..., :3])
    client.send_file_download(f"{_name(session)}-{path.name}", path.read_bytes(), save_immediately=True)


def _name(session: Session) -> str:
    return session.folder.resolve().name
