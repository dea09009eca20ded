"""Sound: speech made by espeak-ng, WAV files, and the features that networks hear."""
