"""The pages for Keras, PyTorch and Hugging Face, from the model to the first answer. Their packages are some gigabytes:
`make conformance-frameworks`."""

import os
import subprocess
import sys
import unittest

from framework_pages import FrameworkPage, Page


class Keras(FrameworkPage):
    page = Page("keras")

    def test_every_command_and_answer_of_the_page(self):
        self.make_models()
        self.ask_everything()


class PyTorch(FrameworkPage):
    page = Page("pytorch")

    def test_every_command_and_answer_of_the_page(self):
        self.make_models()
        self.ask_everything()


# A classifier of texts as people fetch it, but small and of random weights: the real one needs the network.
STAND_IN = """
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"what a lovely day i want my money back .".split()]
open("vocab.txt", "w").write("\\n".join(words))
BertTokenizerFast("vocab.txt").save_pretrained("stand-in")
BertForSequenceClassification(BertConfig(
    vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
    id2label={0: "NEGATIVE", 1: "POSITIVE"}, label2id={"NEGATIVE": 0, "POSITIVE": 1})).save_pretrained("stand-in")
"""


class HuggingFace(FrameworkPage):
    page = Page("hugging-face", [("distilbert/distilbert-base-uncased-finetuned-sst-2-english", "stand-in")])

    def test_the_export_and_the_program_that_asks(self):
        self.run_program(STAND_IN)
        export, serve = (text for kind, text in self.page.blocks if kind == "sh")
        path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
        commands = [line for line in (export + serve).splitlines() if line.startswith(("optimum-cli", "mkdir", "cp"))]
        subprocess.run(["bash", "-euc", "\n".join(commands)], cwd=self.folder, check=True, capture_output=True,
                       timeout=600, env=os.environ | {"PATH": path})
        said = self.ask_programs()
        self.assertRegex(said, r"^What a lovely day\. (NEGATIVE|POSITIVE)\nI want my money back\. (NEGATIVE|POSITIVE)\n$")


if __name__ == "__main__":
    unittest.main()
