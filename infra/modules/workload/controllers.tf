# Roles of the controllers that serve the workload, each bound to its service account by EKS Pod Identity.

locals {
  ec2 = "arn:${local.partition}:ec2:${local.region}:${local.account}"
  elb = "arn:${local.partition}:elasticloadbalancing:${local.region}:${local.account}"

  balancers     = [for kind in ["net", "app"] : "${local.elb}:loadbalancer/${kind}/*/*"]
  target_groups = "${local.elb}:targetgroup/*/*"
  listeners     = [for kind in ["net", "app"] : "${local.elb}:listener/${kind}/*/*/*"]
  rules         = [for kind in ["net", "app"] : "${local.elb}:listener-rule/${kind}/*/*/*"]

  # The controller tags what it makes with elbv2.k8s.aws/cluster, and may change only what carries that tag.
  made_for_us = { StringEquals = { "aws:RequestTag/elbv2.k8s.aws/cluster" = var.cluster_name } }
  ours        = { StringEquals = { "aws:ResourceTag/elbv2.k8s.aws/cluster" = var.cluster_name } }

  load_balancer_statements = [
    {
      # Reading: these calls know no resources.
      Sid    = "Look"
      Effect = "Allow"
      Action = [
        "acm:DescribeCertificate", "acm:ListCertificates",
        "ec2:DescribeAccountAttributes", "ec2:DescribeAddresses", "ec2:DescribeAvailabilityZones",
        "ec2:DescribeInstances", "ec2:DescribeInternetGateways", "ec2:DescribeIpamPools",
        "ec2:DescribeNetworkInterfaces", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets", "ec2:DescribeTags", "ec2:DescribeVpcPeeringConnections", "ec2:DescribeVpcs",
        "ec2:GetSecurityGroupsForVpc",
        "elasticloadbalancing:DescribeCapacityReservation", "elasticloadbalancing:DescribeListenerAttributes",
        "elasticloadbalancing:DescribeListenerCertificates", "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeLoadBalancerAttributes", "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeSSLPolicies",
        "elasticloadbalancing:DescribeTags", "elasticloadbalancing:DescribeTargetGroupAttributes",
        "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth",
        "elasticloadbalancing:DescribeTrustStores",
      ]
      Resource = "*"
    },
    {
      Sid       = "ServiceLinkedRole"
      Effect    = "Allow"
      Action    = "iam:CreateServiceLinkedRole"
      Resource  = "arn:${local.partition}:iam::${local.account}:role/aws-service-role/elasticloadbalancing.amazonaws.com/*"
      Condition = { StringEquals = { "iam:AWSServiceName" = "elasticloadbalancing.amazonaws.com" } }
    },
    {
      Sid      = "MakeSecurityGroups"
      Effect   = "Allow"
      Action   = "ec2:CreateSecurityGroup"
      Resource = "${local.ec2}:vpc/*"
    },
    {
      Sid       = "MakeTaggedSecurityGroups"
      Effect    = "Allow"
      Action    = "ec2:CreateSecurityGroup"
      Resource  = "${local.ec2}:security-group/*"
      Condition = local.made_for_us
    },
    {
      Sid      = "TagNewSecurityGroups"
      Effect   = "Allow"
      Action   = "ec2:CreateTags"
      Resource = "${local.ec2}:security-group/*"
      Condition = {
        StringEquals = {
          "ec2:CreateAction"                     = "CreateSecurityGroup"
          "aws:RequestTag/elbv2.k8s.aws/cluster" = var.cluster_name
        }
      }
    },
    {
      Sid    = "ChangeOurSecurityGroups"
      Effect = "Allow"
      Action = [
        "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags", "ec2:DeleteSecurityGroup", "ec2:DeleteTags",
        "ec2:RevokeSecurityGroupIngress",
      ]
      Resource  = "${local.ec2}:security-group/*"
      Condition = local.ours
    },
    {
      # Balancers must reach the nodes, whose group EKS made and tagged.
      Sid       = "OpenNodesToBalancers"
      Effect    = "Allow"
      Action    = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
      Resource  = "${local.ec2}:security-group/*"
      Condition = { StringEquals = { "aws:ResourceTag/kubernetes.io/cluster/${var.cluster_name}" = "owned" } }
    },
    {
      Sid       = "MakeBalancers"
      Effect    = "Allow"
      Action    = ["elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup"]
      Resource  = concat(local.balancers, [local.target_groups])
      Condition = local.made_for_us
    },
    {
      Sid       = "MakeListenersOnOurs"
      Effect    = "Allow"
      Action    = ["elasticloadbalancing:CreateListener", "elasticloadbalancing:CreateRule"]
      Resource  = concat(local.balancers, local.listeners)
      Condition = local.ours
    },
    {
      Sid      = "TagWhileMaking"
      Effect   = "Allow"
      Action   = "elasticloadbalancing:AddTags"
      Resource = concat(local.balancers, [local.target_groups], local.listeners, local.rules)
      Condition = {
        StringEquals = {
          "aws:RequestTag/elbv2.k8s.aws/cluster" = var.cluster_name
          "elasticloadbalancing:CreateAction"    = ["CreateTargetGroup", "CreateLoadBalancer", "CreateListener", "CreateRule"]
        }
      }
    },
    {
      Sid    = "ChangeOurs"
      Effect = "Allow"
      Action = [
        "elasticloadbalancing:AddListenerCertificates", "elasticloadbalancing:AddTags",
        "elasticloadbalancing:DeleteListener", "elasticloadbalancing:DeleteLoadBalancer",
        "elasticloadbalancing:DeleteRule", "elasticloadbalancing:DeleteTargetGroup",
        "elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:ModifyCapacityReservation",
        "elasticloadbalancing:ModifyListener", "elasticloadbalancing:ModifyListenerAttributes",
        "elasticloadbalancing:ModifyLoadBalancerAttributes", "elasticloadbalancing:ModifyRule",
        "elasticloadbalancing:ModifyTargetGroup", "elasticloadbalancing:ModifyTargetGroupAttributes",
        "elasticloadbalancing:RegisterTargets", "elasticloadbalancing:RemoveListenerCertificates",
        "elasticloadbalancing:RemoveTags", "elasticloadbalancing:SetIpAddressType",
        "elasticloadbalancing:SetRulePriorities", "elasticloadbalancing:SetSecurityGroups",
        "elasticloadbalancing:SetSubnets",
      ]
      Resource  = concat(local.balancers, [local.target_groups], local.listeners, local.rules)
      Condition = local.ours
    },
  ]

  dns_statements = var.zone_name == null ? [] : [
    {
      Sid      = "ChangeOurZone"
      Effect   = "Allow"
      Action   = ["route53:ChangeResourceRecordSets", "route53:ListResourceRecordSets", "route53:ListTagsForResources"]
      Resource = "arn:${local.partition}:route53:::hostedzone/${local.zone_id}"
    },
    {
      # Reading: these calls know no resources, or only changes.
      Sid      = "Look"
      Effect   = "Allow"
      Action   = ["route53:ListHostedZones", "route53:ListHostedZonesByName", "route53:GetChange"]
      Resource = "*"
    },
  ]

  controllers = merge(
    var.load_balancer_controller ? {
      load-balancer-controller = {
        namespace       = "kube-system"
        service_account = "aws-load-balancer-controller"
        statements      = jsonencode(local.load_balancer_statements)
      }
    } : {},
    var.zone_name != null ? {
      external-dns = {
        namespace       = "external-dns"
        service_account = "external-dns"
        statements      = jsonencode(local.dns_statements)
      }
    } : {},
    var.certificate == "cert-manager" ? {
      cert-manager = {
        namespace       = "cert-manager"
        service_account = "cert-manager"
        statements      = jsonencode(local.dns_statements)
      }
    } : {},
    var.secrets_delivery == "external-secrets" ? {
      external-secrets = {
        namespace       = "external-secrets"
        service_account = "external-secrets"
        statements      = jsonencode([for statement in local.pod_policy.Statement : statement if contains(["ReadItsSecret", "DecryptThroughThoseServices"], statement.Sid)])
      }
    } : {},
  )
}

resource "aws_iam_role" "controller" {
  for_each = local.controllers

  name               = "${var.cluster_name}-${each.key == "load-balancer-controller" ? "lb-controller" : each.key}"
  description        = "${each.value.namespace}/${each.value.service_account} in ${var.cluster_name}"
  assume_role_policy = local.pod_identity_trust
}

resource "aws_iam_role_policy" "controller" {
  for_each = local.controllers

  name   = each.key
  role   = aws_iam_role.controller[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = jsondecode(each.value.statements) })
}

resource "aws_eks_pod_identity_association" "controller" {
  for_each = local.controllers

  cluster_name    = var.cluster_name
  namespace       = each.value.namespace
  service_account = each.value.service_account
  role_arn        = aws_iam_role.controller[each.key].arn
}
