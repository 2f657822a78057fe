"""Every number of the paper beside ours: the rows, the functions that compute our values, and the page that is made of both."""
