"""Limits of containers and batch jobs."""

import pytest

from blockseg.runtime.cgroups import control_groups

GIB = 2**30
NONE = 2**63


@pytest.fixture
def root(tmp_path):
    return tmp_path / "cgroup"


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(str(text))


def own(root, text):
    file = root.parent / "own"
    file.write_text(text)
    return file


def test_without_control_groups_there_are_no_limits(root):
    limits = control_groups(root, root / "none")
    assert (limits.memory, limits.free, limits.cores) == (NONE, NONE, NONE)


def test_max_is_no_limit(root):
    write(root, memory__max="max", memory__current=5, cpu__max="max 100000")
    assert control_groups(root, root / "none").memory == NONE


def test_a_container_sees_its_own_limits_at_the_root(root):
    write(root, memory__max=4 * GIB, memory__current=GIB, cpu__max="250000 100000")
    limits = control_groups(root, own(root, "0::/\n"))
    assert (limits.memory, limits.free, limits.cores) == (4 * GIB, 3 * GIB, 2)


def test_the_narrowest_of_nested_groups_binds(root):
    write(root / "slurm", memory__max=8 * GIB, memory__current=0)
    write(root / "slurm/job_1", memory__max=2 * GIB, memory__current=0)
    write(root / "slurm/job_1/step", memory__max="max", cpu__max="400000 100000")
    limits = control_groups(root, own(root, "0::/slurm/job_1/step\n"))
    assert (limits.memory, limits.cores) == (2 * GIB, 4)


def test_the_page_cache_counts_as_free(root):
    write(
        root,
        memory__max=4 * GIB,
        memory__current=3 * GIB,
        memory__stat=f"anon {GIB}\nfile {2 * GIB}\n",
    )
    assert control_groups(root, root / "none").free == 3 * GIB


def test_version_one_has_a_tree_for_each_controller(root):
    write(
        root / "memory/slurm/job",
        memory__limit_in_bytes=GIB,
        memory__usage_in_bytes=GIB // 2,
    )
    write(root / "cpu/slurm", cpu__cfs_quota_us=300000, cpu__cfs_period_us=100000)
    text = "9:memory:/slurm/job\n4:cpu,cpuacct:/slurm/job\n1:name=systemd:/x\n"
    limits = control_groups(root, own(root, text))
    assert (limits.memory, limits.free, limits.cores) == (GIB, GIB // 2, 3)


def test_a_quota_below_one_core_leaves_one(root):
    write(root, cpu__max="50000 100000")
    assert control_groups(root, root / "none").cores == 1


def test_a_quota_of_minus_one_is_none(root):
    write(root / "cpu", cpu__cfs_quota_us=-1, cpu__cfs_period_us=100000)
    assert control_groups(root, root / "none").cores == NONE
