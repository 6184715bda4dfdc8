"""Backends of devices: grey levels in, bytes out, copies beside computing."""
