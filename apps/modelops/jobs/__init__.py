"""A training job: asked for, queued, run in a subprocess of its own, followed, stopped."""
