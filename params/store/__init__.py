"""fnet's own files: one `.safetensors` holds model and params."""
