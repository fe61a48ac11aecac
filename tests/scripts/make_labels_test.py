"""models/make_labels.py: short names, and one name for one thing."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models"))
import make_labels  # noqa: E402  the path has to be set first


def package():
    """As the package's list, where it matters."""
    labels = [f"thing {i}" for i in range(1000)]
    for index, (name, _) in make_labels.NAMES.items():
        labels[index] = name
    labels[657] = "missile"
    labels[836] = labels[837] = "sunglasses"
    return labels


class MakeLabels(unittest.TestCase):
    def test_descriptions_become_names(self):
        labels = make_labels.names_of(package())
        self.assertEqual(labels[282], "tiger cat")
        self.assertEqual((labels[657], labels[744]), ("missile", "projectile"))
        self.assertEqual(labels[836:838], ["sunglasses"] * 2)
        self.assertEqual(labels[0], "thing 0")

    def test_another_list_is_refused(self):
        for index, name, why in ((5, "thing 4", "several classes"), (5, "a thing that is described at length", "names"),
                                 (282, "tiger cat", "class 282 is 'tiger cat' in the package")):
            labels = package()
            labels[index] = name
            with self.assertRaisesRegex(SystemExit, why):
                make_labels.names_of(labels)


if __name__ == "__main__":
    unittest.main()
