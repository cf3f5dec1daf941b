"""The language of hooks: Python without the ways out of it, checked before anything runs.

It tells authors, with a line, what they may not say. It is not the boundary: the kernel is. `compiler` reads sources,
`runtime` runs what it made; a child that runs hooks loads the second only.
"""
