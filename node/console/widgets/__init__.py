"""What pages are made of: plain HTML elements with labels, tables, notices, the frame."""
