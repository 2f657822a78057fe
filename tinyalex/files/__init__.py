"""Reading and writing files. A file is written completely or not at all, and nothing that is read is executed."""
