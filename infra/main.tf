# PodSense on EKS: network, cluster, image repositories, and what the workload needs. infra/install then puts the Helm
# releases into the cluster; it is a stack of its own, since a provider cannot talk to a cluster that is yet to be made.

data "aws_availability_zones" "available" {
  state = "available"

  # Local Zones cannot hold EKS's control plane interfaces.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  tags = merge(var.tags, {
    Project     = "podsense"
    Cluster     = var.cluster_name
    Environment = var.environment
    ManagedBy   = "terraform"
  })

  # The chart's names, by preset (helm/podsense/values-PRESET.yaml).
  deployment = coalesce(var.workload.deployment, lookup({
    ml-inference = "ml-inference-api"
    model-api    = "model-api"
    platform     = "grpc-server"
    production   = "production-podsense"
    simulator    = "inference-sim"
  }, coalesce(var.workload.preset, "none"), "podsense"))

  zones = var.availability_zones != null ? var.availability_zones : slice(
    sort(data.aws_availability_zones.available.names), 0, min(length(var.public_subnets), length(data.aws_availability_zones.available.names))
  )
}

# One key for Secrets, logs, images, models and alarms. Its policy is what lets the services use it.
resource "aws_kms_key" "this" {
  description             = "PodSense cluster ${var.cluster_name}"
  enable_key_rotation     = true
  deletion_window_in_days = 7
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # In a key's policy `*` is this key. Without this statement nobody could change the policy again.
        Sid       = "AccountDecidesByIam"
        Effect    = "Allow"
        Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "LogsOfThisAccount"
        Effect    = "Allow"
        Principal = { Service = "logs.${var.region}.amazonaws.com" }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
        Resource  = "*"
        Condition = {
          ArnLike = {
            "kms:EncryptionContext:aws:logs:arn" = "arn:${data.aws_partition.current.partition}:logs:${var.region}:${data.aws_caller_identity.current.account_id}:log-group:*"
          }
        }
      },
      {
        Sid       = "AlarmsToEncryptedTopics"
        Effect    = "Allow"
        Principal = { Service = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"] }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
      },
    ]
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.cluster_name}"
  target_key_id = aws_kms_key.this.key_id
}

module "network" {
  source = "./modules/network"

  name                = var.cluster_name
  cluster_name        = var.cluster_name
  vpc_cidr            = var.vpc_cidr
  availability_zones  = local.zones
  public_subnets      = var.public_subnets
  private_subnets     = var.private_subnets
  nat_gateways        = var.nat_gateways
  interface_endpoints = var.interface_endpoints
  s3_endpoint         = var.s3_endpoint
  flow_logs           = var.flow_logs
  log_retention_days  = var.log_retention_days
  kms_key_arn         = aws_kms_key.this.arn
}

module "cluster" {
  source = "./modules/cluster"

  name                         = var.cluster_name
  kubernetes_version           = var.kubernetes_version
  support_type                 = var.support_type
  subnet_ids                   = module.network.private_subnet_ids
  endpoint_public_access_cidrs = var.endpoint_public_access_cidrs
  deletion_protection          = var.deletion_protection
  kms_key_arn                  = aws_kms_key.this.arn
  control_plane_logs           = var.control_plane_logs
  log_retention_days           = var.log_retention_days
  creator_is_admin             = var.creator_is_admin
  admin_arns                   = var.admin_arns
  viewer_arns                  = var.viewer_arns
  node_os                      = var.node_os
  node_groups                  = var.node_groups
  container_insights           = var.container_insights
  addon_versions               = var.addon_versions
  autoscaler                   = var.autoscaler
  instance_tags                = local.tags
}

module "registry" {
  source = "./modules/registry"

  repositories = var.repositories
  create       = var.create_repositories
  kms_key_arn  = aws_kms_key.this.arn
  keep_images  = var.keep_images
  force_delete = var.force_destroy
}

module "workload" {
  source = "./modules/workload"

  name                     = var.workload.name
  cluster_name             = module.cluster.name
  namespace                = var.workload.namespace
  deployment               = local.deployment
  service_account          = var.workload.service_account
  identity                 = var.identity
  oidc_provider_arn        = module.cluster.oidc_provider_arn
  oidc_issuer              = module.cluster.oidc_issuer
  kms_key_arn              = aws_kms_key.this.arn
  models_bucket            = var.models_bucket
  force_destroy            = var.force_destroy
  secrets_delivery         = var.secrets_delivery
  load_balancer_controller = var.load_balancer_controller
  zone_name                = var.zone_name
  host_name                = var.host_name
  create_zone              = var.create_zone
  certificate              = var.certificate
  monthly_budget_usd       = var.monthly_budget_usd
  alarm_emails             = var.alarm_emails
  container_insights       = var.container_insights
  node_count_max           = sum([for group in var.node_groups : group.max_size])
}
