"""The commands and their options; the work is imported when a command runs, so that --help comes at once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, invoke_without_command=True)

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Json = Annotated[bool, typer.Option("--json", help="Print results as JSON, alone on stdout.")]
Model = Annotated[Path, typer.Argument(metavar="DIR", help="The folder that thinnet fit wrote.", show_default=False)]
TimeLimit = Annotated[float, typer.Option(min=1.0, help="Seconds to train.", metavar="SECONDS")]
Seed = Annotated[int, typer.Option(min=0, help="Starts the same networks; how far they get depends on the time.")]


class Task(StrEnum):
    """What to predict."""

    auto = "auto"
    classification = "classification"
    regression = "regression"


Table = Annotated[
    Path, typer.Argument(metavar="TABLE", help="CSV, TSV (also .gz), Parquet or Feather.", show_default=False)
]
Target = Annotated[str, typer.Option(help="The column to predict.", metavar="COL")]
AskedTask = Annotated[Task, typer.Option(help="auto looks at the target.")]
Test = Annotated[Path | None, typer.Option(help="A table with the same columns to score at the end.", metavar="TABLE")]
Polish = Annotated[bool, typer.Option("--polish", help="Take the noise out of networks with zeros, at full batch.")]
Refit = Annotated[bool, typer.Option("--refit", help="Train what has zeros on without the penalty that made them.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a training that was stopped or killed.")]


def command() -> Any:
    """The click command that runs them all."""
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
) -> None:
    """Train networks that generalize on your table, and see what regularization did."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)


@app.command()
def fit(
    table: Table,
    target: Target,
    out: Annotated[Path, typer.Option(help="Folder for the model and report.html.", metavar="DIR")],
    time_limit: TimeLimit = 60.0,
    task: AskedTask = Task.auto,
    test: Test = None,
    seed: Seed = 0,
    polish: Polish = False,
    refit: Refit = False,
    resume: Resume = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Train regularized networks on TABLE and save the best of them.

    Dropout, L1, L2, group lasso, max-norm and their mixes are tried at many strengths at once; the networks that do
    best on rows they never saw predict together.
    """
    from thinnet.cli._fit import fit_table

    fit_table(
        table,
        target,
        out,
        time_limit=time_limit,
        task=task.value,
        test=test,
        seed=seed,
        resume=resume,
        json=json,
        settings={"polish": polish, "refit": refit},
    )


@app.command()
def path(
    table: Table,
    target: Target,
    out: Annotated[Path, typer.Option(help="Folder for the model, path.html and report.html.", metavar="DIR")],
    time_limit: TimeLimit = 60.0,
    task: AskedTask = Task.auto,
    test: Test = None,
    seed: Seed = 0,
    polish: Polish = False,
    refit: Refit = False,
    resume: Resume = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """See which columns of TABLE it takes to predict, and save a model of those alone.

    A penalty on every column goes from weak to strong, and column after column
    leaves the network. The strongest one that does about as well as the best on
    rows it never saw says which columns stay; networks are then trained on them.
    """
    from thinnet.cli._fit import fit_table

    fit_table(
        table,
        target,
        out,
        time_limit=time_limit,
        task=task.value,
        test=test,
        seed=seed,
        resume=resume,
        json=json,
        settings={"select_features": True, "polish": polish, "refit": refit},
    )


@app.command()
def predict(
    model: Model,
    table: Annotated[
        Path,
        typer.Argument(metavar="TABLE", help="A table with the columns of the training table.", show_default=False),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Write there, in the format of the suffix; else CSV to stdout.", metavar="FILE")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Predict every row of TABLE with a saved model.

    Classification gives the predicted class and a probability for each, regression the prediction and its standard
    deviation.
    """
    from thinnet.cli._predict import predict_table

    predict_table(model, table, out, json=json)


@app.command()
def compact(
    model: Model,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the smaller model; else DIR-compact beside it.", metavar="DIR2", show_default=False
        ),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a saved model smaller: the same predictions without the nodes that regularization made unnecessary.

    Nodes whose weights are exactly zero go, and inputs that a network does not
    read. The model in DIR stays as it is, unless --out names that very folder:
    then it is replaced in one step.
    """
    from thinnet.cli._compact import compact_model

    compact_model(model, out, json=json)


@app.command()
def export(
    model: Model,
    form: Annotated[str, typer.Option("--format", help="onnx.", metavar="FORMAT")] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option(help="Write there; else DIR.onnx beside the folder.", metavar="FILE", show_default=False),
    ] = None,
    dates_as_days: Annotated[
        bool,
        typer.Option("--dates-as-days", help="Take columns of dates as days since 1970-01-01, else they are refused."),
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a saved model, preprocessing included, as one file for any runtime.

    An ONNX file takes the columns of a table as they are: numbers as float64, NaN
    where missing, and categories as text, empty where missing. It is run beside
    the model on made-up rows first, and must predict the same. A model that
    thinnet compact made smaller gives a smaller file.
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
    debug: Debug = False,
) -> None:
    """See on bundled data how a network memorises and what regularization does about it, in about a minute."""
    from thinnet.cli._demo import run_demo

    run_demo(out, seed=seed, json=json)
