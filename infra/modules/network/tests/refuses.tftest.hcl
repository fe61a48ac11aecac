# Each rule refuses what it names. No account is needed: the provider is mocked.

mock_provider "aws" {}

variables {
  name               = "test"
  cluster_name       = "test"
  availability_zones = ["ap-southeast-2a", "ap-southeast-2b"]
  public_subnets     = ["10.0.1.0/24", "10.0.2.0/24"]
  private_subnets    = ["10.0.10.0/24", "10.0.11.0/24"]
  kms_key_arn        = "arn:aws:kms:ap-southeast-2:111122223333:key/test"
}

run "a_vpc_that_is_no_range" {
  command = plan

  variables {
    vpc_cidr = "ten"
  }

  expect_failures = [var.vpc_cidr]
}

run "a_vpc_too_large" {
  command = plan

  variables {
    vpc_cidr = "10.0.0.0/8"
  }

  expect_failures = [var.vpc_cidr]
}

run "a_vpc_too_small" {
  command = plan

  variables {
    vpc_cidr = "10.0.0.0/26"
  }

  expect_failures = [var.vpc_cidr]
}

run "a_vpc_of_public_addresses" {
  command = plan

  variables {
    vpc_cidr = "8.8.0.0/16"
  }

  expect_failures = [var.vpc_cidr]
}

run "one_zone" {
  command = plan

  variables {
    availability_zones = ["ap-southeast-2a"]
  }

  expect_failures = [var.availability_zones]
}

run "one_zone_twice" {
  command = plan

  variables {
    availability_zones = ["ap-southeast-2a", "ap-southeast-2a"]
  }

  expect_failures = [var.availability_zones]
}

run "fewer_public_subnets_than_zones" {
  command = plan

  variables {
    public_subnets = ["10.0.1.0/24"]
  }

  expect_failures = [var.public_subnets]
}

run "a_public_subnet_that_is_no_range" {
  command = plan

  variables {
    public_subnets = ["10.0.1.0/24", "10.0.2.0"]
  }

  expect_failures = [var.public_subnets]
}

run "a_public_subnet_too_small" {
  command = plan

  variables {
    public_subnets = ["10.0.1.0/24", "10.0.2.0/29"]
  }

  expect_failures = [var.public_subnets]
}

run "fewer_private_subnets_than_zones" {
  command = plan

  variables {
    private_subnets = ["10.0.10.0/24"]
  }

  expect_failures = [var.private_subnets]
}

run "a_private_subnet_that_is_no_range" {
  command = plan

  variables {
    private_subnets = ["10.0.10.0/24", "x/24"]
  }

  expect_failures = [var.private_subnets]
}

run "a_subnet_outside_the_vpc" {
  command = plan

  variables {
    private_subnets = ["10.0.10.0/24", "10.1.11.0/24"]
  }

  expect_failures = [var.private_subnets]
}

run "subnets_that_overlap" {
  command = plan

  variables {
    private_subnets = ["10.0.10.0/24", "10.0.0.0/20"]
  }

  expect_failures = [var.private_subnets]
}

run "an_unknown_kind_of_nat" {
  command = plan

  variables {
    nat_gateways = "two"
  }

  expect_failures = [var.nat_gateways]
}

run "an_unknown_endpoint" {
  command = plan

  variables {
    interface_endpoints = ["ecr"]
  }

  expect_failures = [var.interface_endpoints]
}

run "no_nat_without_the_endpoints_that_nodes_need" {
  command = plan

  variables {
    nat_gateways        = "none"
    interface_endpoints = ["ecr.api"]
  }

  expect_failures = [var.interface_endpoints]
}
