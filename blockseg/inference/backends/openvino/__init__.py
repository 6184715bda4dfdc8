"""Networks on OpenVINO. Extra ``cpu``."""
