"""Recipes: steps that have a tool do something become shell text, which runs as any script does.

So their logs, retries, time-outs, masks and fences are those of scripts. A recipe is made of two
parts: lines that say what is wanted, with all values in place and quoted, and one program per kind,
which stands in a file of its own (``http.sh`` and so on) and needs a POSIX shell and the tool.

Nothing that is made from a sensitive value comes to a command line: it goes by the environment, by
standard input, or by a file of the ticket that nobody else can read. What cannot go so is refused.
"""
