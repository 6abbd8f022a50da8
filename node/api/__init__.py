"""The local API: what programs on this machine ask of the node, over a socket in its folder.

One servicer an affair turns messages into values and back; it decides nothing.
Calls that write run one after the other in a thread of their own, calls that
read in others, so that no call holds up the event loop or the links.
"""
