"""Pages and numbers of a run on a scheduler's dashboard, ours or another's."""
