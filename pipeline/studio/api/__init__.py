"""The HTTP API: one module for each kind of thing; rules live in the verbs that they call."""
