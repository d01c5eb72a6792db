"""Offline training: distillation of diffusion teachers into one-step depth students."""
