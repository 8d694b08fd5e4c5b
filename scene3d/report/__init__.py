"""How well splats explain the photos: numbers, a contact sheet and a page that opens offline.

`evaluate` renders the cameras of a capture and compares them with their photos; `write_report` turns the result into
``report/metrics.json``, ``preview.png`` and ``index.html`` of a scene folder. `write_objects_report` adds the sheet and
the table of a segmented scene's objects, `renew_gallery` pictures of its rollouts and screenshots.
"""

from scene3d.report._evaluate import ImageMetrics as ImageMetrics
from scene3d.report._evaluate import Metrics as Metrics
from scene3d.report._evaluate import evaluate as evaluate
from scene3d.report._gallery import renew_gallery as renew_gallery
from scene3d.report._image_metrics import psnr as psnr
from scene3d.report._image_metrics import psnr_cc as psnr_cc
from scene3d.report._image_metrics import ssim as ssim
from scene3d.report._object_table import object_lines as object_lines
from scene3d.report._object_table import object_rows as object_rows
from scene3d.report._object_table import print_object_table as print_object_table
from scene3d.report._overlay_sheet import overlay_sheet as overlay_sheet
from scene3d.report._overlay_sheet import renew_objects_report as renew_objects_report
from scene3d.report._overlay_sheet import write_objects_report as write_objects_report
from scene3d.report._write import write_report as write_report

__all__ = [
    "ImageMetrics",
    "Metrics",
    "evaluate",
    "object_lines",
    "object_rows",
    "overlay_sheet",
    "print_object_table",
    "psnr",
    "psnr_cc",
    "renew_gallery",
    "ssim",
    "write_objects_report",
    "write_report",
]
