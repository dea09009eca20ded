"""What the compiling backends share."""
