"""Training data: shards, samples, and batches that are a function of the seed and the step."""
