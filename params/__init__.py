"""Parameter pytrees: loaders from Keras files and live models, and the safetensors store."""
