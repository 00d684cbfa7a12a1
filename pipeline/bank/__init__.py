"""Stored clips, vectors, outcomes and labels: Parquet parts that appear whole or not at all."""
