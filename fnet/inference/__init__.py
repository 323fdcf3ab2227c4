"""Running models: the door, batches, compiled forms, streams, labels."""
