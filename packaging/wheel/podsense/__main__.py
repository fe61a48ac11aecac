"""Becomes the program that is in this package.

The program loads ONNX Runtime's library from the package onnxruntime. It looks for it beside this package; where
onnxruntime is in another folder of sys.path (one by the system's packages, one by --user), LD_LIBRARY_PATH says so.
"""

import importlib.util
import os
import pathlib
import sys

LIBRARY = "libonnxruntime.so.@ONNXRUNTIME@"


def runtime_folder(package):
    """The folder that LD_LIBRARY_PATH has to name; None where the library is beside this package."""
    if (package.parent / "onnxruntime" / "capi" / LIBRARY).is_file():
        return None
    spec = importlib.util.find_spec("onnxruntime")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = pathlib.Path(place) / "capi"
        if (folder / LIBRARY).is_file():
            return folder
    raise SystemExit(
        f"podsense: there is no {LIBRARY}: {sys.executable} -m pip install onnxruntime==@ONNXRUNTIME@"
    )


def main():
    package = pathlib.Path(__file__).resolve().parent
    environment = dict(os.environ)
    folder = runtime_folder(package)
    if folder:
        others = environment.get("LD_LIBRARY_PATH")
        environment["LD_LIBRARY_PATH"] = f"{folder}:{others}" if others else str(folder)
    os.execve(package / "bin" / "podsense", ["podsense", *sys.argv[1:]], environment)


if __name__ == "__main__":
    main()
