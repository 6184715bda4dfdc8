"""The networks and their weights: SDASN, VoxResNet, 3-D U-Net."""
