"""A desk's own certificate: options before variables, and mistakes told before anything is tried."""

from pathlib import Path

import click
from click.testing import CliRunner

from hallctl.cli.link import link_options, target_of
from hallctl.errors import ConfigError


@click.command()
@link_options
def probe(config, broker, site, controller, as_json) -> None:
    """Prints what would be used."""
    try:
        tls = target_of(config, broker, site, controller).settings.tls
    except ConfigError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo("none" if tls is None else f"{tls.ca_file} {tls.cert_file} {tls.key_file}")


def run(*args: str, **env: str) -> str:
    result = CliRunner().invoke(probe, args, env={"HALLCTL_CAFILE": "", "HALLCTL_CERT": "", "HALLCTL_KEY": "", **env})
    return result.output.strip()


SECURE = ("--broker", "mqtts://mq.example.org")


def test_options_go_before_variables() -> None:
    assert run(*SECURE) == "None None None"
    assert run(*SECURE, "--cafile", "ca", "--cert", "c", "--key", "k") == "ca c k"
    assert run(*SECURE, HALLCTL_CAFILE="va", HALLCTL_CERT="vc", HALLCTL_KEY="vk") == "va vc vk"
    assert run(*SECURE, "--cert", "c", HALLCTL_CAFILE="va") == "va c None"


def test_without_tls_a_certificate_is_a_mistake_and_a_variable_is_not() -> None:
    assert "for TLS: write --broker mqtts://HOST" in run("--broker", "mqtt://mq", "--cert", "c")
    assert run("--broker", "mqtt://mq", HALLCTL_CERT="vc") == "none"


def test_the_broker_may_come_from_a_variable_and_a_named_document_goes_first(tmp_path: Path) -> None:
    assert run("--cafile", "ca", HALLCTL_BROKER=SECURE[1]) == "ca None None"
    document = tmp_path / "controller.yaml"
    document.write_text("site: s\ncontroller: c\nbroker: {host: mq, tls: {ca_file: /ca.pem}}\n")
    assert run("--config", str(document), HALLCTL_BROKER=SECURE[1]) == "/ca.pem None None"
    assert run("--config", str(document), *SECURE) == "None None None"


def test_a_key_needs_its_certificate() -> None:
    assert "--key goes with --cert" in run(*SECURE, "--key", "k")


def test_with_the_document_of_a_box_the_desk_uses_its_own_certificate(tmp_path: Path) -> None:
    document = tmp_path / "controller.yaml"
    document.write_text("site: s\ncontroller: c\nbroker: {host: mq, tls: {ca_file: /ca.pem, identity: id.pem}}\n")
    assert "this box's certificate is for its daemon" in run("--config", str(document))
    assert run("--config", str(document), "--cert", "mine") == "/ca.pem mine None"
    document.write_text("site: s\ncontroller: c\nbroker: {host: mq, tls: {}}\n")
    assert run("--config", str(document)) == "None None None"
