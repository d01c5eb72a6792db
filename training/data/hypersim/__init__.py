"""Hypersim: photographs of 461 rendered indoor scenes with exact depth."""
