"""Backends: what computes the network, a package or a module each."""
