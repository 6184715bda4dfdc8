"""Runs that several drivers do, a share each, with nothing in common but the plan."""
