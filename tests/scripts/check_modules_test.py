#!/usr/bin/env python3
"""The checker of the include graph is itself checked: a sound tree passes, each violation is told."""

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
    "  PRIVATE fmt::fmt)  # USES nothing\n",
    "src/base/error.h": "#include <tl/expected.hpp>\n#include <string>\n",
    "src/base/log.h": '#include "base/error.h"\n',
    "src/base/log.cc": '#include "base/log.h"\n#include <fmt/chrono.h>\n#include <sys/stat.h>\n',
    "src/image/CMakeLists.txt": "podsense_module(image\n  SOURCES image.cc\n  HEADERS image.h\n"
    "  USES base\n  TESTS image_test.cc)\n",
    "src/image/image.h": '#include "base/error.h"\n',
    "src/image/decoder.h": "#include <spng.h>\n",
    "src/image/image.cc": '#include "image/image.h"\n#include "image/decoder.h"\n'
    "#include <jpeglib.h>\n",
    "src/image/image_test.cc": '#include "image/image.h"\n#include <gtest/gtest.h>\n'
    "#include <webp/encode.h>\n",
    "src/fetch/CMakeLists.txt": "podsense_module(fetch SOURCES fetch.cc HEADERS fetch.h USES base)\n",
    "src/fetch/fetch.h": '#include "base/error.h"\n',
    "src/fetch/fetch.cc": '#include "fetch/fetch.h"\n#include <curl/curl.h>\n',
    "src/inference/CMakeLists.txt": "podsense_module(inference SOURCES service.cc HEADERS service.h\n"
    "  USES base image)\n",
    "src/inference/service.h": '#include "image/image.h"\n',
    "src/inference/service.cc": '#include "inference/service.h"\n',
    "fuzz/CMakeLists.txt": "podsense_fuzzer(image_fuzz podsense_image)\n",
    "fuzz/image_fuzz.cc": '#include "image/image.h"\n',
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

    def test_tests_may_use_more(self):
        lists = SOUND["src/fetch/CMakeLists.txt"].replace("USES base", "USES base TESTS fetch_test.cc TEST_USES image")
        changes = {"src/fetch/CMakeLists.txt": lists, "src/fetch/fetch_test.cc": '#include "image/image.h"\n'}
        self.assertEqual(faults_of(changes), [])
        self.assert_one_fault(
            {**changes, "src/fetch/fetch.cc": '#include "image/image.h"\n'}, "does not list image in USES"
        )

    def test_a_cycle_is_told_with_its_rooms(self):
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
            ("<nlohmann/json.hpp>", "protocol/*.cc"),
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

    def test_an_unknown_room_is_told(self):
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
