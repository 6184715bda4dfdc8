"""Clusters of several machines, by Dask's own launchers: a file a launcher."""
