"""Dask: the cluster, the actor in its workers, the tasks in flight."""
