"""What is known of each Keras class and operation."""
