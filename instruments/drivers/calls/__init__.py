"""Instruments that are asked to do something and give values back: Python functions and commands, each in a process of its own."""
