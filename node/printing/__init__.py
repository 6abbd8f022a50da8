"""What people print: pure functions from the client's values to text and to pages of HTML."""
