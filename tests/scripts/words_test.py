#!/usr/bin/env python3
"""The word list flags what is wrong, and leaves alone the same words where they are right."""

import importlib.util
import pathlib
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("check_words", ROOT / "scripts" / "check-words.py")
check_words = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(check_words)

WRONG = ("A fault is told once.", "The format is told by content.", "open to whoever may", "Whoever asks", "within a twentieth of the least",
         "refused for lack of memory", "what is wanted is a lock", "All keys stand in [x](x.md).", "It lies in `build`, they lie beside it.",
         "A hopeless request", "small ones look dear", "It waits for ever.", "there is none such", "an executor that lets go of it",
         "Rows are read as they come.", "a model of which larger batches pay", "what befalls both", "so many bytes more",
         "Two rooms know it.", "of each room of src/")
RIGHT = ("It was told to stop.", "They cannot be told apart.", "Clients are told their names.", "as it stands in the file",
         "It stands for the name server.", "It stands in for the server.", "used in place of it", "The quantile lies between both ranks.",
         "scores lie in [0, 1]", "`whoever` in code", "where that is wanted", "forever", "Let it go.",
         "as it comes from the decoder", "of which one is newer", "so many requests that it waits",
         "There is room for two.", "The room between both is small.", "no node has room")


class Words(unittest.TestCase):
    def faults(self, text, name="page.md"):
        return list(check_words.faults_of(name, text))

    def test_what_is_wrong_is_flagged_with_its_line_and_what_to_say(self):
        for sentence in WRONG:
            self.assertEqual(1, len({fault.split(":")[1] for fault in self.faults(sentence)}), sentence)
        self.assertEqual(["page.md:2: 'whoever': say anyone who, those who"], self.faults("One.\nwhoever asks"))

    def test_the_same_words_where_they_are_right_are_not(self):
        for sentence in RIGHT:
            self.assertEqual([], self.faults(sentence), sentence)

    def test_names_that_were_given_up_stay_out_of_code(self):
        self.assertEqual(["src/a.h:2: 'LoopTurnRef': it is called LoopBatch, LoopBatchRef"],
                         list(check_words.old_names("src/a.h", "int a;\nLoopTurnRef turn;\n")))
        self.assertEqual(1, len(list(check_words.old_names("a.cc", "co_await shake_hands(stream);"))))
        self.assertEqual([], list(check_words.old_names("a.cc", "LoopBatch turn; room = 1; handshake();")))
        for name in ("src/base/log.h", "a.cc", "scripts/a.py", "src/base/CMakeLists.txt"):
            self.assertTrue(check_words.has_code(name), name)
        self.assertFalse(check_words.has_code("CHANGELOG.md"))

    def test_only_what_people_read_is_looked_at(self):
        self.assertEqual([], self.faults("```\nwhoever\n```\n"))
        self.assertEqual([], self.faults("int whoever = 1;\nlog(\"a fault is told once\");\n", "a.cc"))
        self.assertEqual(1, len(self.faults("int a;  // a fault is told once\n", "a.cc")))
        self.assertEqual(1, len(self.faults("x = 1  # for whoever asks\n", "a.py")))
        for name in ("CHANGELOG.md", "fuzz/seeds/a.md", "k8s/a.yaml"):
            self.assertFalse(check_words.is_checked(name), name)
        for name in ("src/base/log.h", "src/base/log.cc", "src/image/image.h", "docs/README.md"):
            self.assertTrue(check_words.is_checked(name), name)


if __name__ == "__main__":
    unittest.main()
