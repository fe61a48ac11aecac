# What the node autoscaler may do; the autoscaler itself is installed by infra/install.

locals {
  pod_identity_trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Principal = { Service = "pods.eks.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })

  cluster_autoscaler = toset(var.autoscaler == "cluster-autoscaler" ? ["this"] : [])
  karpenter          = toset(var.autoscaler == "karpenter" ? ["this"] : [])
}

resource "aws_iam_role" "cluster_autoscaler" {
  for_each = local.cluster_autoscaler

  name               = "${var.name}-cluster-autoscaler"
  assume_role_policy = local.pod_identity_trust
}

resource "aws_iam_role_policy" "cluster_autoscaler" {
  for_each = local.cluster_autoscaler

  name = "scale"
  role = aws_iam_role.cluster_autoscaler[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # Reading: these calls know no resources.
        Sid    = "Look"
        Effect = "Allow"
        Action = [
          "autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingInstances",
          "autoscaling:DescribeLaunchConfigurations", "autoscaling:DescribeScalingActivities",
          "ec2:DescribeImages", "ec2:DescribeInstanceTypes", "ec2:DescribeLaunchTemplateVersions",
          "ec2:GetInstanceTypesFromInstanceRequirements",
        ]
        Resource = "*"
      },
      {
        Sid      = "LookAtOurNodeGroups"
        Effect   = "Allow"
        Action   = "eks:DescribeNodegroup"
        Resource = "arn:${local.partition}:eks:${local.region}:${local.account}:nodegroup/${var.name}/*/*"
      },
      {
        Sid      = "ScaleOurNodeGroups"
        Effect   = "Allow"
        Action   = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
        Resource = "arn:${local.partition}:autoscaling:${local.region}:${local.account}:autoScalingGroup:*:autoScalingGroupName/*"
        Condition = {
          StringEquals = { "aws:ResourceTag/k8s.io/cluster-autoscaler/${var.name}" = "owned" }
        }
      },
    ]
  })
}

resource "aws_eks_pod_identity_association" "cluster_autoscaler" {
  for_each = local.cluster_autoscaler

  cluster_name    = aws_eks_cluster.this.name
  namespace       = "kube-system"
  service_account = "cluster-autoscaler"
  role_arn        = aws_iam_role.cluster_autoscaler[each.key].arn
}

# --- Karpenter: a queue of interruption notices, and a role that may only touch what it made for this cluster

resource "aws_sqs_queue" "karpenter" {
  for_each = local.karpenter

  name                      = "${var.name}-karpenter"
  message_retention_seconds = 300
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_policy" "karpenter" {
  for_each = local.karpenter

  queue_url = aws_sqs_queue.karpenter[each.key].url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "EventBridgeSends"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.karpenter[each.key].arn
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = aws_sqs_queue.karpenter[each.key].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

locals {
  interruptions = var.autoscaler == "karpenter" ? {
    spot      = { source = "aws.ec2", type = "EC2 Spot Instance Interruption Warning" }
    rebalance = { source = "aws.ec2", type = "EC2 Instance Rebalance Recommendation" }
    state     = { source = "aws.ec2", type = "EC2 Instance State-change Notification" }
    health    = { source = "aws.health", type = "AWS Health Event" }
  } : {}
}

resource "aws_cloudwatch_event_rule" "karpenter" {
  for_each = local.interruptions

  name          = "${var.name}-karpenter-${each.key}"
  description   = "Tells Karpenter of ${each.value.type}"
  event_pattern = jsonencode({ source = [each.value.source], "detail-type" = [each.value.type] })
}

resource "aws_cloudwatch_event_target" "karpenter" {
  for_each = local.interruptions

  rule = aws_cloudwatch_event_rule.karpenter[each.key].name
  arn  = aws_sqs_queue.karpenter["this"].arn
}

resource "aws_iam_role" "karpenter" {
  for_each = local.karpenter

  name               = "${var.name}-karpenter"
  assume_role_policy = local.pod_identity_trust
}

resource "aws_iam_role_policy" "karpenter" {
  for_each = local.karpenter

  name = "provision"
  role = aws_iam_role.karpenter[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # Reading: these calls know no resources.
        Sid    = "Look"
        Effect = "Allow"
        Action = [
          "ec2:DescribeCapacityReservations", "ec2:DescribeImages", "ec2:DescribeInstances",
          "ec2:DescribeInstanceStatus", "ec2:DescribeInstanceTypeOfferings", "ec2:DescribeInstanceTypes",
          "ec2:DescribeLaunchTemplates", "ec2:DescribePlacementGroups", "ec2:DescribeSecurityGroups",
          "ec2:DescribeSpotPriceHistory", "ec2:DescribeSubnets",
        ]
        Resource  = "*"
        Condition = { StringEquals = { "aws:RequestedRegion" = local.region } }
      },
      {
        # Prices are answered by another region, which differs: Mumbai for Sydney, Frankfurt for Dublin.
        Sid      = "LookAtPrices"
        Effect   = "Allow"
        Action   = "pricing:GetProducts"
        Resource = "*"
      },
      {
        Sid      = "ReadImageIds"
        Effect   = "Allow"
        Action   = "ssm:GetParameter"
        Resource = "arn:${local.partition}:ssm:${local.region}::parameter/aws/service/*"
      },
      {
        Sid      = "UseWhatLaunchingNeeds"
        Effect   = "Allow"
        Action   = ["ec2:RunInstances", "ec2:CreateFleet"]
        Resource = [for kind in ["image/*", "snapshot/*"] : "arn:${local.partition}:ec2:${local.region}::${kind}"]
      },
      {
        Sid    = "UseOurNetwork"
        Effect = "Allow"
        Action = ["ec2:RunInstances", "ec2:CreateFleet"]
        Resource = [
          for kind in ["security-group/*", "subnet/*", "capacity-reservation/*", "placement-group/*"] :
          "arn:${local.partition}:ec2:${local.region}:${local.account}:${kind}"
        ]
      },
      {
        Sid      = "UseOurTemplates"
        Effect   = "Allow"
        Action   = ["ec2:RunInstances", "ec2:CreateFleet"]
        Resource = "arn:${local.partition}:ec2:${local.region}:${local.account}:launch-template/*"
        Condition = {
          StringEquals = { "aws:ResourceTag/kubernetes.io/cluster/${var.name}" = "owned" }
        }
      },
      {
        Sid    = "MakeOnlyWhatCarriesOurTag"
        Effect = "Allow"
        Action = ["ec2:RunInstances", "ec2:CreateFleet", "ec2:CreateLaunchTemplate"]
        Resource = [
          for kind in ["fleet/*", "instance/*", "volume/*", "network-interface/*", "launch-template/*", "spot-instances-request/*"] :
          "arn:${local.partition}:ec2:${local.region}:${local.account}:${kind}"
        ]
        Condition = {
          StringEquals = { "aws:RequestTag/kubernetes.io/cluster/${var.name}" = "owned" }
        }
      },
      {
        Sid    = "TagWhileMaking"
        Effect = "Allow"
        Action = "ec2:CreateTags"
        Resource = [
          for kind in ["fleet/*", "instance/*", "volume/*", "network-interface/*", "launch-template/*", "spot-instances-request/*"] :
          "arn:${local.partition}:ec2:${local.region}:${local.account}:${kind}"
        ]
        Condition = {
          StringEquals = {
            "aws:RequestTag/kubernetes.io/cluster/${var.name}" = "owned"
            "ec2:CreateAction"                                 = ["RunInstances", "CreateFleet", "CreateLaunchTemplate"]
          }
        }
      },
      {
        Sid      = "TagOurInstances"
        Effect   = "Allow"
        Action   = "ec2:CreateTags"
        Resource = "arn:${local.partition}:ec2:${local.region}:${local.account}:instance/*"
        Condition = {
          StringEquals                = { "aws:ResourceTag/kubernetes.io/cluster/${var.name}" = "owned" }
          "ForAllValues:StringEquals" = { "aws:TagKeys" = ["eks:eks-cluster-name", "karpenter.sh/nodeclaim", "Name"] }
        }
      },
      {
        Sid    = "RemoveWhatIsOurs"
        Effect = "Allow"
        Action = ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"]
        Resource = [
          for kind in ["instance/*", "launch-template/*"] : "arn:${local.partition}:ec2:${local.region}:${local.account}:${kind}"
        ]
        Condition = {
          StringEquals = { "aws:ResourceTag/kubernetes.io/cluster/${var.name}" = "owned" }
        }
      },
      {
        Sid       = "GiveNodesTheirRole"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = "arn:${local.partition}:iam::${local.account}:role/${aws_iam_role.node.name}"
        Condition = { StringEquals = { "iam:PassedToService" = "ec2.amazonaws.com" } }
      },
      {
        Sid    = "OwnInstanceProfiles"
        Effect = "Allow"
        Action = [
          "iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:DeleteInstanceProfile",
          "iam:GetInstanceProfile", "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile",
        ]
        Resource = "arn:${local.partition}:iam::${local.account}:instance-profile/${var.name}_*"
      },
      {
        # Takes no resource.
        Sid      = "ListInstanceProfiles"
        Effect   = "Allow"
        Action   = "iam:ListInstanceProfiles"
        Resource = "*"
      },
      {
        Sid      = "FindTheCluster"
        Effect   = "Allow"
        Action   = "eks:DescribeCluster"
        Resource = local.cluster_arn
      },
      {
        Sid      = "ReadInterruptions"
        Effect   = "Allow"
        Action   = ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"]
        Resource = "arn:${local.partition}:sqs:${local.region}:${local.account}:${aws_sqs_queue.karpenter[each.key].name}"
      },
    ]
  })
}

resource "aws_eks_pod_identity_association" "karpenter" {
  for_each = local.karpenter

  cluster_name    = aws_eks_cluster.this.name
  namespace       = "kube-system"
  service_account = "karpenter"
  role_arn        = aws_iam_role.karpenter[each.key].arn
}
