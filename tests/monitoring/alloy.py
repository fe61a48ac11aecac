"""Reads as much of Alloy's language as monitoring/alloy/config.alloy uses: blocks, strings, maps of them.

https://grafana.com/docs/alloy/latest/get-started/configuration-syntax/"""

import json
import re

TOKEN = re.compile(r'\s+|//[^\n]*|("(?:[^"\\]|\\.)*"|[\w.]+|[{}=,\[\]()+])')


class Reader:
    def __init__(self, text):
        self.tokens, at = [], 0
        while at < len(text):
            match = TOKEN.match(text, at)
            if not match:
                raise ValueError(f"not Alloy's language: {text[at : at + 40]!r}")
            if match.group(1):
                self.tokens.append(match.group(1))
            at = match.end()

    def peek(self):
        return self.tokens[0] if self.tokens else None

    def take(self, wanted=None):
        token = self.tokens.pop(0)
        if wanted not in (None, token):
            raise ValueError(f"{token!r} where {wanted!r} must be")
        return token

    def value(self):
        if self.peek() == "{":
            return self.map()
        token = self.take()
        if token.startswith('"'):
            made = json.loads(token)
            if self.peek() == "+":  # of a string and a call: left as it stands
                while self.peek() not in ("}", None) and self.tokens[1:2] != ["="]:
                    made += self.take()
            return made
        if token == "[":
            made = []
            while self.peek() != "]":
                made.append(self.value())
                if self.peek() == ",":
                    self.take()
            self.take("]")
            return made
        return token  # a number, true, or a component's export

    def map(self):
        made = {}
        self.take("{")
        while self.peek() != "}":
            name = self.take()
            self.take("=")
            made[name] = self.value()
            if self.peek() != "}":
                self.take(",")
        self.take("}")
        return made

    def body(self):
        """(attributes, [(block's name, its label or None, its body)]) up to } or the end."""
        attributes, blocks = {}, []
        while self.peek() not in ("}", None):
            name = self.take()
            if self.peek() == "=":
                self.take()
                attributes[name] = self.value()
                continue
            label = json.loads(self.take()) if self.peek() != "{" else None
            self.take("{")
            blocks.append((name, label, self.body()))
            self.take("}")
        return attributes, blocks


def read(text):
    reader = Reader(text)
    body = reader.body()
    if reader.peek():
        raise ValueError(f"{reader.peek()!r} is one too many")
    return body


def _stages(blocks):
    made = []
    for name, _, (attributes, inner) in blocks:
        body = attributes | ({"stages": _stages(inner)} if inner else {})
        made.append({name.removeprefix("stage."): body.get("values", body)})
    return made


def stages(text, label):
    """The stages of `loki.process "label"`, as Promtail's configuration writes the same ones."""
    _, blocks = read(text)
    ((_, inner),) = [body for name, its, body in blocks if (name, its) == ("loki.process", label)]
    return _stages(inner)
