# What the cluster promises.

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
  mock_data "aws_iam_session_context" {
    defaults = { issuer_arn = "arn:aws:iam::111122223333:role/creator" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "ap-southeast-2" }
  }
}

variables {
  name        = "test-cluster"
  subnet_ids  = ["subnet-a", "subnet-b"]
  kms_key_arn = "arn:aws:kms:ap-southeast-2:111122223333:key/test"
}

run "private_encrypted_and_logged_by_default" {
  command = plan

  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "without addresses only the private endpoint is there"
  }

  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == var.kms_key_arn
    error_message = "Secrets are encrypted with our key"
  }

  assert {
    condition     = length(aws_eks_cluster.this.enabled_cluster_log_types) == 5 && aws_cloudwatch_log_group.this["/aws/eks/test-cluster/cluster"].retention_in_days == 30
    error_message = "all control plane logs are kept, for a time"
  }

  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API"
    error_message = "access entries alone decide who comes in"
  }
}

run "named_addresses_reach_the_api_server" {
  command = plan

  variables {
    endpoint_public_access_cidrs = ["203.0.113.7/32"]
  }

  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_public_access && one(aws_eks_cluster.this.vpc_config[0].public_access_cidrs) == "203.0.113.7/32"
    error_message = "the public endpoint is open to the named addresses only"
  }
}

run "pods_cannot_reach_instance_credentials" {
  command = plan

  variables {
    node_groups = { a = {}, b = { capacity_type = "SPOT", min_size = 0 } }
  }

  assert {
    condition     = alltrue([for template in aws_launch_template.node : template.metadata_options[0].http_tokens == "required" && template.metadata_options[0].http_put_response_hop_limit == 1])
    error_message = "IMDSv2 with one hop in every group"
  }

  assert {
    condition     = alltrue([for template in aws_launch_template.node : template.block_device_mappings[0].ebs[0].encrypted == "true"])
    error_message = "disks are encrypted"
  }

  assert {
    condition     = alltrue([for group in aws_eks_node_group.this : toset(group.subnet_ids) == toset(["subnet-a", "subnet-b"])])
    error_message = "nodes live in the private subnets"
  }
}

run "one_to_four_t3_medium" {
  command = plan

  assert {
    condition     = aws_eks_node_group.this["on-demand"].scaling_config[0].min_size == 1 && aws_eks_node_group.this["on-demand"].scaling_config[0].max_size == 4 && aws_eks_node_group.this["on-demand"].instance_types[0] == "t3.medium"
    error_message = "the default group"
  }

  assert {
    condition     = aws_eks_node_group.this["on-demand"].ami_type == "BOTTLEROCKET_x86_64" && aws_launch_template.node["on-demand"].block_device_mappings[0].device_name == "/dev/xvdb"
    error_message = "Bottlerocket's data disk is the second one"
  }
}

run "amazon_linux" {
  command = plan

  variables {
    node_os = "al2023"
  }

  assert {
    condition     = aws_eks_node_group.this["on-demand"].ami_type == "AL2023_x86_64_STANDARD" && aws_launch_template.node["on-demand"].block_device_mappings[0].device_name == "/dev/xvda"
    error_message = "Amazon Linux has one disk"
  }
}

run "network_policies_are_enforced" {
  command = plan

  assert {
    condition     = jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    error_message = "the CNI enforces network policies"
  }

  assert {
    condition     = toset(keys(aws_eks_addon.after_nodes)) == toset(["coredns", "aws-ebs-csi-driver", "metrics-server", "amazon-cloudwatch-observability"])
    error_message = "all add-ons are there"
  }
}

run "without_container_insights" {
  command = plan

  variables {
    container_insights = false
  }

  assert {
    condition     = !contains(keys(aws_eks_addon.after_nodes), "amazon-cloudwatch-observability") && length(aws_cloudwatch_log_group.this) == 1 && length(aws_iam_role.addon) == 1
    error_message = "its add-on, log groups and role go with it"
  }
}

run "cluster_autoscaler_changes_only_its_own_groups" {
  command = plan

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.cluster_autoscaler["this"].policy).Statement :
      statement.Sid == "Look" || statement.Resource != "*"
    ])
    error_message = "only reading knows no resource"
  }

  assert {
    condition     = length(aws_sqs_queue.karpenter) == 0 && length(aws_iam_role.karpenter) == 0
    error_message = "nothing of Karpenter is made"
  }
}

run "karpenter" {
  command = plan

  variables {
    autoscaler = "karpenter"
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.karpenter) == 4 && aws_sqs_queue.karpenter["this"].sqs_managed_sse_enabled && length(aws_iam_role.cluster_autoscaler) == 0
    error_message = "interruption notices reach an encrypted queue"
  }
}

run "karpenter_changes_only_what_is_its_own" {
  command = plan

  variables {
    autoscaler = "karpenter"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.karpenter["this"].policy).Statement :
      statement.Resource != "*" || contains(["Look", "LookAtPrices", "ListInstanceProfiles"], statement.Sid)
    ])
    error_message = "only reading knows no resource"
  }

  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.karpenter["this"].policy).Statement :
      !can(statement.Condition) if statement.Sid == "LookAtPrices"
    ])
    error_message = "prices are not asked of the cluster's own region"
  }
}

run "people_come_in_by_access_entries" {
  command = plan

  variables {
    admin_arns  = ["arn:aws:iam::111122223333:role/platform"]
    viewer_arns = ["arn:aws:iam::111122223333:user/on-call"]
  }

  assert {
    condition     = endswith(aws_eks_access_policy_association.people["arn:aws:iam::111122223333:role/platform"].policy_arn, "/AmazonEKSClusterAdminPolicy") && endswith(aws_eks_access_policy_association.people["arn:aws:iam::111122223333:user/on-call"].policy_arn, "/AmazonEKSViewPolicy")
    error_message = "each gets the policy that was asked for"
  }
}

run "the_creator_has_one_entry" {
  command = plan

  assert {
    condition     = aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
    error_message = "EKS makes the creator's entry where nobody else does"
  }
}

run "a_creator_among_the_administrators_has_one_entry" {
  command = plan

  variables {
    admin_arns = ["arn:aws:iam::111122223333:role/creator", "arn:aws:iam::111122223333:role/platform"]
  }

  assert {
    condition     = !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions && length(aws_eks_access_entry.people) == 2
    error_message = "two entries of one principal are refused by EKS: 409"
  }
}

run "graviton_gets_its_machine_image" {
  command = plan

  variables {
    node_groups = {
      on-demand = { instance_types = ["t4g.medium", "m7gd.large", "im4gn.large"] }
      intel     = { instance_types = ["t3.medium"] }
      gpu       = { instance_types = ["g4dn.xlarge", "g5.xlarge"] }
      first     = { instance_types = ["a1.large"] }
    }
  }

  assert {
    condition = { for name, group in aws_eks_node_group.this : name => group.ami_type } == {
      on-demand = "BOTTLEROCKET_ARM_64", intel = "BOTTLEROCKET_x86_64", gpu = "BOTTLEROCKET_x86_64", first = "BOTTLEROCKET_ARM_64"
    }
    error_message = "the image is of the instance types' architecture; G4 and G5 are GPUs"
  }

  assert {
    condition     = output.architectures == tolist(["amd64", "arm64"])
    error_message = "who builds the image learns for what"
  }
}
