"""Files that `podsense load` reads: rows, features, traces, templates, as programs write them."""

import json
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import BINARY, LIMIT
from load_double import Double
from test_load import Run

BOM = b"\xef\xbb\xbf"


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def bodies(self, *flags, count=3):
        """What is sent, in order."""
        with Double() as double:
            run = Run(double.url, *flags, "-n", count, "-c", 1)
            self.assertEqual(run.code, 0, run)
            return [body.decode() for body in double.bodies]

    def refused(self, said, *flags):
        done = subprocess.run([BINARY, "load", "http://127.0.0.1:1/", *map(str, flags)], capture_output=True,
                              text=True, timeout=LIMIT, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1), done)
        self.assertIn(said, done.stderr)


class Rows(Files):
    def test_names_in_files_of_every_kind(self):
        body = self.write("body.json", '{"city": "{{row city}}", "n": {{row n}}}')
        for name, content in (("plain", b"city,n\n\"Berlin, DE\",1\nK\xc3\xb6ln,2\n"),
                              ("mark", BOM + b"City,N\r\n\"Berlin, DE\",1\r\nK\xc3\xb6ln,2\r\n")):
            rows = self.write(name, content)
            sent = [json.loads(text) for text in self.bodies("--body-file", body, "--rows", rows)]
            self.assertEqual(sent, [{"city": "Berlin, DE", "n": 1}, {"city": "Köln", "n": 2},
                                    {"city": "Berlin, DE", "n": 1}], name)

    def test_a_first_line_of_words_is_a_row(self):
        rows = self.write("words.csv", "good film\nbad film\n")
        body = self.write("body.json", '{"text": "{{row}}"}')
        self.assertEqual(self.bodies("--body-file", body, "--rows", rows, count=2),
                         ['{"text": "good film"}', '{"text": "bad film"}'])
        self.assertEqual(self.bodies("--body-file", body, "--rows", rows, "--csv-header", count=2),
                         ['{"text": "bad film"}'] * 2)

    def test_values_are_escaped_where_the_body_is_json(self):
        rows = self.write("rows.csv", 'text\n"say ""hi""\nC:\\"\n')
        for template in ('{"t": "{{row text}}"}', '{"t": {{json row text}}}', '{"t": {{row text}}}'):
            body = self.write("body.json", template)
            sent = self.bodies("--body-file", body, "--rows", rows, count=1)
            self.assertEqual(json.loads(sent[0]), {"t": 'say "hi"\nC:\\'}, template)
        body = self.write("body.txt", "text: {{row text}}")
        self.assertEqual(self.bodies("--body-file", body, "--rows", rows, count=1), ['text: say "hi"\nC:\\'])

    def test_standard_input_is_a_body(self):
        with Double() as double:
            subprocess.run([BINARY, "load", double.url, "--body-file", "-", "-n", "2", "-c", "1", "--quiet"],
                           input='{"n": {{counter}}}', text=True, capture_output=True, timeout=LIMIT, check=True)
            subprocess.run([BINARY, "load", double.url, "-d", "@-", "-n", "1", "--quiet"],
                           input="a\r\nb\n", text=True, capture_output=True, timeout=LIMIT, check=True)
        self.assertEqual(double.bodies, [b'{"n": 0}', b'{"n": 1}', b"ab"])

    def test_a_template_may_have_a_byte_order_mark(self):
        rows = self.write("rows.csv", 'text\n"say ""hi"""\n')
        body = self.write("body.json", BOM + b'{"t": "{{row text}}"}')
        sent = self.bodies("--body-file", body, "--rows", rows, count=1)
        self.assertEqual(json.loads(sent[0]), {"t": 'say "hi"'})

    def test_data_from_a_file_is_as_with_curl(self):
        data = self.write("data", "a\r\nb\n")
        self.assertEqual(self.bodies("-d", f"@{data}", count=1), ["ab"])
        self.assertEqual(self.bodies("-D", data, count=1), ["a\r\nb\n"])

    def test_line_and_column_of_what_is_wrong(self):
        body = self.write("body.json", '{"n": {{row n}}}')
        for content, said in (("n,m\n1\n", "line 2, column 2: the record has 1 fields, the first has 2"),
                              ('n\n"1\n', "line 2, column 1: this quote is not closed"),
                              (b"n\nK\xf6ln\n", "line 2, column 2: a byte that is no text in UTF-8"),
                              ("m\n1\n", "{{row n}}: the first line of the file does not name this column")):
            rows = self.write("rows.csv", content)
            self.refused(said, "--body-file", body, "--rows", rows)


class Features(Files):
    def test_files_of_every_kind(self):
        for content, flags in ((BOM + b"1,2,3\n4,5,6\n", ()), (b"1,2,3\r\n4,5,6\r\n", ()),
                               (b'"1","2","3"\n"4","5","6"\n', ()), (b"a,b,c\n1,2,3\n4,5,6\n", ("--csv-header",))):
            features = self.write("f.csv", content)
            sent = [json.loads(body)["features"] for body in self.bodies("--features", features, *flags, count=2)]
            self.assertEqual(sent, [[1, 2, 3], [4, 5, 6]], content)

    def test_numbers_as_files_have_them(self):
        for features in (".5,-.5,+1,2.,007", self.write("f.csv", ".5,-.5,+1,2.,007\n")):
            self.assertEqual(json.loads(self.bodies("--features", features, count=1)[0])["features"],
                             [0.5, -0.5, 1, 2, 7])

    def test_missing_values_are_null(self):
        features = self.write("f.csv", "1,,NaN\n")
        self.assertEqual(json.loads(self.bodies("--features", features, count=1)[0]), {"features": [1, None, None]})

    def test_words_are_refused(self):
        self.refused("line 1, column 1: 'a' is no number; --csv-header where", "--features",
                     self.write("f.csv", "a,b\n1,2\n"))
        self.refused("line 2, column 3: 'x' is no number", "--features", self.write("f.csv", "1,2\n3,x\n"))


class Traces(Files):
    def planned(self, content, *flags):
        with Double() as double:
            run = Run("--host", double.url, "--trace", self.write("t.csv", content), *flags)
            self.assertEqual(run.code, 0, run)
            came = sorted(came for came, _ in double.log)
        return run.report["plan"]["seconds"], [moment - came[0] for moment in came]

    def test_moments_as_programs_write_them(self):
        for content in (BOM + b"0.1\n0.2\n0.4\n", b"0.1\r\n0.2\r\n0.4\r\n", b"time,x\n0.4,a\n0.1,b\n0.2,c\n",
                        b"5000.1\n5000.2\n5000.4\n", b"1611964800123\n1611964800223\n1611964800423\n",
                        b"2021-01-31 00:00:05,123\n2021-01-31 00:00:05,223\n2021-01-31 00:00:05,423\n",
                        b"2021-01-31T00:00:05+01:00\n2021-01-31T00:00:05.1+01:00\n2021-01-30T23:00:05.3Z\n"):
            seconds, moments = self.planned(content)
            self.assertAlmostEqual(seconds, 0.301, places=5, msg=content)
            self.assertEqual(len(moments), 3)
            self.assertGreater(moments[2], 0.15, content)  # a busy machine is late, never early

    def test_the_offset_can_be_kept(self):
        seconds, _ = self.planned("0.4\n0.5\n", "--keep-offset")
        self.assertAlmostEqual(seconds, 0.501, places=5)

    def test_counts_with_names_of_any_case(self):
        for content in (b"minute,count\r\n0,60\r\n", BOM + b"minute,count\n0,60\n", b"Minute,Count\n0,60\n"):
            seconds, moments = self.planned(content, "--trace-speed", 60)
            self.assertEqual((seconds, len(moments)), (1, 60), content)

    def test_forms_that_nobody_knows_are_refused(self):
        for content, place in (("0.1;a\n0.2;b\n", "line 1, column 1: '0.1;a' is no moment"),
                               ("when,x\n0.1,a\n", "line 1, column 1"),
                               ("0.1\nx\n", "line 2, column 1"),
                               ("0,1;a\n0,2;b\n", "line 1, column 3: '1;a' has a semicolon"),
                               ("2021-01-31 00:00:05,200,GET\n", "may be a fraction of the second"),
                               ("10/Oct/2000:13:55:36 -0700\n", "line 1, column 1")):
            self.refused(place, "--trace", self.write("t.csv", content))


if __name__ == "__main__":
    unittest.main()
