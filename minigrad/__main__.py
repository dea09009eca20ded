"""`python -m minigrad`: the command `minigrad`, where a shell doesn't find it."""

from importlib import import_module

if __name__ == "__main__":
    import_module("minigrad.models.cli").main()
