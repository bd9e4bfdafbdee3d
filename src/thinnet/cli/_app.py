"""The commands and their options; each imports its work when it runs, so that --help needs neither torch nor pandas."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, invoke_without_command=True)

Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON on stdout, everything else on stderr.")]
Model = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of a model saved by thinnet fit.", show_default=False)
]
TimeLimit = Annotated[float, typer.Option(min=1.0, help="Seconds to train.", metavar="SECONDS")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Random seed. Results also depend on --time-limit.")]


class AskedTask(StrEnum):
    """What to predict."""

    auto = "auto"
    classification = "classification"
    regression = "regression"


Table = Annotated[
    Path, typer.Argument(metavar="TABLE", help="CSV, TSV (also .gz), Parquet or Feather.", show_default=False)
]
Target = Annotated[str, typer.Option(help="Name of the column to predict.", metavar="COL")]
TaskOption = Annotated[AskedTask, typer.Option(help="auto decides by the values of the target.")]
Test = Annotated[
    Path | None,
    typer.Option(
        help="Report the score on this table, used for neither training nor model selection.", metavar="TABLE"
    ),
]
Polish = Annotated[
    bool, typer.Option("--polish", help="Finish sparse networks with full-batch steps, so that more weights are zero.")
]
Refit = Annotated[
    bool,
    typer.Option(
        "--refit",
        help="Fine-tune sparse networks without the sparsity penalty, keeping their zeros (relaxed lasso).",
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue an interrupted training from its checkpoint.")]


def command() -> Any:
    """The click command of the whole command line."""
    return typer.main.get_command(app)


def show_version(asked: bool) -> None:
    """Print the version and exit."""
    if asked:
        from thinnet import __version__

        typer.echo(f"thinnet {__version__}")
        raise typer.Exit


@app.callback()
def thinnet(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; works after a command, too.")
    ] = False,
) -> None:
    """Train regularized neural networks on a table, and see what regularization did."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)


@app.command()
def fit(
    table: Table,
    target: Target,
    out: Annotated[Path, typer.Option(help="Folder for the model and report.html.", metavar="DIR")],
    time_limit: TimeLimit = 60.0,
    task: TaskOption = AskedTask.auto,
    test: Test = None,
    seed: Seed = 0,
    polish: Polish = False,
    refit: Refit = False,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Train regularized networks on TABLE and save an ensemble of the best.

    Networks with dropout, L1, L2, group lasso, max-norm and combinations of them at many strengths are trained side by
    side; the ensemble is selected by its error on held-out rows.
    """
    from thinnet.cli._fit import fit_table

    settings = {"time_limit": time_limit, "random_state": seed, "polish": polish, "refit": refit}
    fit_table(table, target, out, task=task.value, test=test, resume=resume, json=json, settings=settings)


@app.command()
def path(
    table: Table,
    target: Target,
    out: Annotated[Path, typer.Option(help="Folder for the model, path.html and report.html.", metavar="DIR")],
    time_limit: TimeLimit = 60.0,
    task: TaskOption = AskedTask.auto,
    test: Test = None,
    seed: Seed = 0,
    polish: Polish = False,
    refit: Refit = False,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Select the columns of TABLE that predict the target, and save a model of those alone.

    A group penalty on the weights of each column is increased step by step, which prunes
    column after column. The highest strength whose held-out error is within one standard error
    of the lowest selects the columns; networks are then trained on them.
    """
    from thinnet.cli._fit import fit_table

    settings = {"time_limit": time_limit, "random_state": seed, "polish": polish, "refit": refit}
    settings |= {"select_features": True}
    fit_table(table, target, out, task=task.value, test=test, resume=resume, json=json, settings=settings)


@app.command()
def predict(
    model: Model,
    table: Annotated[
        Path,
        typer.Argument(metavar="TABLE", help="A table with the columns of the training table.", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Output file, in the format of its suffix; without it, CSV on stdout.", metavar="FILE"),
    ] = None,
    json: Json = False,
) -> None:
    """Predict every row of TABLE with a saved model.

    A classifier gives the class and the probability of each class, a regressor the mean and its standard deviation.
    """
    from thinnet.cli._predict import predict_table

    predict_table(model, table, out, json=json)


@app.command()
def compact(
    model: Model,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the smaller model; without it, DIR-compact.", metavar="DIR2", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Make a saved model smaller without changing its predictions.

    Neurons whose weights are all exactly zero and inputs that no network uses are removed. The
    model in DIR is unchanged, unless --out names that folder: it is then replaced in one step.
    """
    from thinnet.cli._compact import compact_model

    compact_model(model, out, json=json)


@app.command()
def export(
    model: Model,
    form: Annotated[str, typer.Option("--format", help="onnx.", metavar="FORMAT")] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option(help="Output file; without it, DIR.onnx.", metavar="FILE", show_default=False),
    ] = None,
    dates_as_days: Annotated[
        bool,
        typer.Option(
            "--dates-as-days", help="Take columns of dates as days since 1970-01-01; without it, they are refused."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Write a saved model with its preprocessing as one ONNX file.

    The inputs of the file are the columns of the table: numbers as float64, NaN where missing,
    and categories as text, empty where missing. The file is run beside the model on synthetic
    rows before it is kept, and must predict the same. A model made smaller by thinnet compact
    gives a smaller file.
    """
    from thinnet.cli._export import export_model

    export_model(model, form, out, dates_as_days=dates_as_days, json=json)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the model and report.html.", metavar="DIR")] = Path(
        "thinnet-demo"
    ),
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """See on bundled data how a network overfits and what regularization does about it, in about a minute."""
    from thinnet.cli._demo import run_demo

    run_demo(out, seed=seed, json=json)
