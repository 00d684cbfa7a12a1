"""What the user named -> videos -> clips and frame times."""
