"""Machines from the inventories that people have already: Ansible's, and the ``ssh_config``.

A file's format is told (:mod:`reading`), its text becomes a :class:`listing.Listing` of hosts and
groups with their variables (:mod:`ini`, :mod:`yaml_format`, :mod:`list_format`,
:mod:`vars_folders`; :mod:`ssh_config`), some of its hosts are chosen (:mod:`selection`), what they
say is put into the words of a catalog (:mod:`way`), and each is an item of the
catalog as if somebody had written it there (:mod:`machines`).

Nothing is run, decrypted or worked out on the way: what would need that is told.
"""
