"""The backends that come with minigrad; each is found through its entry point."""
