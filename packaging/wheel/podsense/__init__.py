"""PodSense, a server for ONNX models: `podsense serve`, or `python -m podsense serve`."""
