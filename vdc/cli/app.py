"""The commands, in the order in which help lists them."""

from __future__ import annotations

import typer

from vdc.cli import (
    access,
    apply,
    bench,
    checkpoints,
    clusters,
    doctor,
    fault,
    graph,
    images,
    imports,
    inventory,
    lifecycle,
    looking,
    releases,
    report,
    scenarios,
    topology,
    upgrade,
)

_HELP = """A virtual data centre that tells you whether an upgrade may go ahead.

Exit codes: 0 done, 1 failed, 2 bad input, 3 this host can't, 75 it was too busy to tell, 77 needs root.
"""

_PASSES_OPTIONS_ON = {"allow_interspersed_args": False}


def build_app() -> typer.Typer:
    """Return the command line with every command registered."""
    app = typer.Typer(
        help=_HELP,
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.command("validate")(topology.validate)
    app.command("schema")(topology.schema)
    app.command("plan")(topology.plan)
    app.command("graph")(graph.graph)
    app.command("inventory")(inventory.inventory)
    app.command("up")(lifecycle.up)
    app.command("apply")(apply.apply)
    app.command("list")(lifecycle.list_)
    app.command("status")(lifecycle.status)
    app.command("down")(lifecycle.down)
    app.command("gc")(lifecycle.gc)
    app.command("deploy")(clusters.deploy)
    app.command("kubeconfig")(clusters.kubeconfig)
    app.command("kubectl", context_settings=_PASSES_OPTIONS_ON)(clusters.kubectl)
    app.command("node")(clusters.node)
    app.command("rotate")(clusters.rotate)
    app.command("exec", context_settings=_PASSES_OPTIONS_ON)(access.exec_)
    app.command("console")(access.console)
    app.command("ssh", context_settings=_PASSES_OPTIONS_ON)(access.ssh)
    app.command("logs")(access.logs)
    app.command("power")(access.power)
    app.command("extend")(looking.extend)
    app.command("resume")(looking.resume)
    app.command("bundle")(looking.bundle)
    app.command("test")(scenarios.run_scenarios)
    app.command("bench")(bench.bench)
    app.command("doctor")(doctor.doctor)
    app.command("fork")(checkpoints.fork)
    app.add_typer(checkpoints.build_app(), name="checkpoint")
    app.add_typer(fault.build_app(), name="fault")
    app.add_typer(images.build_app(), name="images")
    app.add_typer(imports.build_app(), name="import")
    app.add_typer(releases.build_app(), name="release")
    app.add_typer(report.build_app(), name="report")
    app.add_typer(upgrade.build_app(), name="upgrade")
    return app
