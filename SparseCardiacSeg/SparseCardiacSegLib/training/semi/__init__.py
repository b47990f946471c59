"""Training on few annotations and many images: a network teaches itself what nobody drew."""
