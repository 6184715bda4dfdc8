"""Block-wise jobs: planned, executed, recorded and resumed, whatever is done to a block."""
