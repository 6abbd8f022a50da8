"""The packs that ship with the project, as data: read them with `importlib.resources`."""
