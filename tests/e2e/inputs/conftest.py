"""Sources that mislead, given to every command that reads one.

What is said of a source counts for all of them: ``refused`` and ``doubted`` give it to
each. Training and picking read their own layouts and have tests of their own.
"""

import warnings

import pytest

from blockseg.core.errors import SourceWarning

CHEAP = ("--backend", "fake", "--scheduler", "serial")


@pytest.fixture(autouse=True)
def _doubts_are_said_and_not_raised():
    with warnings.catch_warnings():
        warnings.simplefilter("always", SourceWarning)
        yield


@pytest.fixture
def reading(tmp_path):
    """Return the words of each command that reads a source, by its name."""

    def words(source, *options):
        out = tmp_path / "written"
        return {
            "plan": ["plan", source, out / "run.zarr", *CHEAP[:2], *options],
            "run": ["run", source, out / "run.zarr", *CHEAP, *options],
            "convert": ["convert", source, out / "copy.zarr", *CHEAP[2:], *options],
            "metrics": ["metrics", source, out / "metrics.zarr", *CHEAP[2:], *options],
            "predict": ["predict", source, "-o", out / "single", *CHEAP[:2], *options],
        }

    return words


@pytest.fixture
def refused(blockseg, reading, tmp_path):
    """Check that every command refuses a source in one line and writes nothing."""

    def check(source, *parts, options=()):
        for name, words in reading(source, *options).items():
            done = blockseg(*words, code=1)
            lines = [line for line in done.output.splitlines() if line.strip()]
            errors = [line for line in lines if line.startswith("Error: ")]
            assert len(errors) == 1, (name, done.output)
            for part in parts:
                assert part in errors[0], (name, part, errors[0])
            assert not (tmp_path / "written").exists(), name
        shown = blockseg("info", source, *options, code=None)
        for part in parts:
            assert part in shown.output, shown.output

    return check


@pytest.fixture
def doubted(blockseg, reading):
    """Check that every command says a line about a source and goes on."""

    def check(source, *parts, options=(), silent=()):
        for name, words in reading(source, *options).items():
            lines = blockseg(*words).output.splitlines()
            texts = [line for line in lines if line.startswith("Warning: ")]
            for part in parts:
                assert any(part in text for text in texts), (name, part, texts)
            for part in silent:
                assert not any(part in text for text in texts), (name, part, texts)
        shown = blockseg("info", source, *options)
        assert all(part in shown.output for part in parts), shown.output
        assert not any(part in shown.output for part in silent), shown.output

    return check
