"""Blocks and centrelines of a synthetic brain, made on many workers."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from blockseg.blockwise.task import OpenTask, Stored, report_of
from blockseg.core.blocks import BlockReport
from blockseg.io.output.writer import PyramidWriter
from blockseg.io.output.written_files import write_block_file
from blockseg.synthesis.truth_tables import MAIN, TRACING
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.neurons.placed import Placed
from blockseg.synthetic.neurons.reconstruction import read_reconstruction
from blockseg.synthetic.neurons.swc import neuron_swc
from blockseg.synthetic.presets import preset
from blockseg.synthetic.truth import block_truth

if TYPE_CHECKING:
    from blockseg.core.blocks import Meter
    from blockseg.core.geometry import Zyx
    from blockseg.core.grid import Block, BlockGrid
    from blockseg.core.stored_file import StoredFile
    from blockseg.io.output.pyramid import OutputDtype, PyramidSpec
    from blockseg.synthetic.neurons.sources import Neurites


@dataclass(frozen=True, slots=True)
class Recipe:
    """Recipe of a synthetic brain."""

    shape: Zyx
    """Voxels."""

    preset: str
    """Kind of brain."""

    seed: int
    """Which one of its kind."""

    swc: tuple[str, ...] = ()
    """Files of real neurons to place; none for procedural ones."""

    voxel_size: tuple[float, float, float] = (1.0, 0.35, 0.35)
    """Along (z, y, x), in µm; what real neurons are scaled by."""

    def brain(self, neurites: Neurites | None = None) -> SyntheticBrain:
        """Return the brain; its neurites may be shared with others of this recipe.

        Raises
        ------
        BlocksegError
            With one line, if there is no such brain.
        """
        if self.swc and neurites is None:
            forms = [read_reconstruction(Path(path)) for path in self.swc]
            params = preset(self.preset)
            neurites = Placed(self.shape, params, self.seed, forms, self.voxel_size)
        return SyntheticBrain(self.shape, self.preset, self.seed, neurites=neurites)


@dataclass(frozen=True, slots=True)
class Synthesis:
    """Makes and writes blocks of a synthetic brain."""

    name: ClassVar[str] = MAIN

    recipe: Recipe
    """Which brain."""

    grid: BlockGrid
    """Its blocks."""

    image: PyramidSpec
    """uint16 grey levels; what its voxels belong to is written beside them."""

    def open(self, cache_bytes: int) -> _Synthesising:  # noqa: ARG002
        """Get ready to draw."""
        return _Synthesising(self)

    def stores(self) -> tuple[Stored, ...]:
        """Return the image, ids of neurons and of branches (0 for none), and the truth."""

        def label(name: str, dtype: OutputDtype, column: str | None) -> Stored:
            within = f"labels/{name}"
            image = replace(
                self.image,
                uri=f"{self.image.uri}/{within}",
                dtype=dtype,
                reduce="max",  # an id stays an id, and thin neurites stay
                name=name,
                within=within,
            )
            return Stored(image, column=column)

        return (
            Stored(self.image),
            label("neurons", "uint32", None),
            label("branches", "uint32", None),
            label("truth", "uint8", "foreground"),
        )

    def reads(self) -> None:
        """Nothing is read."""


class _Synthesising(OpenTask):
    def __init__(self, spec: Synthesis) -> None:
        self._recipe = spec.recipe
        self._neurites = spec.recipe.brain().neurites
        # A brain caches what it draws, and blocks come on several threads.
        self._of_this_thread = threading.local()
        self._writers = [PyramidWriter(stored.pyramid) for stored in spec.stores()]

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        roi = block.write_roi
        with meter("synthesise"):
            brain = self._brain()
            drawn = brain.block(roi)
            known = block_truth(drawn, brain.params.contrast_unit)
        with meter("write"):
            image, neurons, branches, truth = self._writers
            written = (
                image.write_block(roi, drawn.image),
                neurons.write_block(roi, drawn.labels),
                branches.write_block(roi, drawn.branches),
                truth.write_block(roi, drawn.mask),
            )
        place = ",".join(map(str, (block.number, *roi.start, *roi.shape)))
        return report_of(
            block,
            *written,
            foreground=written[-1].nonzero,
            payload=f"{place},{known.row()}\n".encode(),
        )

    def _brain(self) -> SyntheticBrain:
        mine = self._of_this_thread
        if not hasattr(mine, "brain"):
            mine.brain = self._recipe.brain(self._neurites)
        brain: SyntheticBrain = mine.brain
        return brain


@dataclass(frozen=True, slots=True)
class Centrelines:
    """Writes the neurons of a synthetic brain as SWC, part by part."""

    name: ClassVar[str] = TRACING

    recipe: Recipe
    """Which brain."""

    grid: BlockGrid
    """Parts that its neurons are drawn in."""

    out: str
    """The output."""

    within: str
    """Folder of the output where the files go, '/'-separated."""

    voxel_size: tuple[float, float, float]
    """Along (z, y, x), in µm."""

    def open(self, cache_bytes: int) -> _Tracing:  # noqa: ARG002
        """Get ready to draw."""
        return _Tracing(self)

    def stores(self) -> tuple[()]:
        """No image: its files are told by name."""
        return ()

    def reads(self) -> None:
        """Nothing is read."""


class _Tracing(OpenTask):
    def __init__(self, spec: Centrelines) -> None:
        self._spec = spec
        self._brain = spec.recipe.brain()

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        rows: list[str] = []
        files: list[StoredFile] = []
        with meter("trace"):
            for tracing in self._brain.neurites.owned(block.index):
                for neuron in tracing.neurons():
                    tree = neuron_swc(
                        tracing,
                        neuron,
                        voxel_size=self._spec.voxel_size,
                        inside=self._brain.inside,
                    )
                    if tree is None:
                        continue
                    path = f"{self._spec.within}/neuron_{neuron:06d}.swc"
                    text = tree.text.encode()
                    files.append(
                        write_block_file(self._spec.out, path, text, folders=2)
                    )
                    rows += [
                        f"{b.branch},{b.neuron},{b.snr:.4g},{b.length:.1f}\n"
                        for b in tree.branches
                    ]
        return BlockReport(
            block.number, payload="".join(rows).encode(), files=tuple(files)
        )
