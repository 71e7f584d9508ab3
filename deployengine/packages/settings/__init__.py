"""Variables written into configuration files by path, and nothing else in them changed.

A variable ``Logging:Level:Default`` (or ``logging.level.default``) goes to where a file has such a
path of keys; the place of an entry in a list counts from 0. The file is not written anew: only the
text of the value changes, so comments, order and layout stay.
"""
