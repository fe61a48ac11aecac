#!/usr/bin/env python3
"""The checker of the include graph is itself checked: a sound tree passes, each violation is reported."""

import importlib.util
import pathlib
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("check_modules", ROOT / "scripts" / "check-modules.py")
check_modules = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(check_modules)

SOUND = {
    "src/base/CMakeLists.txt": "podsense_module(base SOURCES log.cc HEADERS error.h log.h\n"
    "  PUBLIC tl::expected PRIVATE fmt::fmt)  # USES nothing\n",
    "src/base/error.h": "#include <tl/expected.hpp>\n#include <string>\n",
    "src/base/log.h": '#include "base/error.h"\n',
    "src/base/log.cc": '#include "base/log.h"\n#include <fmt/chrono.h>\n#include <sys/stat.h>\n',
    "src/image/CMakeLists.txt": "podsense_module(image\n  SOURCES image.cc\n  HEADERS image.h\n"
    "  USES base\n"
    "  PRIVATE PkgConfig::JPEG PkgConfig::SPNG\n  TESTS image_test.cc)\n"
    "target_link_libraries(image_test PRIVATE PkgConfig::WEBP)\n",
    "src/image/image.h": '#include "base/error.h"\n',
    "src/image/decoder.h": "#include <spng.h>\n",
    "src/image/image.cc": '#include "image/image.h"\n#include "image/decoder.h"\n'
    "#include <jpeglib.h>\n",
    "src/image/image_test.cc": '#include "image/image.h"\n#include <gtest/gtest.h>\n'
    "#include <webp/encode.h>\n",
    "src/fetch/CMakeLists.txt": "podsense_module(fetch SOURCES fetch.cc HEADERS fetch.h USES base)\n",
    "src/fetch/fetch.h": '#include "base/error.h"\n',
    "src/fetch/fetch.cc": '#include "fetch/fetch.h"\n',
    "src/inference/CMakeLists.txt": "podsense_module(inference SOURCES service.cc HEADERS service.h\n"
    "  USES base image)\n",
    "src/inference/service.h": '#include "image/image.h"\n',
    "src/inference/service.cc": '#include "inference/service.h"\n',
    "fuzz/CMakeLists.txt": "podsense_fuzzer(image_fuzz podsense_image)\n",
    "fuzz/image_fuzz.cc": '#include "image/image.h"\n',
    "bench/all_bench.cc": '#include "base/log.h"\n#include "fetch/fetch.h"\n#include "inference/service.h"\n',
}


def faults_of(changes):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in {**SOUND, **changes}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, "utf-8")
        return check_modules.check(root)


class CheckModules(unittest.TestCase):
    def assert_one_fault(self, changes, *parts):
        faults = faults_of(changes)
        self.assertEqual(len(faults), 1, faults)
        for part in parts:
            self.assertIn(part, faults[0])

    def test_a_sound_tree_passes(self):
        self.assertEqual(faults_of({}), [])

    def test_a_module_that_is_not_listed_is_told_with_file_and_line(self):
        self.assert_one_fault(
            {"src/inference/service.cc": '#include "inference/service.h"\n\n#include "fetch/fetch.h"\n'},
            "src/inference/service.cc:3:",
            "does not list fetch in USES",
        )

    def test_the_document_says_what_the_lists_say(self):
        table = "| module | what | uses | owns |\n|---|---|---|---|\n"
        rows = {
            "base": "| [base](src/base) | x | – | fmt |",
            "fetch": "| [fetch](src/fetch/fetch.h) | x | base | libcurl |",
            "image": "| [image](src/image/image.h) | x | base | – |",
            "inference": "| [inference](src/inference/service.h) | x | base, image | – |",
        }
        self.assertEqual(faults_of({"ARCHITECTURE.md": table + "\n".join(rows.values())}), [])
        wrong = {**rows, "fetch": "| [fetch](src/fetch/fetch.h) | x | base, image | libcurl |"}
        self.assert_one_fault(
            {"ARCHITECTURE.md": table + "\n".join(wrong.values())}, "ARCHITECTURE.md:4:", "fetch uses base"
        )
        del rows["image"]
        self.assert_one_fault({"ARCHITECTURE.md": table + "\n".join(rows.values())}, "no row [image]")

    def test_another_modules_namespace_is_a_use(self):
        self.assert_one_fault(
            {"src/inference/service.cc": "void f(fetch::Policy p);\n"}, "names fetch:: and does not list it"
        )
        self.assertEqual(faults_of({"src/inference/service.cc": "void f(::fetch::Policy p);  // fetch::x\n"}), [])

    def test_a_module_may_have_modules_inside(self):
        inner = {
            "src/fetch/CMakeLists.txt": "podsense_module(fetch SOURCES fetch.cc HEADERS fetch.h USES base fetch_parts)\n",
            "src/fetch/parts/CMakeLists.txt": "podsense_module(fetch_parts SOURCES part.cc HEADERS part.h USES base)\n",
            "src/fetch/parts/part.h": '#include "base/error.h"\n',
            "src/fetch/parts/part.cc": '#include "fetch/parts/part.h"\nusing fetch::Policy;\n',
            "src/fetch/fetch.h": '#include "fetch/parts/part.h"\n',
        }
        self.assertEqual(faults_of(inner), [])
        self.assert_one_fault(
            {**inner, "src/fetch/parts/part.cc": '#include "fetch/fetch.h"\n'},
            "src/fetch/parts/part.cc:1:",
            "module fetch_parts does not list fetch in USES",
        )
        self.assert_one_fault({**inner, "src/fetch/parts/lost.cc": ""}, "src/fetch/parts/lost.cc: not named")
        row = "| module | what | uses | owns |\n|---|---|---|---|\n" + "\n".join(
            f"| [{name}](src/{name}) | x | {uses} | – |"
            for name, uses in (("base", "–"), ("fetch", "base, fetch/parts"), ("image", "base"), ("inference", "base, image"))
        )
        self.assert_one_fault({**inner, "ARCHITECTURE.md": row}, "no row [fetch/parts](src/fetch/parts")
        self.assertEqual(faults_of({**inner, "ARCHITECTURE.md": row + "\n| [fetch/parts](src/fetch/parts) | x | base | – |"}), [])

    def test_tests_may_use_more(self):
        lists = SOUND["src/fetch/CMakeLists.txt"].replace("USES base", "USES base TESTS fetch_test.cc TEST_USES image")
        changes = {"src/fetch/CMakeLists.txt": lists, "src/fetch/fetch_test.cc": '#include "image/image.h"\n'}
        self.assertEqual(faults_of(changes), [])
        self.assert_one_fault(
            {**changes, "src/fetch/fetch.cc": '#include "image/image.h"\n'}, "does not list image in USES"
        )

    def test_its_full_name_is_a_use_too(self):
        self.assert_one_fault(
            {"src/inference/service.cc": "void f(podsense::fetch::Policy p);\n"}, "names fetch:: and does not list it"
        )

    def test_a_module_that_only_sources_name_is_listed_as_private(self):
        lists = SOUND["src/inference/CMakeLists.txt"]
        private = {
            "src/inference/CMakeLists.txt": lists.replace("USES base image", "USES base PRIVATE_USES image"),
            "src/inference/service.h": "",
        }
        self.assert_one_fault({**private, "src/inference/service.cc": ""}, "USES image, and no file of the module names it")
        for use in ('#include "image/image.h"\n', "image::Pixels pixels;\n"):
            with self.subTest(use=use):
                self.assertEqual(faults_of({**private, "src/inference/service.cc": use}), [])
                self.assert_one_fault(
                    {"src/inference/service.h": "", "src/inference/service.cc": use},
                    "none of the HEADERS names image: it belongs into PRIVATE_USES",
                )
                self.assert_one_fault(
                    {**private, "src/inference/service.h": use},
                    "src/inference/service.h names image: it belongs into USES",
                )

    def test_what_only_tests_name_is_no_use(self):
        lists = SOUND["src/fetch/CMakeLists.txt"].replace("USES base", "USES base PRIVATE_USES image TESTS fetch_test.cc")
        self.assert_one_fault(
            {"src/fetch/CMakeLists.txt": lists, "src/fetch/fetch_test.cc": '#include "image/image.h"\n'},
            "USES image, and no file of the module names it",
        )

    def test_headers_that_nobody_else_includes_are_private(self):
        lists = SOUND["src/image/CMakeLists.txt"].replace("HEADERS image.h", "HEADERS image.h size.h")
        more = {"src/image/CMakeLists.txt": lists, "src/image/size.h": ""}
        self.assert_one_fault(more, "image/size.h is in HEADERS, and nothing outside the module includes it")
        through = SOUND["src/image/image.h"] + '#include "image/size.h"\n'
        self.assertEqual(faults_of({**more, "src/image/image.h": through}), [])
        self.assert_one_fault({"src/image/image.h": through, "src/image/size.h": ""}, "it includes image/size.h")
        self.assert_one_fault(
            {"src/image/CMakeLists.txt": lists}, "HEADERS names image/size.h, and there is no such file"
        )

    def test_a_library_is_linked_where_it_is_included(self):
        lists = SOUND["src/image/CMakeLists.txt"]
        for changed, fault in (
            (lists.replace(" PkgConfig::SPNG", ""), "src/image/decoder.h includes libspng, and nothing links PkgConfig::SPNG"),
            (lists.replace(" PkgConfig::WEBP", ""), "src/image/image_test.cc includes libwebp, and nothing links"),
            (lists.replace("PRIVATE PkgConfig::JPEG", "PRIVATE GIF::GIF PkgConfig::JPEG"), "links giflib, and no file"),
            (lists.replace("PRIVATE PkgConfig::JPEG", "PRIVATE PkgConfig::JPEG PUBLIC"), "none of the HEADERS includes libspng"),
        ):
            with self.subTest(fault=fault):
                self.assert_one_fault({"src/image/CMakeLists.txt": changed}, fault)
        base = SOUND["src/base/CMakeLists.txt"].replace("PUBLIC tl::expected PRIVATE", "PRIVATE tl::expected")
        self.assert_one_fault(
            {"src/base/CMakeLists.txt": base}, "src/base/error.h, of HEADERS, includes tl::expected: link it PUBLIC"
        )

    def test_a_source_has_its_header_or_is_a_part_of_one(self):
        for name, text, fault in (
            ("image_rows.cc", '#include "image/image.h"\n', None),
            ("png.cc", '#include "image/deep.h"\n', None),  # through a header of the module
            ("image_rows.cc", "", "PARTS says that image/decode.h declares what is here, and it does not include that"),
            ("png.cc", '#include "image/image.h"\n', "PARTS says that image/decode.h declares"),
        ):
            changes = {
                "src/image/CMakeLists.txt": SOUND["src/image/CMakeLists.txt"].replace("image.cc", f"image.cc {name}"),
                "src/image/decode.h": "",
                "src/image/deep.h": '#include "image/decode.h"\n',
                f"src/image/{name}": text,
            }
            with self.subTest(name=name, text=text):
                if fault:
                    self.assert_one_fault(changes, f"src/image/{name}: {fault}")
                else:
                    self.assertEqual(faults_of(changes), [])
        self.assert_one_fault(
            {
                "src/inference/CMakeLists.txt": SOUND["src/inference/CMakeLists.txt"].replace(".cc", ".cc lost.cc"),
                "src/inference/lost.cc": '#include "inference/service.h"\n',
            },
            "src/inference/lost.cc: there is no inference/lost.h, and PARTS does not say",
        )

    def test_types_of_two_modules_have_two_names(self):
        def header(module, inside):
            return f"{SOUND[f'src/{module}/{module}.h']}namespace podsense::{module} {{\n{inside}\n}}  // namespace\n"

        def faults(image, fetch):
            return faults_of({"src/image/image.h": header("image", image), "src/fetch/fetch.h": header("fetch", fetch)})

        self.assertEqual(
            faults("struct Size {};", "enum class Size {"),
            ["src/fetch/fetch.h:3: Size is also a type of src/image/image.h:3"],
        )
        for image, fetch in (
            ("struct Size {};", "struct Size;"),  # a type's name alone declares nothing
            ("struct Size {};", "struct Name {\n  struct Size {};\n};"),
            ("struct Size {};", "namespace detail {\nstruct Size {};\n}  // namespace detail"),
            ("struct Options {};", "struct Options {};"),  # of SHARED_NAMES
        ):
            with self.subTest(fetch=fetch):
                self.assertEqual(faults(image, fetch), [])

    def test_the_document_names_the_libraries_that_are_included(self):
        table = (
            "| module | what | uses | libraries |\n|---|---|---|---|\n"
            "| [base](src/base) | x | – | fmt (logs), tl::expected |\n| [fetch](src/fetch) | x | base | – |\n"
            "| [image](src/image) | x | base | libspng, libjpeg-turbo |\n| [inference](src/inference) | x | base, image | – |\n"
        )
        self.assertEqual(faults_of({"ARCHITECTURE.md": table}), [])
        self.assert_one_fault({"ARCHITECTURE.md": table.replace("libspng, ", "")}, "ARCHITECTURE.md:5: image includes libjpeg")
        self.assert_one_fault(
            {"ARCHITECTURE.md": table.replace("| base | –", "| base | libcurl")}, "ARCHITECTURE.md:4: fetch includes no library"
        )

    def test_what_the_tables_allow_is_needed(self):
        self.assertEqual(list(check_modules.check(ROOT)), [])
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "src").mkdir()
            stale = list(check_modules.stale_faults(check_modules.Sources(pathlib.Path(folder), {})))
        self.assertIn("scripts/check-modules.py: no image/*.cc includes giflib: OWNERS need not say so", stale)
        self.assertIn("scripts/check-modules.py: there is no fetch/policy.cc: PARTS need not name it", stale)
        self.assertIn("scripts/check-modules.py: no two modules have a type Options: SHARED_NAMES need not name it", stale)

    def test_a_cycle_is_reported_with_its_modules(self):
        faults = faults_of(
            {
                "src/base/CMakeLists.txt": "podsense_module(base SOURCES log.cc HEADERS error.h log.h "
                "USES inference)",
            }
        )
        self.assertTrue(any("base -> inference -> base" in fault for fault in faults), faults)

    def test_a_third_party_header_outside_its_owner_is_refused(self):
        for header, home in (
            ("<onnxruntime_cxx_api.h>", "onnx/*.cc"),
            ("<boost/beast/core.hpp>", "transport/*.cc"),
            ("<nlohmann/json.hpp>", "http/*.cc"),
            ("<spng.h>", "image/*.cc"),
            ("<jpeglib.h>", "image/*.cc"),
            ('"yaml-cpp/yaml.h"', "model/*.cc"),
        ):
            with self.subTest(header=header):
                self.assert_one_fault(
                    {"src/fetch/fetch.cc": f"#include {header}\n"}, "src/fetch/fetch.cc:1:", home
                )

    def test_a_public_header_may_not_show_the_owners_library(self):
        self.assert_one_fault({"src/image/image.h": "#include <spng.h>\n"}, "src/image/image.h:1:")

    def test_another_modules_private_header_is_refused(self):
        self.assert_one_fault(
            {"src/inference/service.cc": '#include "image/decoder.h"\n'}, "private to module image"
        )

    def test_an_unknown_library_needs_an_owner(self):
        self.assert_one_fault({"src/base/log.h": "#include <absl/log.h>\n"}, "no library in OWNERS")

    def test_an_unknown_module_is_reported(self):
        self.assert_one_fault({"src/base/log.h": '#include "utils/x.h"\n'}, "no module utils")

    def test_relative_includes_and_sources_are_refused(self):
        self.assert_one_fault({"src/base/log.h": '#include "error.h"\n'}, '"base/error.h"')
        self.assert_one_fault({"src/base/log.h": '#include "base/log.cc"\n'}, "never included")

    def test_a_source_that_nothing_builds_is_told(self):
        self.assert_one_fault({"src/image/lost_test.cc": ""}, "src/image/lost_test.cc: not named")
        self.assert_one_fault({"fuzz/lost.cc": ""}, "fuzz/lost.cc")

    def test_a_comment_in_the_list_names_nothing(self):
        changes = {
            "src/image/CMakeLists.txt": SOUND["src/image/CMakeLists.txt"] + "# new.cc soon",
            "src/image/new.cc": "",
        }
        self.assert_one_fault(changes, "src/image/new.cc: not named")


if __name__ == "__main__":
    unittest.main()
