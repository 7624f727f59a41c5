"""Isolation level ``process``: an operating-system process per organisation and role (docs/isolation.md).

::

    supervisor   all keys; hears the operator alone, and works with its processes, the database and the disk
      front      addresses, TLS; hands each request to the process that it is for
      workers    one per organisation and role: the keys of one vault
      nobody     answers requests for no organisation of ours: no vault at all
"""
