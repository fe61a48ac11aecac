"""The pages for scikit-learn, LightGBM and XGBoost, from the trained model to the first answer."""

import unittest

from framework_pages import FrameworkPage, Page


class ScikitLearn(FrameworkPage):
    page = Page("scikit-learn")

    def test_every_command_and_answer_of_the_page(self):
        self.make_models()
        self.ask_everything()


class LightGbm(FrameworkPage):
    page = Page("lightgbm")

    def test_every_command_and_answer_of_the_page(self):
        self.make_models()
        self.ask_everything()


class XgBoost(FrameworkPage):
    page = Page("xgboost")

    def test_every_command_and_answer_of_the_page(self):
        self.make_models()
        self.ask_everything()


if __name__ == "__main__":
    unittest.main()
