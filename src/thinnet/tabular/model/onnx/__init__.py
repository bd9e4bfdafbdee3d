"""A fitted model as one ONNX graph, preprocessing included."""
