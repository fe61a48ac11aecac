# Each rule refuses what it names. No account is needed: the provider is mocked.

mock_provider "aws" {
  # OpenTofu's mocks leave lists of computed blocks null.
  mock_resource "aws_eks_cluster" {
    defaults = {
      certificate_authority = [{ data = "Y2E=" }]
      identity              = [{ oidc = [{ issuer = "https://oidc.example.com" }] }]
    }
  }
}

variables {
  name        = "test-cluster"
  subnet_ids  = ["subnet-a", "subnet-b"]
  kms_key_arn = "arn:aws:kms:ap-southeast-2:111122223333:key/test"
}

run "a_name_with_capitals" {
  command = plan

  variables {
    name = "Test"
  }

  expect_failures = [var.name]
}

run "a_name_too_long_for_its_roles" {
  command = plan

  variables {
    name = "a123456789b123456789c123456789d123456789e"
  }

  expect_failures = [var.name]
}

run "a_version_out_of_support" {
  command = plan

  variables {
    kubernetes_version = "1.28"
  }

  expect_failures = [var.kubernetes_version]
}

run "a_version_with_a_patch" {
  command = plan

  variables {
    kubernetes_version = "1.35.2"
  }

  expect_failures = [var.kubernetes_version]
}

run "an_old_version_without_extended_support" {
  command = plan

  variables {
    kubernetes_version = "1.33"
  }

  expect_failures = [var.kubernetes_version]
}

run "an_unknown_support_type" {
  command = plan

  variables {
    support_type = "LONG"
  }

  expect_failures = [var.support_type]
}

run "one_subnet" {
  command = plan

  variables {
    subnet_ids = ["subnet-a"]
  }

  expect_failures = [var.subnet_ids]
}

run "an_address_that_is_no_range" {
  command = plan

  variables {
    endpoint_public_access_cidrs = ["203.0.113.7"]
  }

  expect_failures = [var.endpoint_public_access_cidrs]
}

run "an_api_server_open_to_all" {
  command = plan

  variables {
    endpoint_public_access_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.endpoint_public_access_cidrs]
}

run "an_unknown_log" {
  command = plan

  variables {
    control_plane_logs = ["api", "kubelet"]
  }

  expect_failures = [var.control_plane_logs]
}

run "an_administrator_that_is_no_arn" {
  command = plan

  variables {
    admin_arns = ["alice"]
  }

  expect_failures = [var.admin_arns]
}

run "a_viewer_that_is_no_arn" {
  command = plan

  variables {
    viewer_arns = ["arn:aws:iam::1:role/x"]
  }

  expect_failures = [var.viewer_arns]
}

run "a_viewer_who_administers" {
  command = plan

  variables {
    admin_arns  = ["arn:aws:iam::111122223333:role/a"]
    viewer_arns = ["arn:aws:iam::111122223333:role/a"]
  }

  expect_failures = [var.viewer_arns]
}

run "no_node_group" {
  command = plan

  variables {
    node_groups = {}
  }

  expect_failures = [var.node_groups]
}

run "a_node_group_with_a_bad_name" {
  command = plan

  variables {
    node_groups = { "On Demand" = {} }
  }

  expect_failures = [var.node_groups]
}

run "an_unknown_capacity_type" {
  command = plan

  variables {
    node_groups = { a = {}, b = { capacity_type = "RESERVED" } }
  }

  expect_failures = [var.node_groups]
}

run "a_group_that_starts_above_its_maximum" {
  command = plan

  variables {
    node_groups = { a = { desired_size = 5 } }
  }

  expect_failures = [var.node_groups]
}

run "a_group_that_starts_below_its_minimum" {
  command = plan

  variables {
    node_groups = { a = { min_size = 3 } }
  }

  expect_failures = [var.node_groups]
}

run "a_group_without_a_maximum" {
  command = plan

  variables {
    node_groups = { a = {}, b = { min_size = 0, desired_size = 0, max_size = 0 } }
  }

  expect_failures = [var.node_groups]
}

run "spot_alone" {
  command = plan

  variables {
    node_groups = { a = { capacity_type = "SPOT" } }
  }

  expect_failures = [var.node_groups]
}

run "an_instance_type_without_a_size" {
  command = plan

  variables {
    node_groups = { a = { instance_types = ["t3"] } }
  }

  expect_failures = [var.node_groups]
}

run "a_disk_too_small_for_images" {
  command = plan

  variables {
    node_groups = { a = { disk_gib = 8 } }
  }

  expect_failures = [var.node_groups]
}

run "an_unknown_taint" {
  command = plan

  variables {
    node_groups = { a = { taints = [{ key = "k", effect = "NoSchedule" }] } }
  }

  expect_failures = [var.node_groups]
}

run "an_unknown_node_os" {
  command = plan

  variables {
    node_os = "windows"
  }

  expect_failures = [var.node_os]
}

run "a_version_of_an_addon_that_is_not_installed" {
  command = plan

  variables {
    addon_versions = { istio = "v1.0.0-eksbuild.1" }
  }

  expect_failures = [var.addon_versions]
}

run "a_version_of_an_addon_that_is_none" {
  command = plan

  variables {
    addon_versions = { coredns = "latest" }
  }

  expect_failures = [var.addon_versions]
}

run "an_unknown_autoscaler" {
  command = plan

  variables {
    autoscaler = "keda"
  }

  expect_failures = [var.autoscaler]
}

run "a_group_of_two_architectures" {
  command = plan

  variables {
    node_groups = { on-demand = { instance_types = ["t3.medium", "t4g.medium"] } }
  }

  expect_failures = [var.node_groups]
}
