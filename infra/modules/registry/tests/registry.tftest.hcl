# What the registry promises.

mock_provider "aws" {}

variables {
  repositories = ["podsense", "ml-inference-service"]
  kms_key_arn  = "arn:aws:kms:ap-southeast-2:111122223333:key/test"
}

run "tags_never_move_and_images_are_scanned" {
  command = plan

  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.image_tag_mutability == "IMMUTABLE" && repository.image_scanning_configuration[0].scan_on_push && !repository.force_delete])
    error_message = "immutable, scanned, kept"
  }
}

run "old_images_expire" {
  command = plan

  variables {
    keep_images = 7
  }

  assert {
    condition     = alltrue([for policy in aws_ecr_lifecycle_policy.this : jsondecode(policy.policy).rules[1].selection.countNumber == 7])
    error_message = "as many stay as was asked"
  }
}
