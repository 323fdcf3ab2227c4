"""Pictures of models and of their activations: SVG and PNG, without a library."""
