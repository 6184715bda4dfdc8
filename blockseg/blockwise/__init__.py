"""Block-wise jobs: planned, executed, recorded and resumed, whatever they do."""
