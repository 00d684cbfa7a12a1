"""Code that several encoders share, by the library that their networks come from."""
