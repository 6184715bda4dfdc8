#!/usr/bin/env bash
# torch 2.13.0 on a CPU with AVX-512: bfloat16 conv3d of few planes has weight gradients of noise
#
# A padded 3-D convolution in bfloat16 whose input has fewer planes than its kernel (two planes, kernel
# 3, as in the deepest level of a U-Net that learns from patches of 16) answers rightly, and so does
# the gradient of its input; the gradient of its weights is garbage: as large as the true one in the wrong
# places, now and then 1e30, infinite or NaN, and another one each time. No warning. With three planes,
# with float32, or with oneDNN held to AVX2 it is right.
# Seen (largest error over largest gradient): 2 planes 1.2 or more or NaN, 3 planes 0.003; AVX2 0.003.
#
# Needs Linux on x86-64 with AVX-512, python3 (3.11 or newer) and a package index. Exits with 1 if
# the behaviour has changed.
set -euo pipefail
grep -q avx512bw /proc/cpuinfo || { echo "this CPU has no AVX-512: nothing to see here"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --retries 0 \
    --extra-index-url https://download.pytorch.org/whl/cpu torch==2.13.0+cpu numpy==2.4.6
cd "$folder"
cat > gradient.py <<'PYTHON'
import sys

import torch
from torch.nn import functional


def error(planes):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 8, planes, 4, 4, generator=generator).bfloat16()
    weight = torch.randn(16, 8, 3, 3, 3, generator=generator).bfloat16()
    found = []
    for dtype in (torch.bfloat16, torch.float32):
        kernel = weight.detach().to(dtype).clone().requires_grad_()
        y = functional.conv3d(x.to(dtype), kernel, padding=1)
        y.backward(torch.ones_like(y))
        found.append(kernel.grad.float())
    half, exact = found
    return ((half - exact).abs().max() / exact.abs().max()).item()


two, three = error(2), error(3)
print(f"error of the weights' gradient: {two:.3g} with 2 planes, {three:.3g} with 3")
wrong = not two < 0.1
sys.exit(0 if wrong == (sys.argv[1] == "wrong") and three < 0.1 else 1)
PYTHON
echo "with AVX-512:"
ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 "$folder/venv/bin/python" gradient.py wrong || { echo "the behaviour has changed"; exit 1; }
echo "held to AVX2:"
ONEDNN_MAX_CPU_ISA=AVX2 "$folder/venv/bin/python" gradient.py right || { echo "the behaviour has changed"; exit 1; }
