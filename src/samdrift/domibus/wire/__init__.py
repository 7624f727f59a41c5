"""Messages between a backend and the web-service plugin of Domibus 5: SOAP 1.2 with MTOM.

The names are those of the plugin's published contract (``WebServicePlugin.wsdl``, namespace
``http://eu.domibus.wsplugin/``) in Domibus 5.1 and later.
"""

from samdrift.domibus.wire.answers import (
    AnswerReader,
    errors,
    fault,
    incoming_message,
    marked,
    pending,
    status,
    submitted,
)
from samdrift.domibus.wire.requests import (
    Framing,
    ask_errors,
    ask_own_errors,
    ask_status,
    framing,
    list_pending,
    mark_downloaded,
    retrieve,
    submit,
)
from samdrift.domibus.wire.types import (
    ErrorEntry,
    IncomingMessage,
    MessageStatus,
    OutgoingMessage,
    PluginFault,
)

__all__ = [
    "AnswerReader",
    "ErrorEntry",
    "Framing",
    "IncomingMessage",
    "MessageStatus",
    "OutgoingMessage",
    "PluginFault",
    "ask_errors",
    "ask_own_errors",
    "ask_status",
    "errors",
    "fault",
    "framing",
    "incoming_message",
    "list_pending",
    "mark_downloaded",
    "marked",
    "pending",
    "retrieve",
    "status",
    "submit",
    "submitted",
]
