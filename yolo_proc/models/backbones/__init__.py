"""Backbones, one a file; the registry finds them here."""
