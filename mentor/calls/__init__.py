"""Tool calls as data: the schemas they follow and the check of their arguments. Runs nothing."""
