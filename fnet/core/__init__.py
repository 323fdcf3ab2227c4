"""What a model is: layers, their composition, masks, what follows from shape rules."""
