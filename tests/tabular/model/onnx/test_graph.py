import numpy as np
import onnx
import onnxruntime
from numpy.testing import assert_array_equal

from thinnet.compaction.export import Port
from thinnet.tabular.model.onnx._graph import Graph


def outcome(graph: Graph, value: str, port: Port, **given: np.ndarray) -> np.ndarray:
    content = graph.model([(value, port)], {"target": "y"}, "1.2")
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, given)[0]


def test_columns_are_taken_in_the_order_asked_for_and_put_side_by_side() -> None:
    graph = Graph([Port("x", "double", (None, 3))])
    value = graph.beside([graph.columns("x", [2, 0]), graph.columns("x", np.array([1]))])
    x = np.arange(6.0).reshape(2, 3)
    assert_array_equal(outcome(graph, value, Port("y", "double", (None, 3)), x=x), x[:, [2, 0, 1]])


def test_one_matrix_is_beside_nothing() -> None:
    assert Graph([Port("x", "double", (None, 3))]).beside(["x"]) == "x"


def test_constants_and_casts_have_their_kinds() -> None:
    graph = Graph([Port("x", "float", (None, 1))])
    value = graph.add("Add", graph.cast("x", "double"), graph.constant([[0.1]]))
    found = outcome(graph, value, Port("y", "double", (None, 1)), x=np.ones((2, 1), np.float32))
    assert found.dtype == np.float64
    assert_array_equal(found, np.full((2, 1), 1.1))


def test_text_is_kept_as_it_is() -> None:
    graph = Graph([Port("at", "int64", (None,))])
    value = graph.add("Gather", graph.texts(["α", "", "two words"]), "at", axis=0)
    assert outcome(graph, value, Port("y", "string", (None,)), at=np.array([2, 0, 1])).tolist() == [
        "two words",
        "α",
        "",
    ]


def test_the_file_says_what_it_is_and_passes_the_checker() -> None:
    graph = Graph([Port("x", "double", (None,), "a number")])
    content = graph.model([("x", Port("y", "double", (None,), "the same"))], {"target": "y", "classes": "[]"}, "1.2")
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model)
    assert (model.producer_name, model.producer_version) == ("thinnet", "1.2")
    assert {fact.key: fact.value for fact in model.metadata_props} == {"target": "y", "classes": "[]"}
    assert (model.graph.input[0].doc_string, model.graph.output[0].doc_string) == ("a number", "the same")
