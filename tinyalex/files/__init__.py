"""Bytes in and out: files are written whole or not at all, and nothing that is read is executed."""
