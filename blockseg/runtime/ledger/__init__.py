"""The ledger: the state of every block, in one SQLite file."""
