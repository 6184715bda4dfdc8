"""Neurites of synthetic brains: drawn at random, or real ones placed anew."""
