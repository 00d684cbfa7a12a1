"""What every other folder uses: types, errors, recipes, results, vectors, files. No video, no torch."""
