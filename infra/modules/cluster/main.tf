# The control plane: private endpoint always, public one only for named addresses; access by access entries, never by
# the aws-auth map; Secrets encrypted with our key.

data "aws_caller_identity" "current" {}

# The role behind an assumed one; for a user, the user.
data "aws_iam_session_context" "current" {
  arn = data.aws_caller_identity.current.arn
}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region

  managed_policy = "arn:${local.partition}:iam::aws:policy"
  access_policy  = "arn:${local.partition}:eks::aws:cluster-access-policy"
  cluster_arn    = "arn:${local.partition}:eks:${local.region}:${local.account}:cluster/${var.name}"

  # Made before the cluster and the agents would make them, so that retention and key are ours.
  log_groups = concat(
    ["/aws/eks/${var.name}/cluster"],
    var.container_insights ? [for kind in ["application", "dataplane", "host", "performance"] : "/aws/containerinsights/${var.name}/${kind}"] : [],
  )
}

resource "aws_cloudwatch_log_group" "this" {
  for_each = toset(local.log_groups)

  name              = each.key
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_iam_role" "cluster" {
  name = "${var.name}-cluster"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "eks.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "cluster" {
  role       = aws_iam_role.cluster.name
  policy_arn = "${local.managed_policy}/AmazonEKSClusterPolicy"
}

resource "aws_eks_cluster" "this" {
  name                          = var.name
  version                       = var.kubernetes_version
  role_arn                      = aws_iam_role.cluster.arn
  bootstrap_self_managed_addons = false
  deletion_protection           = var.deletion_protection
  enabled_cluster_log_types     = sort(var.control_plane_logs)

  vpc_config {
    subnet_ids              = var.subnet_ids
    endpoint_private_access = true
    endpoint_public_access  = length(var.endpoint_public_access_cidrs) > 0
    public_access_cidrs     = length(var.endpoint_public_access_cidrs) > 0 ? var.endpoint_public_access_cidrs : null
  }

  access_config {
    authentication_mode = "API"
    # Not for who is in admin_arns: EKS would make the entry, and refuse ours to the same principal (409).
    bootstrap_cluster_creator_admin_permissions = var.creator_is_admin && !contains(var.admin_arns, data.aws_iam_session_context.current.issuer_arn)
  }

  encryption_config {
    resources = ["secrets"]
    provider {
      key_arn = var.kms_key_arn
    }
  }

  upgrade_policy {
    support_type = var.support_type
  }

  # It counts when the cluster is made. A later change, also by a colleague who applies, would replace the cluster.
  lifecycle {
    ignore_changes = [access_config[0].bootstrap_cluster_creator_admin_permissions]
  }

  depends_on = [
    aws_iam_role_policy_attachment.cluster,
    aws_cloudwatch_log_group.this,
  ]
}

resource "aws_iam_openid_connect_provider" "this" {
  url            = aws_eks_cluster.this.identity[0].oidc[0].issuer
  client_id_list = ["sts.amazonaws.com"]

  tags = { Name = var.name }
}

# --- Who may use the API server

locals {
  access = merge(
    { for arn in var.admin_arns : arn => "AmazonEKSClusterAdminPolicy" },
    { for arn in var.viewer_arns : arn => "AmazonEKSViewPolicy" },
  )
}

resource "aws_eks_access_entry" "people" {
  for_each = local.access

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.key
  type          = "STANDARD"
}

resource "aws_eks_access_policy_association" "people" {
  for_each = local.access

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = aws_eks_access_entry.people[each.key].principal_arn
  policy_arn    = "${local.access_policy}/${each.value}"

  access_scope {
    type = "cluster"
  }
}
