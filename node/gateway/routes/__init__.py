"""One module an affair: its shapes and its calls."""
