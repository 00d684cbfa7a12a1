"""Sources -> bank: read, decode, encode and store what is not there yet."""
