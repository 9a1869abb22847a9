"""Data sets and generators looked at: measured, told, shown."""
