"""Sources of the built-in toolsets. Workers load them as text; the program never imports them."""
