"""The data of training: catalogs of songs, matching and previews, stores of spectrograms."""
