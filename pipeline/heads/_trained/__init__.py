"""What a trained head carries beside its classifier, and how it is stored."""
