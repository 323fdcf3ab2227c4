"""Pictures of models and of what flows in them: SVG and PNG, written here."""
