"""Where the studio of the tests is, and what opens it."""

HOST = "127.0.0.1:8000"
TOKEN = "a token for tests"
