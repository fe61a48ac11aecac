# Each rule refuses what it names. No account is needed: the provider is mocked.

mock_provider "aws" {}

variables {
  repositories = ["podsense"]
  kms_key_arn  = "arn:aws:kms:ap-southeast-2:111122223333:key/test"
}

run "no_repository" {
  command = plan

  variables {
    repositories = []
  }

  expect_failures = [var.repositories]
}

run "a_repository_with_capitals" {
  command = plan

  variables {
    repositories = ["PodSense"]
  }

  expect_failures = [var.repositories]
}

run "too_few_images_to_roll_back" {
  command = plan

  variables {
    keep_images = 1
  }

  expect_failures = [var.keep_images]
}

run "more_images_than_anyone_reads" {
  command = plan

  variables {
    keep_images = 5000
  }

  expect_failures = [var.keep_images]
}
