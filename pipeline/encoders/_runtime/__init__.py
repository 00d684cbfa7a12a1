"""How a forward pass is run: device, precision, threads, checks."""
