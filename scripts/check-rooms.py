#!/usr/bin/env python3
"""Holds the include graph of src/ against the design.

Checked, each fault with its file and line:
  - a room includes only itself and the rooms that its CMakeLists.txt lists (USES), and of those
    only the headers that they list (HEADERS); a room's other headers are its own affair
  - USES lists only what LAYERS lets it, and has no cycle
  - a third-party library is included only where OWNERS says
  - includes are written from src/ ("room/file.h"), and no .cc is included
  - every .cc is named in its CMakeLists.txt, or it would never be built or run

A new edge or library is a decision: change the tables here and ARCHITECTURE.md in the same commit.
"""

import argparse
import fnmatch
import pathlib
import re
import sys

# Which rooms a room may use. Leaf rooms never see each other.
LAYERS = {
    "base": set(),
    "access": {"base"},
    "metrics": {"base"},
    "trace": {"base"},
    "image": {"base"},
    "fetch": {"base"},
    "model": {"base"},
    "batching": {"base", "metrics"},
    "protocol": {"base"},
    "inference": {
        "base", "metrics", "image", "fetch", "model", "batching", "protocol",
        "trace",
    },
    "http": {"access", "base", "metrics", "protocol", "inference", "trace"},
    "grpc": {"access", "base", "metrics", "protocol", "inference", "trace"},
    "server": {
        "access", "base", "metrics", "image", "fetch", "model", "batching", "protocol", "inference", "http",
        "grpc", "trace",
    },
    "load": {"base", "metrics", "protocol"},
    "foresight": {"base"},
    "cli": {
        "base", "inference", "server", "load", "foresight", "metrics", "model", "protocol", "http",
    },
}  # fmt: skip

# Third-party headers (patterns of what stands between the angle brackets), and the files under
# src/ that may include them. Where a room's *.cc may, its private headers may too, and a room's
# tests and benchmarks may include what any file of it may.
OWNERS = [
    ("ONNX Runtime", ["onnxruntime_*", "cpu_provider_factory.h"], ["model/*.cc"]),
    ("Boost", ["boost/*"], ["http/*", "load/*"]),
    ("gRPC", ["grpc/*", "grpcpp/*", "grpc++/*"], ["grpc/*", "load/grpc_*"]),
    ("protobuf", ["google/*", "*.pb.h"], ["grpc/*", "load/grpc_*.cc", "model/onnx_graph.cc"]),
    ("simdjson", ["simdjson.h"], ["protocol/*.cc"]),
    ("nlohmann-json", ["nlohmann/*"],
     ["access/*.cc", "protocol/*.cc", "server/*.cc", "http/*.cc", "load/*.cc", "foresight/*.cc",
      "cli/*.cc"]),
    ("libcurl", ["curl/*"], ["fetch/*", "trace/exporter.cc", "trace/exporter.h"]),
    ("yaml-cpp", ["yaml-cpp/*"], ["model/*.cc", "server/*.cc"]),
    ("CLI11", ["CLI/*"], ["server/*", "cli/*"]),
    ("fmt", ["fmt/*"], ["base/*.cc"]),
    ("tl::expected", ["tl/*"], ["base/error.h"]),
    ("OpenSSL", ["openssl/*"], ["access/*.cc", "base/*.cc", "fetch/*_test.cc", "http/*.cc", "load/*.cc"]),
    ("libjpeg", ["jpeglib.h", "jerror.h", "turbojpeg.h"], ["image/*.cc"]),
    ("libspng", ["spng.h"], ["image/*.cc"]),
    ("libwebp", ["webp/*"], ["image/*.cc"]),
    ("stb", ["stb/*", "stb_*.h"], ["image/*.cc"]),
    ("prometheus-cpp", ["prometheus/*"], ["metrics/*.cc"]),
    ("zlib", ["zlib.h"], ["http/*", "fetch/*.cc"]),
    ("GoogleTest", ["gtest/*", "gmock/*"], ["*_test.cc", "*test*.h", "*_testing.cc"]),
    ("Google Benchmark", ["benchmark/*"], ["*_bench.cc"]),
]  # fmt: skip

# Folders of the system's own headers.
SYSTEM = {"arpa", "asm", "bits", "experimental", "linux", "net", "netinet", "sanitizer", "sys"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT = re.compile(r"#[^\n]*")
KEYWORDS = {"SOURCES", "HEADERS", "USES", "PUBLIC", "PRIVATE", "TESTS", "BENCH"}


class Room:
    """What a room's CMakeLists.txt says."""

    def __init__(self, folder):
        self.name = folder.name
        self.folder = folder
        lists = folder / "CMakeLists.txt"
        text = COMMENT.sub("", lists.read_text("utf-8")) if lists.exists() else ""
        self.names = set(re.findall(r"[\w./+-]+", text))
        self.uses = set(re.findall(r"\bpodsense_(\w+)", self.link_commands(text)))
        self.headers = set()  # what other rooms may include
        for call in re.findall(r"podsense_room\(([^)]*)\)", text):
            self.uses |= self.words_after("USES", call.split())
            self.headers |= self.words_after("HEADERS", call.split())
        self.uses.discard(self.name)

    @staticmethod
    def link_commands(text):
        commands = "\n".join(re.findall(r"target_link_libraries\(([^)]*)\)", text))
        return re.sub(r"\bpodsense_(options|proto)\b", "", commands)

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


def may_include(path, room, places):
    if any(fnmatch.fnmatch(path, place) for place in places):
        return True
    if path.endswith(".h") and path.removeprefix(f"{room.name}/") not in room.headers:
        return f"{room.name}/*.cc" in places
    return is_test(path) and any(place.split("/")[0] == room.name for place in places)


def owner_of(header):
    for library, patterns, places in OWNERS:
        if any(fnmatch.fnmatch(header, pattern) for pattern in patterns):
            return library, places
    return None


def third_party_fault(path, room, header):
    owner = owner_of(header)
    if owner:
        library, places = owner
        if not may_include(path, room, places):
            places = ", ".join(places)
            return f"{library} (<{header}>) may be included only in {places}"
    elif "/" in header and header.split("/")[0] not in SYSTEM:
        return f"<{header}> belongs to no library in OWNERS: say which files may include it"
    return None


def room_fault(room, rooms, header):
    if header.endswith(".cc"):
        return f'"{header}": a .cc is never included'
    target, slash, name = header.partition("/")
    if not slash:
        return f'"{header}": name it from src/, as "{room.name}/{header}"'
    if target == room.name:
        return None
    if target not in rooms:
        return f'"{header}": there is no room {target}'
    if target not in room.uses:
        return f'"{header}": room {room.name} does not list {target} in USES'
    if rooms[target].headers and name not in rooms[target].headers:
        return f'"{header}" is private to room {target}: it is not among its HEADERS'
    return None


def include_faults(src, room, rooms):
    for file in room.files():
        path = file.relative_to(src).as_posix()
        text = file.read_text("utf-8", errors="replace")
        for match in INCLUDE.finditer(text):
            bracket, header = match.groups()
            # A room may have a library's name: in quotes, "grpc/…" is the room's.
            is_rooms = bracket == '"' and header.split("/")[0] in rooms
            if not is_rooms and (bracket == "<" or owner_of(header)):
                fault = third_party_fault(path, room, header)
            else:
                fault = room_fault(room, rooms, header)
            if fault:
                line = text.count("\n", 0, match.start()) + 1
                yield f"src/{path}:{line}: {fault}"


def list_faults(src, room, rooms):
    path = f"src/{room.name}/CMakeLists.txt"
    if room.name not in LAYERS:
        yield f"{path}: room {room.name} is not in LAYERS: say what it may use"
    for used in sorted(room.uses):
        if used not in rooms:
            yield f"{path}: USES {used}, and there is no such room"
        elif used not in LAYERS.get(room.name, {used}):
            yield f"{path}: room {room.name} may not use {used}"
    for file in room.files():
        name = file.relative_to(room.folder).as_posix()
        if file.suffix == ".cc" and name not in room.names:
            yield f"{file.relative_to(src.parent).as_posix()}: not named in {path}"


def find_cycle(rooms):
    """The rooms of one cycle in USES, the first again at the end; None if there is none."""
    state = {}

    def visit(name, trail):
        state[name] = "open"
        for used in sorted(rooms[name].uses & rooms.keys()):
            if state.get(used) == "open":
                return [*trail[trail.index(used) :], used]
            if used not in state:
                cycle = visit(used, [*trail, used])
                if cycle:
                    return cycle
        state[name] = "done"
        return None

    for name in sorted(rooms):
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
    rooms = {f.name: Room(f) for f in sorted(src.iterdir()) if f.is_dir()}
    faults = []
    cycle = find_cycle(rooms)
    if cycle:
        faults.append(f"src: the rooms use each other in a circle: {' -> '.join(cycle)}")
    for room in rooms.values():
        faults += list_faults(src, room, rooms)
        faults += include_faults(src, room, rooms)
    faults += fuzz_faults(root)
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
