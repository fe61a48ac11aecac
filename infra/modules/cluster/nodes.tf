# Managed node groups in private subnets. A pod cannot reach the instance's credentials: IMDSv2 with one hop.

locals {
  # Graviton types have a g behind the generation (t4g, c7gn, im4gn), or are a1; g4dn and g5 are GPUs.
  arm = { for name, group in var.node_groups : name => [for type in group.instance_types : can(regex("^(a1|[a-z]+[0-9]+g[a-z]*)\\.", type))] }

  architectures = { for name, kinds in local.arm : name => contains(kinds, true) ? "arm64" : "amd64" }

  ami_types = {
    bottlerocket = { amd64 = "BOTTLEROCKET_x86_64", arm64 = "BOTTLEROCKET_ARM_64" }
    al2023       = { amd64 = "AL2023_x86_64_STANDARD", arm64 = "AL2023_ARM_64_STANDARD" }
  }[var.node_os]

  # Bottlerocket keeps images and logs on a second disk.
  data_disk = { bottlerocket = "/dev/xvdb", al2023 = "/dev/xvda" }[var.node_os]

  node_policies = ["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonSSMManagedInstanceCore"]
}

resource "aws_iam_role" "node" {
  name = "${var.name}-node"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each = toset(local.node_policies)

  role       = aws_iam_role.node.name
  policy_arn = "${local.managed_policy}/${each.key}"
}

resource "aws_launch_template" "node" {
  for_each = var.node_groups

  name                   = "${var.name}-${each.key}"
  description            = "Nodes of ${var.name}, group ${each.key}"
  update_default_version = true

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  block_device_mappings {
    device_name = local.data_disk

    ebs {
      volume_type           = "gp3"
      volume_size           = each.value.disk_gib
      encrypted             = "true"
      delete_on_termination = "true"
    }
  }

  monitoring {
    enabled = true
  }

  # The provider's default tags do not reach what EC2 makes from a template.
  dynamic "tag_specifications" {
    for_each = ["instance", "volume", "network-interface"]

    content {
      resource_type = tag_specifications.value
      tags          = merge(var.instance_tags, { Name = "${var.name}-${each.key}" })
    }
  }
}

resource "aws_eks_node_group" "this" {
  for_each = var.node_groups

  cluster_name    = aws_eks_cluster.this.name
  node_group_name = each.key
  node_role_arn   = aws_iam_role.node.arn
  subnet_ids      = var.subnet_ids
  ami_type        = local.ami_types[local.architectures[each.key]]
  capacity_type   = each.value.capacity_type
  instance_types  = each.value.instance_types
  version         = aws_eks_cluster.this.version

  labels = merge({ "podsense.dev/capacity" = lower(replace(each.value.capacity_type, "_", "-")) }, each.value.labels)

  launch_template {
    id      = aws_launch_template.node[each.key].id
    version = aws_launch_template.node[each.key].latest_version
  }

  scaling_config {
    min_size     = each.value.min_size
    max_size     = each.value.max_size
    desired_size = each.value.desired_size
  }

  update_config {
    max_unavailable = 1
  }

  node_repair_config {
    enabled = true
  }

  dynamic "taint" {
    for_each = each.value.taints

    content {
      key    = taint.value.key
      value  = taint.value.value
      effect = taint.value.effect
    }
  }

  # The autoscaler owns the number of nodes.
  lifecycle {
    ignore_changes = [scaling_config[0].desired_size]
  }

  depends_on = [
    aws_iam_role_policy_attachment.node,
    aws_eks_addon.before_nodes,
  ]
}
