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
  - a folder in a module's folder with a podsense_module of its own is a module: src/load/clients is load_clients, with the
    namespace of load
  - every .cc is named in its CMakeLists.txt, or it would never be built or run
  - USES are the modules that a module's HEADERS name, PRIVATE_USES those that only its other files do; none is listed in vain
  - HEADERS are what other modules, fuzz/, bench/ and tests/ include, and what those headers include in turn; no more
  - a library is linked where it is included: PUBLIC where a header of HEADERS includes it, PRIVATE otherwise
  - a .cc has a header of its name, or is a part of one (a_b.cc of a.h), or PARTS says which header declares what is in it
  - no two modules' headers declare a type of one name, but for SHARED_NAMES

Most libraries' headers are in /usr/include, where any file would find them: it is this check that keeps them where they belong.

A new edge or library is a decision: it changes ARCHITECTURE.md in the same commit.
"""

import argparse
import fnmatch
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent.parent

# Third-party headers (patterns of what stands between the angle brackets), and the files under
# src/ that may include them. Where a module's *.cc may, its private headers may too, and a module's
# tests and benchmarks may include what any file of it may.
OWNERS = [
    ("ONNX Runtime", ["onnxruntime_*", "cpu_provider_factory.h"], ["onnx/*.cc"]),
    ("OpenVINO", ["openvino/*"], ["openvino/openvino_module.cc"]),
    ("Boost", ["boost/*"], ["transport/*.cc", "http/probe.cc", "load/clients/*", "load/load_engine.cc"]),
    ("gRPC", ["grpcpp/*", "grpc++/*"], ["grpc/*_test.cc", "grpc/grpc_testing.h"]),
    ("nghttp2", ["nghttp2/*"], ["transport/*.cc", "load/clients/http2_session.cc"]),
    ("protobuf", ["google/*", "*.pb.h"],
     ["grpc/*", "load/grpc_job.cc", "load/requests/grpc_requests.cc", "model/onnx_graph.cc", "model/triton_config.cc"]),
    ("simdjson", ["simdjson.h"], ["protocol/*.cc"]),
    ("nlohmann-json", ["nlohmann/*"],
     ["access/*.cc", "protocol/*_test.cc", "http/*.cc", "load/*.cc", "quantiles/*",
      "foresight/*", "plan/*", "cli/*.cc", "model/labels.cc"]),
    ("libcurl", ["curl/*"], ["fetch/*", "trace/exporter.h"]),
    ("yaml-cpp", ["yaml-cpp/*"], ["foresight/*.cc", "model/*.cc", "server/*.cc"]),
    ("CLI11", ["CLI/*"], ["server/*", "cli/*"]),
    ("fmt", ["fmt/*"], ["base/*.cc"]),
    ("tl::expected", ["tl/*"], ["base/error.h"]),
    ("OpenSSL", ["openssl/*"], ["access/*.cc", "base/*.cc", "fetch/*_test.cc", "http/probe.cc", "load/tls_files.cc", "load/clients/*.cc",
      "transport/*.cc"]),
    ("libjpeg-turbo", ["jpeglib.h", "jerror.h", "turbojpeg.h"], ["image/*.cc"]),
    ("libspng", ["spng.h"], ["image/*.cc"]),
    ("libwebp", ["webp/*"], ["image/*.cc"]),
    ("libidn2", ["idn2.h"], ["fetch/*.cc"]),
    ("giflib", ["gif_lib.h"], ["image/*.cc"]),
    ("libavif", ["avif/*"], ["image/*.cc"]),
    ("prometheus-cpp", ["prometheus/*"], ["metrics/*.cc"]),
    ("zlib", ["zlib.h"], ["transport/gzip.cc", "fetch/*.cc"]),
    ("GoogleTest", ["gtest/*", "gmock/*"], ["*_test.cc", "*test*.h"]),
    ("Google Benchmark", ["benchmark/*"], ["*_bench.cc"]),
]  # fmt: skip

# What CMake calls the libraries. The rest of OWNERS is for tests alone, or comes with another one.
TARGETS = {
    "ONNX Runtime": {"onnxruntime"},
    "OpenVINO": {"openvino"},
    "Boost": {"Boost::headers"},
    "nghttp2": {"PkgConfig::NGHTTP2"},
    "protobuf": {"podsense_messages", "podsense_model_config", "podsense_grpc_stubs", "protobuf::libprotobuf"},
    "simdjson": {"simdjson::simdjson"},
    "nlohmann-json": {"nlohmann_json::nlohmann_json"},
    "libcurl": {"CURL::libcurl"},
    "yaml-cpp": {"yaml-cpp"},
    "CLI11": {"CLI11::CLI11"},
    "fmt": {"fmt::fmt"},
    "tl::expected": {"tl::expected"},
    "OpenSSL": {"OpenSSL::SSL", "OpenSSL::Crypto"},
    "libjpeg-turbo": {"PkgConfig::JPEG"},
    "libspng": {"PkgConfig::SPNG"},
    "libwebp": {"PkgConfig::WEBP"},
    "libidn2": {"PkgConfig::IDN2"},
    "giflib": {"GIF::GIF"},
    "libavif": {"PkgConfig::AVIF"},
    "prometheus-cpp": {"prometheus-cpp::core"},
    "zlib": {"ZLIB::ZLIB"},
}

# A .cc without a header of its name, and the header that declares what it defines.
PARTS = [
    ("cli/main.cc", None),  # the program
    ("cli/completion.cc", "cli/description.h"),
    ("cli/man_page.cc", "cli/description.h"),
    ("cli/*.cc", "cli/commands.h"),  # one a subcommand
    ("fetch/fetcher.cc", "fetch/fetch.h"),
    ("fetch/policy.cc", "fetch/fetch.h"),
    ("foresight/profile_read.cc", "foresight/scenario_fields.h"),
    ("foresight/wire_time.cc", "foresight/snapshot.h"),
    ("image/sniff.cc", "image/image.h"),
    ("image/*.cc", "image/decode.h"),  # one a format
    ("inference/tasks/*.cc", "inference/tasks/kinds.h"),  # one a task
    ("load/content.cc", "load/job.h"),
    ("load/grpc_job.cc", "load/job.h"),
    ("load/*generator_limits.cc", "load/*report.h"),
    ("load/*merge.cc", "load/*report.h"),
    ("load/*search.cc", "load/load.h"),
    ("model/row_*rules.cc", "model/row_values.h"),  # one a kind of operator
    ("model/tensors.cc", "model/model.h"),
    ("onnx/short_reason.cc", "onnx/ort.h"),
    ("openvino/openvino_module.cc", "openvino/engine.h"),  # the library that is loaded
    ("plan/recorded_scenario.cc", "plan/prometheus.h"),
    ("plan/what_if.cc", "plan/plan.h"),
    ("protocol/json_*.cc", "protocol/json_codec.h"),
    ("protocol/oip_*.cc", "protocol/oip_codec.h"),
    ("protocol/base64.cc", "protocol/form.h"),
    ("protocol/media_type.cc", "protocol/form.h"),
    ("protocol/multipart.cc", "protocol/form.h"),
    ("protocol/query.cc", "protocol/form.h"),
]

# Names that types of several modules have. Each is its module's own, and is read with it: fetch::Options.
SHARED_NAMES = {"Context", "Description", "Engine", "Options", "Plan", "Request", "Response", "RealRange", "DurationRange", "WholeRange"}

# Folders of the system's own headers.
SYSTEM = {"arpa", "asm", "bits", "experimental", "linux", "net", "netinet", "sanitizer", "sys"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT = re.compile(r"#[^\n]*")
NAMESPACE = re.compile(r"^(?:inline )?namespace ([\w:]*) ?\{|^\}  // namespace")
TYPE = re.compile(r"^(?:class|struct|enum class|enum|using|concept) (?:\[\[\w+\]\] |\w+\([^)]*\) )?([A-Z]\w+)\b(?!;)")
KEYWORDS = {"SOURCES", "HEADERS", "USES", "PRIVATE_USES", "PUBLIC", "PRIVATE", "TESTS", "TEST_USES", "BENCH"}


class Module:
    """What a module's CMakeLists.txt says."""

    def __init__(self, folder, place=None):
        self.place = place or folder.name  # from src/: how its headers are included
        self.name = self.place.replace("/", "_")
        self.namespace = self.place.split("/")[0]
        self.folder = folder
        self.inner = [path.parent for path in folder.glob("*/**/CMakeLists.txt") if "podsense_module(" in path.read_text("utf-8")]
        lists = folder / "CMakeLists.txt"
        text = COMMENT.sub("", lists.read_text("utf-8")) if lists.exists() else ""
        self.names = set(re.findall(r"[\w./+-]+", text))
        self.uses = set(re.findall(r"\bpodsense_(\w+)", self.link_commands(text)))
        self.private_uses = set(self.uses)  # of the modules in `uses` those that no public header needs
        self.test_uses = set()
        self.headers = set()  # what other modules may include
        self.public_links, self.private_links = set(), set()
        self.links = set(re.findall(r"[\w:-]+", " ".join(re.findall(r"target_link_libraries\(([^)]*)\)", text))))
        for call in re.findall(r"podsense_module\(([^)]*)\)", text):
            self.uses |= self.words_after("USES", call.split())
            self.headers |= self.words_after("HEADERS", call.split())
            self.test_uses |= self.words_after("TEST_USES", call.split())
            self.private_uses |= self.words_after("PRIVATE_USES", call.split())
            self.public_links |= self.words_after("PUBLIC", call.split())
            self.private_links |= self.words_after("PRIVATE", call.split())
        self.uses |= self.private_uses
        self.links |= self.public_links | self.private_links
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
        """Without those of modules inside it."""
        found = sorted(p for p in self.folder.rglob("*") if p.suffix in (".cc", ".h"))
        return [p for p in found if not any(inner in p.parents for inner in self.inner)]


def modules_in(src):
    """Each module by its name, those inside others too."""
    modules = {}
    for folder in sorted(path for path in src.iterdir() if path.is_dir()):
        outer = Module(folder)
        for module in [outer, *(Module(inner, inner.relative_to(src).as_posix()) for inner in sorted(outer.inner))]:
            modules[module.name] = module
    return modules


def module_of(header, modules):
    """The module whose file an include names, the innermost one; None: there is none."""
    found = [module for module in modules.values() if header.startswith(f"{module.place}/")]
    return max(found, key=lambda module: len(module.place), default=None)


def is_test(path):
    return path.endswith(("_test.cc", "_bench.cc"))


def may_use_more(path):
    """What a module's TEST_USES are for."""
    return is_test(path) or path.endswith(("_testing.h", "test_fixture.h"))


def may_include(path, module, places):
    if any(fnmatch.fnmatch(path, place) for place in places):
        return True
    if path.endswith(".h") and path.removeprefix(f"{module.place}/") not in module.headers:
        return f"{module.place}/*.cc" in places
    return is_test(path) and any(place.startswith(f"{module.place}/") for place in places)


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
    if "/" not in header:
        return f'"{header}": name it from src/, as "{module.place}/{header}"'
    target = module_of(header, modules)
    if target is module:
        return None
    if target is None:
        return f'"{header}": there is no module {header.split("/")[0]}'
    if target.name not in module.uses and not (may_use_more(path) and target.name in module.test_uses):
        return f'"{header}": module {module.name} does not list {target.name} in USES'
    if target.headers and header.removeprefix(f"{target.place}/") not in target.headers:
        return f'"{header}" is private to module {target.name}: it is not among its HEADERS'
    return None


def include_faults(src, module, modules):
    for file in module.files():
        path = file.relative_to(src).as_posix()
        text = file.read_text("utf-8", errors="replace")
        for match in INCLUDE.finditer(text):
            bracket, header = match.groups()
            # A module may have a library's name: in quotes, "grpc/…" is the module's.
            is_ours = bracket == '"' and module_of(header, modules)
            if not is_ours and (bracket == "<" or owner_of(header)):
                fault = third_party_fault(path, module, header)
            else:
                fault = module_fault(path, module, modules, header)
            if fault:
                line = text.count("\n", 0, match.start()) + 1
                yield f"src/{path}:{line}: {fault}"


def list_faults(src, module, modules):
    path = f"src/{module.place}/CMakeLists.txt"
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
        match = re.match(r"\| \[([\w/]+)\]\(src/", line)
        if match:
            used = re.findall(r"[\w/]+", line.split(" | ")[-2])
            rows[match[1]] = number, {name.replace("/", "_") for name in used}
    for name in sorted(modules):
        place, wanted = modules[name].place, modules[name].uses
        number, found = rows.get(place, (1, None))
        if found is None:
            yield f"ARCHITECTURE.md: the table of modules has no row [{place}](src/{place}…)"
        elif found != wanted:
            yield f"ARCHITECTURE.md:{number}: module {name} uses {', '.join(sorted(wanted)) or '–'}"


def namespace_faults(src, module, modules):
    names = "|".join(sorted({other.namespace for other in modules.values()} - {module.namespace, "base"}))
    used = re.compile(rf"(?:(?<![:\w])|\bpodsense::)({names})::(?!testing)")
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


class Sources:
    """The C++ files of the tree by their paths from the root, with what they include and which modules they name."""

    def __init__(self, root, modules):
        self.places = {module.folder.relative_to(root / "src").as_posix(): module for module in modules.values()}
        self.texts = {}
        for folder in ("src", "fuzz", "bench", "tests"):
            for file in sorted((root / folder).rglob("*")):
                if file.suffix in (".cc", ".h"):
                    self.texts[file.relative_to(root).as_posix()] = file.read_text("utf-8", errors="replace")
        self.includes = {path: INCLUDE.findall(text) for path, text in self.texts.items()}
        names = "|".join(sorted({place.split("/")[0] for place in self.places} - {"base"}))
        self.namespace = re.compile(rf"(?:(?<![:\w])|\bpodsense::)({names})::(?!testing)")

    def place(self, module):
        return next(place for place, one in self.places.items() if one is module)

    def place_of(self, path):
        """Of the innermost module with this file, from src/; None: of none."""
        return max((place for place in self.places if path.startswith(f"{place}/")), key=len, default=None)

    def owner(self, path):
        return self.place_of(path.removeprefix("src/")) if path.startswith("src/") else None

    def of(self, module, tests=True):
        for path in self.texts:
            owner = self.owner(path)
            if owner and self.places[owner] is module and (tests or not may_use_more(path)):
                yield path

    def is_public(self, path):
        owner = self.owner(path)
        return bool(owner) and path.removeprefix(f"src/{owner}/") in self.places[owner].headers

    def ours(self, path):
        """Headers of modules that a file includes, as paths from src/."""
        return [header for bracket, header in self.includes[path] if bracket == '"' and self.place_of(header)]

    def libraries(self, path):
        owner = self.owner(path)
        for bracket, header in self.includes[path]:
            if bracket == '"' and self.place_of(header):
                continue
            library = owner_of(header)
            if library and may_include(path.removeprefix("src/"), self.places[owner], library[1]):
                yield library[0]

    def modules_named(self, path):
        """Names of modules, with the file's own."""
        code = "\n".join(line.split("//")[0] for line in self.texts[path].splitlines())
        for header in self.ours(path):
            yield self.places[self.place_of(header)].name
        for match in self.namespace.finditer(code):
            if match[1] in self.places:
                yield self.places[match[1]].name

    def reached(self, path):
        """Headers of a file's own module that it includes, itself or through one of them."""
        owner, found, todo = self.owner(path), set(), [path]
        while todo:
            for header in self.ours(todo.pop()):
                if header.endswith(".h") and self.place_of(header) == owner and header not in found:
                    found.add(header)
                    todo += [f"src/{header}"] if f"src/{header}" in self.texts else []
        return found


def edge_faults(sources, module):
    lists = f"src/{sources.place(module)}/CMakeLists.txt"
    shown, named = {}, set()
    for path in sources.of(module, tests=False):
        for name in sources.modules_named(path):
            named.add(name)
            if sources.is_public(path):
                shown.setdefault(name, path)
    for name in sorted(module.uses - {"base"}):  # base's names have no namespace of its own
        if name not in named:
            yield f"{lists}: USES {name}, and no file of the module names it"
        elif name in shown and name in module.private_uses:
            yield f"{lists}: {shown[name]} names {name}: it belongs into USES"
        elif name not in shown and name not in module.private_uses:
            yield f"{lists}: none of the HEADERS names {name}: it belongs into PRIVATE_USES"


def header_faults(sources, module):
    place = sources.place(module)
    public = {f"{place}/{header}" for header in module.headers}
    wanted = {header for path in sources.texts if sources.owner(path) != place for header in sources.ours(path)} & public
    for header in sorted(wanted):
        wanted |= sources.reached(f"src/{header}") if f"src/{header}" in sources.texts else set()
    for header in sorted(public):
        if f"src/{header}" not in sources.texts:
            yield f"src/{place}/CMakeLists.txt: HEADERS names {header}, and there is no such file"
        elif header not in wanted:
            yield f"src/{place}/CMakeLists.txt: {header} is in HEADERS, and nothing outside the module includes it"
        else:
            for private in sorted(sources.reached(f"src/{header}") - public):
                yield f"src/{header}: other modules include it, and it includes {private}: that belongs into HEADERS"


def link_faults(sources, module):
    lists = f"src/{sources.place(module)}/CMakeLists.txt"
    shown, used, tested = {}, {}, {}
    for path in sources.of(module):
        for library in sources.libraries(path):
            by = tested if may_use_more(path) else shown if sources.is_public(path) else used
            by.setdefault(library, path)
    for library, targets in TARGETS.items():
        user = shown.get(library) or used.get(library) or tested.get(library)
        if user and not targets & module.links:
            yield f"{lists}: {user} includes {library}, and nothing links {' or '.join(sorted(targets))}"
        elif library in shown and not targets & module.public_links:
            yield f"{lists}: {shown[library]}, of HEADERS, includes {library}: link it PUBLIC"
        elif library not in shown and targets & module.public_links:
            yield f"{lists}: none of the HEADERS includes {library}: link it PRIVATE"
        elif library not in used and library not in shown and targets & module.private_links:
            yield f"{lists}: links {library}, and no file of the module includes it"


def part_faults(sources, module):
    for path in sources.of(module, tests=False):
        name = path.removeprefix("src/")
        listed = name.removeprefix(f"{sources.place(module)}/") in module.names  # otherwise it has a fault already
        if not path.endswith(".cc") or path.endswith("_testing.cc") or f"{path[:-3]}.h" in sources.texts or not listed:
            continue
        stem, reached = name.removesuffix(".cc"), sources.reached(path)
        if any(stem.startswith(f"{header.removesuffix('.h')}_") for header in reached):
            continue
        header = next((header for part, header in PARTS if fnmatch.fnmatch(name, part)), "")
        if header == "":
            yield f"{path}: there is no {stem}.h, and PARTS does not say which header declares what is here"
        elif header and not any(fnmatch.fnmatch(one, header) for one in reached):
            yield f"{path}: PARTS says that {header} declares what is here, and it does not include that"


def types_in(text):
    """(line number, namespace, name) of each type that is declared outside of other types."""
    inside = []
    for number, line in enumerate(text.splitlines(), 1):
        if match := NAMESPACE.match(line):
            inside = [*inside, match[1]] if match[1] is not None else inside[:-1]
        elif match := TYPE.match(line):
            yield number, "::".join(inside), match[1]


def shared_types(sources):
    """{name: places} of types that headers of two modules declare; those in a namespace inside a module's are read with it, as
    base's log::Field."""
    homes = {}
    namespaces = {"podsense", *(f"podsense::{place.split('/')[0]}" for place in sources.places)}
    for path, text in sources.texts.items():
        if sources.owner(path) and path.endswith(".h") and "test" not in path.rsplit("/", 1)[1]:
            for line, namespace, name in types_in(text):
                if namespace in namespaces:
                    homes.setdefault(name, {}).setdefault(namespace, f"{path}:{line}")
    return {name: list(places.values()) for name, places in sorted(homes.items()) if len(places) > 1}


def name_faults(sources):
    for name, (first, *others) in shared_types(sources).items():
        if name not in SHARED_NAMES:
            yield f"{first}: {name} is also a type of {', '.join(others)}"


def library_faults(root, sources):
    """ARCHITECTURE.md's last column, where it is called libraries, names those that a module includes."""
    document = root / "ARCHITECTURE.md"
    lines = document.read_text("utf-8").splitlines() if document.exists() else []
    if not any(line.startswith("| module |") and line.endswith("| libraries |") for line in lines):
        return
    for number, line in enumerate(lines, 1):
        match = re.match(r"\| \[([\w/]+)\]\(src/", line)
        if not match or match[1] not in sources.places:
            continue
        cell = line.removesuffix(" |").split(" | ")[-1]
        used = {library for path in sources.of(sources.places[match[1]], tests=False) for library in sources.libraries(path)}
        for library in TARGETS:
            if (re.search(rf"(?<![\w-]){re.escape(library)}(?!\w)", cell) is not None) != (library in used):
                yield f"ARCHITECTURE.md:{number}: {match[1]} includes {', '.join(sorted(used & TARGETS.keys())) or 'no library'}"
                break


def stale_faults(sources):
    """What the tables of this file allow, and nothing needs any more."""
    used = {(library, path.removeprefix("src/")) for path in sources.texts if sources.owner(path) for library in sources.libraries(path)}
    for library, _, places in OWNERS:
        for place in places:
            if not any(one == library and fnmatch.fnmatch(path, place) for one, path in used):
                yield f"scripts/check-modules.py: no {place} includes {library}: OWNERS need not say so"
    for part, _ in PARTS:
        if not any(fnmatch.fnmatch(path.removeprefix("src/"), part) for path in sources.texts):
            yield f"scripts/check-modules.py: there is no {part}: PARTS need not name it"
    for name in sorted(SHARED_NAMES - shared_types(sources).keys()):
        yield f"scripts/check-modules.py: no two modules have a type {name}: SHARED_NAMES need not name it"


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
    modules = modules_in(src)
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
    sources = Sources(root, modules)
    for module in modules.values():
        for rule in (edge_faults, header_faults, link_faults, part_faults):
            faults += rule(sources, module)
    faults += name_faults(sources)
    faults += library_faults(root, sources)
    return faults + (list(stale_faults(sources)) if root == HERE else [])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", type=pathlib.Path, default=HERE)
    faults = check(parser.parse_args().root)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
