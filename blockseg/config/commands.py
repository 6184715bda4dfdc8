"""Commands that take options of a run, too."""

from __future__ import annotations

OF_SOURCES = ("info", "metrics", "convert", "propose-annotations", "export")
OF_IMAGES = (*OF_SOURCES, "train")
OF_METRICS = ("metrics",)
OF_REGIONS = ("metrics", "convert", "export")
OF_OUTPUTS = ("metrics", "convert", "synth")
DERIVED = ("label", "skeletonize", "regions", "density", "export")
OF_JOBS = (*OF_OUTPUTS, *DERIVED)
OF_REPAIRS = (*OF_JOBS, "verify", "retry")
