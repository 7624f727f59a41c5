"""Isolation level ``process``: an operating-system process per organisation and role (docs/isolation.md).

::

    supervisor   all keys; commands only from the operator; runs its processes, the database and the disk
      front      addresses and TLS; forwards each request to the process that serves it
      workers    one per organisation and role, each with the keys of one vault
      nobody     answers requests for organisations that are not served here; opens no vault
"""
