"""One page an affair; each is a function that draws it for a visit."""
