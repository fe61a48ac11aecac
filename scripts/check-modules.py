#!/usr/bin/env python3
"""Holds the include graph of src/ against the design.

Checked, each fault with its file and line:
  - a module includes only itself and the modules that its CMakeLists.txt lists (USES; its tests also
    those of TEST_USES), and of those
    only the headers that they list (HEADERS); a module's other headers are its own affair
  - USES has no cycle, and ARCHITECTURE.md's table of modules says the same
  - a module names another's namespace (`model::`) only where it lists that module
  - a third-party library is included only where OWNERS says
  - includes are written from src/ ("module/file.h"), and no .cc is included
  - every .cc is named in its CMakeLists.txt, or it would never be built or run

A new edge or library is a decision: it changes ARCHITECTURE.md in the same commit.
"""

import argparse
import fnmatch
import pathlib
import re
import sys

# Third-party headers (patterns of what stands between the angle brackets), and the files under
# src/ that may include them. Where a module's *.cc may, its private headers may too, and a module's
# tests and benchmarks may include what any file of it may.
OWNERS = [
    ("ONNX Runtime", ["onnxruntime_*", "cpu_provider_factory.h"], ["onnx/*.cc"]),
    ("OpenVINO", ["openvino/*"], ["openvino/openvino_module.cc"]),
    ("Boost", ["boost/*"], ["transport/*.cc", "http/probe.cc", "load/*"]),
    ("gRPC", ["grpcpp/*", "grpc++/*"], ["grpc/*_test.cc", "grpc/grpc_testing.h"]),
    ("nghttp2", ["nghttp2/*"], ["transport/*.cc", "load/http2_session.cc"]),
    ("protobuf", ["google/*", "*.pb.h"],
     ["grpc/*", "load/grpc_*.cc", "model/onnx_graph.cc", "model/triton_config.cc"]),
    ("simdjson", ["simdjson.h"], ["protocol/*.cc"]),
    ("nlohmann-json", ["nlohmann/*"],
     ["access/*.cc", "protocol/*.cc", "server/*.cc", "http/*.cc", "load/*.cc", "load/histogram_json.h",
      "foresight/*", "plan/*", "cli/*.cc", "model/labels.cc"]),
    ("libcurl", ["curl/*"], ["fetch/*", "trace/exporter.cc", "trace/exporter.h"]),
    ("yaml-cpp", ["yaml-cpp/*"], ["foresight/*.cc", "model/*.cc", "server/*.cc"]),
    ("CLI11", ["CLI/*"], ["server/*", "cli/*"]),
    ("fmt", ["fmt/*"], ["base/*.cc"]),
    ("tl::expected", ["tl/*"], ["base/error.h"]),
    ("OpenSSL", ["openssl/*"], ["access/*.cc", "base/*.cc", "fetch/*_test.cc", "http/probe.cc", "load/*.cc", "transport/*.cc"]),
    ("libjpeg", ["jpeglib.h", "jerror.h", "turbojpeg.h"], ["image/*.cc"]),
    ("libspng", ["spng.h"], ["image/*.cc"]),
    ("libwebp", ["webp/*"], ["image/*.cc"]),
    ("libidn2", ["idn2.h"], ["fetch/*.cc"]),
    ("giflib", ["gif_lib.h"], ["image/*.cc"]),
    ("libavif", ["avif/*"], ["image/*.cc"]),
    ("stb", ["stb/*", "stb_*.h"], ["image/*.cc"]),
    ("prometheus-cpp", ["prometheus/*"], ["metrics/*.cc"]),
    ("zlib", ["zlib.h"], ["transport/gzip.cc", "fetch/*.cc"]),
    ("GoogleTest", ["gtest/*", "gmock/*"], ["*_test.cc", "*test*.h", "*_testing.cc"]),
    ("Google Benchmark", ["benchmark/*"], ["*_bench.cc"]),
]  # fmt: skip

# Folders of the system's own headers.
SYSTEM = {"arpa", "asm", "bits", "experimental", "linux", "net", "netinet", "sanitizer", "sys"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT = re.compile(r"#[^\n]*")
KEYWORDS = {"SOURCES", "HEADERS", "USES", "PUBLIC", "PRIVATE", "TESTS", "TEST_USES", "BENCH"}


class Module:
    """What a module's CMakeLists.txt says."""

    def __init__(self, folder):
        self.name = folder.name
        self.folder = folder
        lists = folder / "CMakeLists.txt"
        text = COMMENT.sub("", lists.read_text("utf-8")) if lists.exists() else ""
        self.names = set(re.findall(r"[\w./+-]+", text))
        self.uses = set(re.findall(r"\bpodsense_(\w+)", self.link_commands(text)))
        self.test_uses = set()
        self.headers = set()  # what other modules may include
        for call in re.findall(r"podsense_module\(([^)]*)\)", text):
            self.uses |= self.words_after("USES", call.split())
            self.headers |= self.words_after("HEADERS", call.split())
            self.test_uses |= self.words_after("TEST_USES", call.split())
        self.uses.discard(self.name)

    @staticmethod
    def link_commands(text):
        commands = "\n".join(re.findall(r"target_link_libraries\(([^)]*)\)", text))
        return re.sub(r"\bpodsense_(options|messages|grpc_stubs)\b", "", commands)

    @staticmethod
    def words_after(keyword, words):
        found, inside = set(), False
        for word in words:
            if word in KEYWORDS:
                inside = word == keyword
            elif inside:
                found.add(word)
        return found

    def files(self):
        return sorted(p for p in self.folder.rglob("*") if p.suffix in (".cc", ".h"))


def is_test(path):
    return path.endswith(("_test.cc", "_bench.cc"))


def may_use_more(path):
    """What a module's TEST_USES are for."""
    return is_test(path) or path.endswith(("_testing.h", "test_fixture.h"))


def may_include(path, module, places):
    if any(fnmatch.fnmatch(path, place) for place in places):
        return True
    if path.endswith(".h") and path.removeprefix(f"{module.name}/") not in module.headers:
        return f"{module.name}/*.cc" in places
    return is_test(path) and any(place.split("/")[0] == module.name for place in places)


def owner_of(header):
    for library, patterns, places in OWNERS:
        if any(fnmatch.fnmatch(header, pattern) for pattern in patterns):
            return library, places
    return None


def third_party_fault(path, module, header):
    owner = owner_of(header)
    if owner:
        library, places = owner
        if not may_include(path, module, places):
            places = ", ".join(places)
            return f"{library} (<{header}>) may be included only in {places}"
    elif "/" in header and header.split("/")[0] not in SYSTEM:
        return f"<{header}> belongs to no library in OWNERS: say which files may include it"
    return None


def module_fault(path, module, modules, header):
    if header.endswith(".cc"):
        return f'"{header}": a .cc is never included'
    target, slash, name = header.partition("/")
    if not slash:
        return f'"{header}": name it from src/, as "{module.name}/{header}"'
    if target == module.name:
        return None
    if target not in modules:
        return f'"{header}": there is no module {target}'
    if target not in module.uses and not (may_use_more(path) and target in module.test_uses):
        return f'"{header}": module {module.name} does not list {target} in USES'
    if modules[target].headers and name not in modules[target].headers:
        return f'"{header}" is private to module {target}: it is not among its HEADERS'
    return None


def include_faults(src, module, modules):
    for file in module.files():
        path = file.relative_to(src).as_posix()
        text = file.read_text("utf-8", errors="replace")
        for match in INCLUDE.finditer(text):
            bracket, header = match.groups()
            # A module may have a library's name: in quotes, "grpc/…" is the module's.
            is_ours = bracket == '"' and header.split("/")[0] in modules
            if not is_ours and (bracket == "<" or owner_of(header)):
                fault = third_party_fault(path, module, header)
            else:
                fault = module_fault(path, module, modules, header)
            if fault:
                line = text.count("\n", 0, match.start()) + 1
                yield f"src/{path}:{line}: {fault}"


def list_faults(src, module, modules):
    path = f"src/{module.name}/CMakeLists.txt"
    for used in sorted(module.uses | module.test_uses):
        if used not in modules:
            yield f"{path}: USES {used}, and there is no such module"
    for file in module.files():
        name = file.relative_to(module.folder).as_posix()
        if file.suffix == ".cc" and name not in module.names:
            yield f"{file.relative_to(src.parent).as_posix()}: not named in {path}"


def table_faults(root, modules):
    """ARCHITECTURE.md has one row a module: `| [name](link) | … | used, modules | owns |`."""
    document = root / "ARCHITECTURE.md"
    if not document.exists():
        return
    rows = {}
    for number, line in enumerate(document.read_text("utf-8").splitlines(), 1):
        match = re.match(r"\| \[(\w+)\]\(src/", line)
        if match:
            rows[match[1]] = number, set(re.findall(r"\w+", line.split(" | ")[-2]))
    for name in sorted(modules):
        wanted = modules[name].uses
        number, found = rows.get(name, (1, None))
        if found is None:
            yield f"ARCHITECTURE.md: the table of modules has no row [{name}](src/{name}…)"
        elif found != wanted:
            yield f"ARCHITECTURE.md:{number}: module {name} uses {', '.join(sorted(wanted)) or '–'}"


def namespace_faults(src, module, modules):
    names = "|".join(sorted(modules.keys() - {module.name, "base"}))
    used = re.compile(rf"(?<![:\w])({names})::(?!testing)")
    for file in module.files():
        path = file.relative_to(src).as_posix()
        for number, line in enumerate(file.read_text("utf-8", errors="replace").splitlines(), 1):
            for match in used.finditer(line.split("//")[0]):
                allowed = module.uses | (module.test_uses if may_use_more(path) else set())
                if match[1] not in allowed:
                    yield f"src/{path}:{number}: module {module.name} names {match[1]}:: and does not list it in USES"


def find_cycle(modules):
    """The modules of one cycle in USES, the first again at the end; None if there is none."""
    state = {}

    def visit(name, trail):
        state[name] = "open"
        for used in sorted(modules[name].uses & modules.keys()):
            if state.get(used) == "open":
                return [*trail[trail.index(used) :], used]
            if used not in state:
                cycle = visit(used, [*trail, used])
                if cycle:
                    return cycle
        state[name] = "done"
        return None

    for name in sorted(modules):
        if name not in state:
            cycle = visit(name, [name])
            if cycle:
                return cycle
    return None


def fuzz_faults(root):
    lists = root / "fuzz" / "CMakeLists.txt"
    if not lists.exists():
        return
    names = set(re.findall(r"podsense_fuzzer\((\w+)", COMMENT.sub("", lists.read_text("utf-8"))))
    for file in sorted((root / "fuzz").glob("*.cc")):
        if file.stem not in names:
            yield f"fuzz/{file.name}: no podsense_fuzzer({file.stem} …) in fuzz/CMakeLists.txt"


def check(root):
    """Every fault as one line."""
    src = root / "src"
    modules = {f.name: Module(f) for f in sorted(src.iterdir()) if f.is_dir()}
    faults = []
    cycle = find_cycle(modules)
    if cycle:
        faults.append(f"src: the modules use each other in a circle: {' -> '.join(cycle)}")
    for module in modules.values():
        faults += list_faults(src, module, modules)
        faults += include_faults(src, module, modules)
        faults += namespace_faults(src, module, modules)
    faults += fuzz_faults(root)
    faults += table_faults(root, modules)
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = pathlib.Path(__file__).resolve().parent.parent
    parser.add_argument("root", nargs="?", type=pathlib.Path, default=here)
    faults = check(parser.parse_args().root)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
