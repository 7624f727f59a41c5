"""Object stores over the network: how to reach one, and the causes of its failures.

Waiting for a store that does not answer ends after seconds, since callers try again by themselves and the
health of the installation reports it meanwhile. The store's error texts contain addresses, names of objects,
the id of the access key and what was signed, so only the status and its code are passed on.
"""

from __future__ import annotations

import errno
import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError
from obstore.store import ObjectStore, S3Store, from_url

from samdrift.vault.settings import S3Settings

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

FAILURES = (BaseError, OSError)
"""Errors of obstore; those of a writer are system errors without a number."""
_CONNECT = timedelta(seconds=5)
ANSWER = timedelta(seconds=30)
"""Time limit for one request, which carries at most five megabytes."""
LOOK = timedelta(seconds=10)
"""Time limit for a look at a store, within which it has to answer at all."""
_RETRIES: RetryConfig = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=10),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=2),
        "base": 2,
    },
}
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_REFUSED = re.compile(r"kind: ConnectionRefused")
_TIMED_OUT = re.compile(r"kind: Timeout|timed out")
_WITHOUT_ANSWER = re.compile(r"HTTP error|kind: (?:Connect|Request|Interrupted)")
_UNSET = re.compile(r"Missing(?:Bucket|Region|AccessKeyId|SecretAccessKey)")


def remote_store(place: str | S3Settings) -> ObjectStore:
    """Return the store at a URL, or a bucket with its credentials, without contacting it."""
    client: ClientConfig = {"connect_timeout": _CONNECT, "timeout": ANSWER}
    if isinstance(place, str):
        if place.startswith("memory:"):
            return from_url(place)
        return from_url(place, client_options=client, retry_config=_RETRIES)
    if place.issuers is not None:
        client["root_certificate"] = place.issuers
    if place.endpoint is not None and place.endpoint.startswith("http://"):
        client["allow_http"] = True
    config: S3Config = {
        "access_key_id": place.access_key,
        "secret_access_key": place.secret,
        "region": place.region,
        "virtual_hosted_style_request": place.bucket_in_host,
    }
    if place.endpoint is not None:
        config["endpoint"] = place.endpoint
    return S3Store.from_url(place.url, config=config, client_options=client, retry_config=_RETRIES)


def remote_cause(error: Exception) -> str:
    """Return the cause of a network store's failure: its status and S3's code, or why it is not reached."""
    text = str(error)
    status, code = _STATUS.search(text), _CODE.search(text)
    if status is not None:
        return f"it answers {status[1]}" + (f" {code[1]}" if code else "")
    if code is not None:
        return f"it answers {code[1]}"
    if _REFUSED.search(text):
        return os.strerror(errno.ECONNREFUSED).lower()
    if _TIMED_OUT.search(text):
        return "no answer in time"
    if _WITHOUT_ANSWER.search(text):
        return "it cannot be reached, or the connection breaks"
    unset = _UNSET.search(text)
    return f"{unset[0]}: see vaults.s3" if unset else type(error).__name__
