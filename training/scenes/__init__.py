"""Synthetic training images with exact depth: scenes, renderer, camera model and data sets."""
