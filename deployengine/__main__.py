"""``python -m deployengine``: the same as the ``deployengine`` command."""

from deployengine.cli.main import main

main()
