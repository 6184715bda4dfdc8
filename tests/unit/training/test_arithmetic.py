"""What a precision comes to on a device."""

import pytest
import torch

from blockseg.core.errors import ConfigError
from blockseg.inference.processor import Processor
from blockseg.training.learning.arithmetic import arithmetic, arithmetic_note

CPU = torch.device("cpu")
AMX, VECTORS, PLAIN = (Processor("a CPU", unit) for unit in ("amx", "avx512", ""))


@pytest.mark.parametrize("this", [AMX, VECTORS, PLAIN])
def test_a_cpu_trains_in_float32_and_refuses_float16(this):
    assert arithmetic("auto", CPU, this) == "float32"
    assert arithmetic("bfloat16", CPU, this) == "bfloat16"
    with pytest.raises(ConfigError, match="float16 needs a GPU"):
        arithmetic("float16", CPU, this)


def test_fast_is_bfloat16_where_a_cpu_has_amx():
    assert arithmetic("fast", CPU, AMX) == "bfloat16"
    assert (
        arithmetic("fast", CPU, VECTORS) == arithmetic("fast", CPU, PLAIN) == "float32"
    )


@pytest.mark.parametrize("precision", ["auto", "fast"])
@pytest.mark.parametrize(
    ("known", "expected"), [(True, "bfloat16"), (False, "float16")]
)
def test_on_a_gpu_fast_is_what_auto_is(precision, known, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: known)
    assert arithmetic(precision, torch.device("cuda"), PLAIN) == expected


@pytest.mark.parametrize(
    ("precision", "this", "said"),
    [
        ("auto", AMX, "--precision fast learns in bfloat16"),
        ("auto", VECTORS, None),
        ("fast", AMX, None),
        ("fast", PLAIN, "no AMX: --precision fast learns in float32"),
        ("float32", AMX, None),
        ("bfloat16", AMX, None),
        ("bfloat16", VECTORS, "no AMX: bfloat16 may take longer"),
    ],
)
def test_a_line_says_what_another_precision_is_worth(precision, this, said):
    note = arithmetic_note(precision, arithmetic(precision, CPU, this), CPU, this)
    assert (note is None) == (said is None)
    assert (said or "") in (note or "")
    assert arithmetic_note(precision, "float32", torch.device("cuda"), this) is None
