"""How good heads, encoders and searches are, measured on labelled clips."""
