"""Who may do what. In this version: an actor acts only at its own node."""
