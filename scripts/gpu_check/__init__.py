"""Check the numbers and the speed of a GPU: parts that each run in a process of their own, `every_part` starts them."""
