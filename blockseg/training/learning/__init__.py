"""The training loop: forward pass, losses, optimiser, validation."""
