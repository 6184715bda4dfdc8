"""How a machine is divided among workers."""

from dataclasses import replace

import pytest

from blockseg.core.errors import ConfigError
from blockseg.runtime.memory import Machine, Need, machine, plan_layout

GIB = 2**30
SMALL = Need(block_bytes=50 * 2**20, engine_bytes=GIB // 2)


def whole(cores, gib, gpus=0):
    return Machine(cores, int(gib * GIB), int(gib * GIB), gpus)


def test_with_enough_memory_every_core_gets_a_worker():
    layout = plan_layout(whole(16, 128), SMALL)
    assert (layout.workers, layout.inference_threads) == (16, 1)
    assert layout.threads_per_worker == 2


def test_with_little_memory_fewer_workers_share_the_cores():
    layout = plan_layout(whole(16, 8), SMALL)
    assert 1 <= layout.workers < 16
    assert layout.workers * layout.inference_threads <= 16
    assert layout.inference_threads == 16 // layout.workers
    assert layout.workers * layout.peak_bytes <= 8 * GIB


def test_the_last_thing_to_go_is_reading_ahead():
    need = Need(block_bytes=GIB, engine_bytes=GIB)
    layout = plan_layout(whole(4, 4.2), need)
    assert (layout.workers, layout.threads_per_worker) == (1, 1)


def test_a_block_that_does_not_fit_is_refused_with_numbers():
    need = Need(block_bytes=20 * GIB, engine_bytes=GIB)
    with pytest.raises(ConfigError, match=r"needs 21\.4 GiB and .* choose a smaller"):
        plan_layout(whole(4, 16), need)


@pytest.mark.parametrize("workers", [1, 3, 64])
def test_what_the_user_says_is_taken_as_it_is(workers):
    layout = plan_layout(
        whole(4, 8), SMALL, workers=workers, threads_per_worker=5, inference_threads=7
    )
    assert (layout.workers, layout.threads_per_worker) == (workers, 5)
    assert layout.inference_threads == 7


def test_memory_that_others_use_is_not_planned_with():
    free = plan_layout(whole(8, 32), SMALL)
    used = plan_layout(Machine(8, 32 * GIB, 4 * GIB), SMALL)
    assert used.workers < free.workers


def test_with_gpus_each_has_one_worker_that_reads_ahead():
    layout = plan_layout(whole(32, 256, gpus=4), SMALL)
    assert layout.workers == 4
    assert layout.threads_per_worker == 8


@pytest.mark.parametrize("cores", [1, 2, 7, 128])
@pytest.mark.parametrize("gib", [2, 4, 16, 1024])
def test_no_layout_overcommits_cores_or_expects_to_hit_its_limit(cores, gib):
    layout = plan_layout(whole(cores, gib), SMALL)
    assert layout.workers >= 1
    assert layout.workers * layout.inference_threads <= cores
    assert layout.peak_bytes < layout.memory_limit
    assert layout.workers * layout.peak_bytes < gib * GIB


def test_a_user_s_many_workers_still_get_a_limit_above_their_need():
    layout = plan_layout(whole(4, 8), SMALL, workers=64)
    assert layout.memory_limit > layout.peak_bytes


def test_a_cache_takes_of_what_is_spare_and_is_counted_in_the_peak():
    layout = plan_layout(whole(4, 16), SMALL)
    assert layout.spare_bytes > GIB
    kept = layout.with_cache(GIB)
    assert kept.cache_bytes == GIB
    assert kept.peak_bytes == layout.peak_bytes + GIB
    assert kept.spare_bytes == layout.spare_bytes - GIB
    assert kept.peak_bytes < kept.memory_limit


@pytest.mark.parametrize("gib", [2, 5, 64])
def test_what_is_spare_fits_beside_all_workers(gib):
    layout = plan_layout(whole(4, gib), SMALL)
    assert layout.workers * (layout.peak_bytes + layout.spare_bytes) <= gib * GIB
    assert plan_layout(whole(4, gib), SMALL, workers=64).spare_bytes == 0


def test_this_machine_has_something_to_offer():
    here = machine()
    assert here.cores >= 1
    assert 0 < here.available <= here.memory


def test_a_container_s_limits_bound_the_machine(tmp_path):
    (tmp_path / "memory.max").write_text(str(GIB))
    (tmp_path / "memory.current").write_text(str(GIB // 4))
    (tmp_path / "cpu.max").write_text("100000 100000")
    here = machine(tmp_path, tmp_path / "none")
    assert (here.memory, here.cores) == (GIB, 1)
    assert here.available <= GIB - GIB // 4


def test_what_decoding_takes_counts_for_each_thread_and_for_the_driver():
    plain = plan_layout(whole(4, 16), SMALL, workers=1, threads_per_worker=2)
    large = plan_layout(
        whole(4, 16),
        replace(SMALL, decoding_bytes=GIB),
        workers=1,
        threads_per_worker=2,
    )
    assert large.peak_bytes == plain.peak_bytes + 2 * GIB
    assert large.spare_bytes == plain.spare_bytes - 3 * GIB


@pytest.mark.parametrize("workers", [None, 4])
def test_chunks_that_do_not_fit_are_refused_whoever_chose_the_workers(workers):
    need = replace(SMALL, decoding_bytes=9 * GIB)
    with pytest.raises(ConfigError, match=r"9\.0 to decode the large chunks"):
        plan_layout(whole(4, 16), need, workers=workers)
