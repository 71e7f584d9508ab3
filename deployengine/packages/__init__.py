"""Packages on their way from a feed to a machine, as a library: no database, no engine.

::

    feed --find, fetch--> the file as it was published      sha256 of its bytes
                            |  read with limits (archives)
                            v
                          one canonical tar.gz in the cache   digest of the tar in it
                            |                  |
                            |                  `--configuration files with values put in--> script
                            v
                          machine: <tickets>/.packages/<digest>, then <into>/releases/…, current

What a stranger wrote is parsed on the worker alone, with limits. A machine gets an archive that
this engine wrote, and needs ``tar`` and ``gzip``. The digest is that of the tar and not of the
compressed file, since another zlib may compress the same into other bytes.
"""
