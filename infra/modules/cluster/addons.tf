# EKS add-ons. Those that a node needs to become ready come before the nodes, the others after.

locals {
  addons_before_nodes = {
    # Network policies are enforced by the CNI's own agent.
    vpc-cni                = jsonencode({ enableNetworkPolicy = "true" })
    kube-proxy             = null
    eks-pod-identity-agent = null
  }

  addons_after_nodes = merge(
    {
      coredns            = null
      aws-ebs-csi-driver = null
      metrics-server     = null
    },
    var.container_insights ? { amazon-cloudwatch-observability = null } : {},
  )

  # Service accounts of add-ons that call AWS, with the managed policies they need.
  addon_identities = merge(
    {
      aws-ebs-csi-driver = {
        service_account = "ebs-csi-controller-sa"
        policies        = ["service-role/AmazonEBSCSIDriverPolicy"]
      }
    },
    var.container_insights ? {
      amazon-cloudwatch-observability = {
        service_account = "cloudwatch-agent"
        policies        = ["CloudWatchAgentServerPolicy"]
      }
    } : {},
  )

  issuer = replace(aws_eks_cluster.this.identity[0].oidc[0].issuer, "https://", "")
}

# The CNI comes before the Pod Identity agent has a network: IRSA works from the first moment.
resource "aws_iam_role" "cni" {
  name = "${var.name}-vpc-cni"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = aws_iam_openid_connect_provider.this.arn }
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = "system:serviceaccount:kube-system:aws-node"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "cni" {
  role       = aws_iam_role.cni.name
  policy_arn = "${local.managed_policy}/AmazonEKS_CNI_Policy"
}

resource "aws_iam_role" "addon" {
  for_each = local.addon_identities

  name = "${var.name}-${each.key == "aws-ebs-csi-driver" ? "ebs-csi" : "cloudwatch"}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Principal = { Service = "pods.eks.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "addon" {
  for_each = merge([
    for addon, identity in local.addon_identities : {
      for policy in identity.policies : "${addon}/${policy}" => { addon = addon, policy = policy }
    }
  ]...)

  role       = aws_iam_role.addon[each.value.addon].name
  policy_arn = "${local.managed_policy}/${each.value.policy}"
}

resource "aws_eks_addon" "before_nodes" {
  for_each = local.addons_before_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = lookup(var.addon_versions, each.key, null)
  configuration_values        = each.value
  service_account_role_arn    = each.key == "vpc-cni" ? aws_iam_role.cni.arn : null
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  depends_on = [aws_iam_role_policy_attachment.cni]
}

resource "aws_eks_addon" "after_nodes" {
  for_each = local.addons_after_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = lookup(var.addon_versions, each.key, null)
  configuration_values        = each.value
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  dynamic "pod_identity_association" {
    for_each = contains(keys(local.addon_identities), each.key) ? [local.addon_identities[each.key]] : []

    content {
      role_arn        = aws_iam_role.addon[each.key].arn
      service_account = pod_identity_association.value.service_account
    }
  }

  depends_on = [
    aws_eks_node_group.this,
    aws_iam_role_policy_attachment.addon,
  ]
}
