import torch
from torch import nn, optim

import thinnet as tn


def test_rows_count_zeros_and_dead_nodes_and_print_as_a_table() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[3.0, 0, 0], [0, 0, 0], [0, 4.0, 0], [0, 0, 0]]))
        nn.init.ones_(model[1].weight)
    attachment = tn.attach(model, tn.Plan(tn.L1(0.5)), optim.SGD(model.parameters()))
    summary = attachment.summary()
    first = summary.rows[0]
    assert (first.parameter, first.rules, first.shape) == ("0.weight", "L1(strength=0.5)", (4, 3))
    assert (first.norm, first.zeros, first.size, first.dead_outputs, first.dead_inputs) == (5.0, 10, 12, 2, 1)
    assert str(summary).splitlines() == [
        "parameter  shape   norm       zeros  dead outputs  dead inputs  rules",
        "0.weight     4x3      5  10 (83.3%)             2            1  L1(strength=0.5)",
        "1.weight     2x4  2.828    0 (0.0%)             0            0  L1(strength=0.5)",
    ]
