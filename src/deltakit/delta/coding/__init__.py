"""How numbers lie in bytes: tight codes, planes, factors."""
