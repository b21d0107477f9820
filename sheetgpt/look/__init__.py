"""`sheetgpt look WORKBOOK attention`: what the sheets that look inside show, in the terminal.

One module a sheet, with a function that prints; another one is registered in the last lines here.
"""

import typer

from sheetgpt.look import attention, embedding, lens, neuron
from sheetgpt.options import WorkbookFile

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def look(context: typer.Context, workbook: WorkbookFile) -> None:
    """Look inside: what a workbook's sheets about its text show, in the terminal.

    `sheetgpt look workbooks/stories.xlsx attention --block 1 --head 3`

    The figures are the NumPy evaluator's. What you don't give is as the workbook has it: the prompt, and what is
    chosen on its sheets.
    """
    context.obj = workbook


app.command("attention")(attention.attention)
app.command("lens")(lens.lens)
app.command("contributions")(lens.contributions)
app.command("neuron")(neuron.neuron)
app.command("neighbours")(embedding.neighbours)
app.command("analogy")(embedding.analogy)
