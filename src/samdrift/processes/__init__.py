"""Isolation level ``process``: an operating-system process per organisation and role (docs/isolation.md).

::

    supervisor   all keys; hears only the operator, and works with its processes, the database and the disk
      front      addresses, TLS; hands each request to its process
      workers    one per organisation and role: the keys of one vault
      nobody     answers requests for no organisation of ours: no vault at all
"""
