"""The store: journals on disk, one writer, and the tables that are folded from them."""
