# The whole stack, as `terraform apply` without any file makes it.

mock_provider "aws" {
  # OpenTofu's mocks leave lists of computed blocks null.
  mock_resource "aws_eks_cluster" {
    defaults = {
      certificate_authority = [{ data = "Y2E=" }]
      identity              = [{ oidc = [{ issuer = "https://oidc.example.com" }] }]
    }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_availability_zones" {
    defaults = { names = ["ap-southeast-2c", "ap-southeast-2a", "ap-southeast-2b"] }
  }
}

run "names_and_zones_by_default" {
  command = plan

  assert {
    condition     = output.cluster_name == "podsense-eks-cluster" && output.update_kubeconfig == "aws eks update-kubeconfig --region ap-southeast-2 --name podsense-eks-cluster --alias podsense-eks-cluster"
    error_message = "the cluster's name is part of the interface"
  }

  assert {
    condition     = local.zones == tolist(["ap-southeast-2a", "ap-southeast-2b"])
    error_message = "the region's first zones, as many as there are subnets"
  }

  assert {
    condition     = local.tags["Cluster"] == "podsense-eks-cluster" && local.tags["ManagedBy"] == "terraform"
    error_message = "everything carries the tags that budget and clean-up look for"
  }
}

run "another_region" {
  command = plan

  variables {
    region             = "eu-west-1"
    availability_zones = ["eu-west-1a", "eu-west-1b"]
  }

  assert {
    condition     = strcontains(output.update_kubeconfig, "--region eu-west-1")
    error_message = "the region goes everywhere"
  }

  assert {
    condition     = strcontains(aws_kms_key.this.policy, "logs.eu-west-1.amazonaws.com")
    error_message = "the key serves that region's logs"
  }
}

run "what_install_needs" {
  command = plan

  assert {
    condition     = output.install.namespace == "podsense" && output.install.cluster_name == "podsense-eks-cluster" && output.install.autoscaler == "cluster-autoscaler"
    error_message = "infra/install gets its variables from here"
  }
}

run "interface_endpoints_are_told_to_the_policy_of_the_pods" {
  command = plan

  variables {
    interface_endpoints = ["sts"]
  }

  assert {
    condition     = output.install.private_networks == tolist(["10.0.0.0/16"])
    error_message = "STS answers inside the VPC then"
  }
}

run "repositories_of_another_cluster" {
  command = plan

  variables {
    create_repositories = false
  }

  assert {
    condition     = length(module.registry.urls) == 1
    error_message = "the address is looked up"
  }
}
