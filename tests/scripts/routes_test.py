#!/usr/bin/env python3
"""Every route that the sources add is in the API's documentation, with its methods. (The other way round, that everything
documented answers, is asked of a running server: tests/integration/test_endpoints.py.)"""

import json
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = sorted(path for path in (ROOT / "src/http").glob("*.cc") if not path.name.endswith("_test.cc"))
LITERAL = r'"(/[^"]*)"'


def added(text):
    """(path, method) of each route that this source adds. A path may be listed before the route that uses it."""
    found = set()
    for path in re.findall(rf"(?<![\w.])post\(\s*{LITERAL}", text):
        found.add((path, "post"))
    for path in re.findall(rf"(?<![\w.])probe\(\s*{LITERAL}", text) + re.findall(rf"\badd_get\(\s*router,\s*{LITERAL}", text):
        found.add((path, "get"))
    for paths in re.findall(r"\badd_get\(\s*router,\s*\{(.*?)\},\s*Asked", text, re.S):
        found |= {(path, "get") for path in re.findall(LITERAL, paths)}
    # router.add({.path = "/x", .get = …, .post = …}), or with a variable of a loop over paths.
    for loop, block in re.findall(r"(for \(const char\* path :[^)]*\) \{\s*)?router\.add\(\s*\{\.path = (.*?)\}\);", text, re.S):
        paths = re.findall(LITERAL, loop) or re.findall(rf"\A{LITERAL}", block)
        methods = [method for method in ("get", "post") if f".{method} =" in block]
        found |= {(path, method) for path in paths for method in methods}
    return found


class Routes(unittest.TestCase):
    def test_each_is_documented_with_its_methods(self):
        routes = set().union(*(added(path.read_text("utf-8")) for path in SOURCES))
        self.assertGreater(len(routes), 40, "the sources add routes in a way that this test does not know")
        for expected in (("/predict", "post"), ("/v1/faults", "get"), ("/v2/models/{model}/infer", "post"), ("/ping", "get"),
                         ("/v2/models/{model}/versions/{version}/stats", "get"), ("/infer", "get")):
            self.assertIn(expected, routes)
        document = json.loads((ROOT / "web/openapi.json").read_text("utf-8"))
        documented = {(path, method) for path, methods in document["paths"].items() for method in methods}
        self.assertEqual(set(), routes - documented - {("/v2/", "get")}, "add them to web/openapi.json")
        pages = {("/", "get"), ("/docs", "get"), ("/openapi.json", "get")}
        documented = {row for row in documented if row[1] in ("get", "post")}
        self.assertEqual(set(), documented - routes - pages, "no source adds them")

    def test_every_way_of_adding_one_is_seen(self):
        text = '''
  post("/a", 1, use);
  probe("/b");
  add_get(router, "/c", make, {});
  add_get(router, {"/d", "/d/{model}"}, Asked::kProbe, make);
  for (const char* path :
       {"/e/{model}", "/f"}) {
    router.add({.path = path,
                .post = use});
  }
  router.add({.path = "/g", .get = get_of(own, "/v2/models/m/ready"), .post = use, .api = true});
  const Handler ready = get_of(own, "/readyz");
'''
        self.assertEqual({("/a", "post"), ("/b", "get"), ("/c", "get"), ("/d", "get"), ("/d/{model}", "get"), ("/e/{model}", "post"),
                          ("/f", "post"), ("/g", "get"), ("/g", "post")}, added(text))


if __name__ == "__main__":
    unittest.main()
