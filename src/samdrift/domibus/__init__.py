"""Another supplier's access point, a Domibus, reached through its web-service plugin."""

from samdrift.domibus.accesspoint import DomibusAccessPoint, DomibusSettings
from samdrift.domibus.plugin import Login, Plugin

__all__ = ["DomibusAccessPoint", "DomibusSettings", "Login", "Plugin"]
