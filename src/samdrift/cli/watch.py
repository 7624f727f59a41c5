"""`samdrift watch`: mail to the operator when a problem with an installation begins and when it ends."""

from __future__ import annotations

import asyncio
import logging
import signal
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.mail import AlertsConfig, MailConfig
from samdrift.config.model import Config, LogLines, MetricsConfig
from samdrift.config.reader import load
from samdrift.installation.health import Health
from samdrift.installation.loop import run
from samdrift.installation.mailing import mail_server, noted
from samdrift.net.background import in_background
from samdrift.net.client import http_client
from samdrift.net.clock import system_clock
from samdrift.operations.alertmail import AlertMails, AlertMailSettings
from samdrift.operations.watch import Watcher, addresses_of, metrics_of
from samdrift.processes.loglines import write_lines

app = typer.Typer(add_completion=False)
_LOGGER = logging.getLogger("samdrift")


@app.command()
def watch(
    config: Annotated[Path, typer.Option("--config", help="The installation's configuration file (TOML).")],
    trial: Annotated[
        bool, typer.Option("--trial", help="Send one mail now, to see that it arrives, and exit.")
    ] = False,
) -> None:
    """Mail the operator when a problem with an installation begins, and when it ends.

    The rules are those of deploy/monitoring. The command runs separately from the installation, without
    access to its keys and database.
    """
    write_lines(LogLines.TEXT)
    with reported_as_usage_errors():
        loaded = load(config)
        write_lines(loaded.log_lines)
        alerts, mail, metrics = _needed(loaded)
        settings = AlertMailSettings(
            mail.sender,
            alerts.mail_to,
            alerts.name,
            timedelta(minutes=alerts.minutes),
            f"samdrift status --config {loaded.file}",
        )
        mails = AlertMails(settings, mail_server(mail))
        if trial:
            run(mails.send_trial(system_clock()))
        else:
            run(_until_stopped(loaded, mails, mail, metrics))


def _needed(config: Config) -> tuple[AlertsConfig, MailConfig, MetricsConfig]:
    if config.alerts is None or config.mail is None or config.metrics is None:
        raise Unusable("the configuration has no table [alerts]: docs/monitoring.md says what is in it")
    return config.alerts, config.mail, config.metrics


async def _until_stopped(config: Config, mails: AlertMails, mail: MailConfig, metrics: MetricsConfig) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    note = noted(mail, Health(system_clock).note)
    async with http_client(public_only=False) as client:
        addresses = addresses_of(metrics)
        watcher = Watcher(config, addresses, metrics_of(client), mails, system_clock, note)
        async with in_background(watcher.keep(), on_failure=lambda error: stop.set()):
            _LOGGER.info("watching")
            await stop.wait()
    _LOGGER.info("stopped")
