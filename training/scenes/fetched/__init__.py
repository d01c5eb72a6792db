"""Reading of the packages that `training.scenes.fetch` downloads."""
