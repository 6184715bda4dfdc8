"""Groups of the options of ``blockseg run``: who takes them, and which leave results alone."""

SOURCES = ("info", "metrics", "convert", "propose-annotations", "export", "view")
IMAGES = (*SOURCES, "train")
METRICS = ("metrics",)
VIEW = ("view",)
REGIONS = ("metrics", "convert", "export")
OUTPUTS = ("metrics", "convert", "synth")
DERIVED = ("label", "skeletonize", "regions", "density", "export")
JOBS = (*OUTPUTS, *DERIVED)
REPORTED = ("label", "skeletonize")
REPAIRS = (*JOBS, "verify", "retry")

EXECUTION = frozenset(
    {
        "allow_empty",
        "allow_gaps",  # stands in the source's VolumeSpec
        "attempts",
        "scheduler",
        "listen",
        "insecure",
        "workers",
        "memory",
        "ledger",
        "verify",
        "exhaustive",
        "metrics",
        "dhpr",
        "report",
    }
)
"""Settings that leave every byte of the segmentation alone: a resumed run may change
them."""
