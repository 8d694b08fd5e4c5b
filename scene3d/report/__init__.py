"""How well splats explain the photos: numbers, a contact sheet and a page that opens offline.

`evaluate` renders the cameras of a capture and compares them with their photos; `write_report` turns the result into
``report/metrics.json``, ``preview.png`` and ``index.html`` of a scene folder.
"""

from scene3d.report._evaluate import ImageMetrics as ImageMetrics
from scene3d.report._evaluate import Metrics as Metrics
from scene3d.report._evaluate import evaluate as evaluate
from scene3d.report._image_metrics import psnr as psnr
from scene3d.report._image_metrics import psnr_cc as psnr_cc
from scene3d.report._image_metrics import ssim as ssim
from scene3d.report._write import write_report as write_report

__all__ = ["ImageMetrics", "Metrics", "evaluate", "psnr", "psnr_cc", "ssim", "write_report"]
