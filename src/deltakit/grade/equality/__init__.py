"""Equality of answers: numbers, units, strings, structure, value; algebra last, in a process that can be killed."""
