"""Fakes of backends, devices and TensorRT, for the tests of whoever builds on blockseg."""
