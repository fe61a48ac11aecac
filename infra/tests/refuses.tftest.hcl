# Each rule refuses what it names. No account is needed: the provider is mocked.

mock_provider "aws" {
  # OpenTofu's mocks leave lists of computed blocks null.
  mock_resource "aws_eks_cluster" {
    defaults = {
      certificate_authority = [{ data = "Y2E=" }]
      identity              = [{ oidc = [{ issuer = "https://oidc.example.com" }] }]
    }
  }
  mock_data "aws_availability_zones" {
    defaults = { names = ["ap-southeast-2a", "ap-southeast-2b", "ap-southeast-2c"] }
  }
}


run "a_region_that_is_none" {
  command = plan

  variables {
    region = "Sydney"
  }

  expect_failures = [var.region]
}

run "a_cluster_name_with_capitals" {
  command = plan

  variables {
    cluster_name = "PodSense"
  }

  expect_failures = [var.cluster_name]
}

run "an_unknown_environment" {
  command = plan

  variables {
    environment = "production"
  }

  expect_failures = [var.environment]
}

run "tags_that_are_set_here" {
  command = plan

  variables {
    tags = { Cluster = "other" }
  }

  expect_failures = [var.tags]
}

run "tags_of_aws" {
  command = plan

  variables {
    tags = { "aws:owner" = "me" }
  }

  expect_failures = [var.tags]
}

run "zones_of_another_region" {
  command = plan

  variables {
    availability_zones = ["us-east-1a", "us-east-1b"]
  }

  expect_failures = [var.availability_zones]
}

run "public_subnets_unlike_private_ones" {
  command = plan

  variables {
    public_subnets = ["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"]
  }

  expect_failures = [var.public_subnets]
}

run "a_retention_that_cloudwatch_lacks" {
  command = plan

  variables {
    log_retention_days = 31
  }

  expect_failures = [var.log_retention_days]
}

run "a_workload_without_its_repository" {
  command = plan

  variables {
    workload = { repository = "other" }
  }

  expect_failures = [var.workload]
}
