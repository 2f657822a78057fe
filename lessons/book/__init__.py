"""The book: static pages from the notebooks, which open from the file system and ask no network for anything."""
