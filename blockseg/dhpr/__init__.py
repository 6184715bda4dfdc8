"""DHPR, diversity and hardness prioritised region selection: counts, metrics, rules."""
