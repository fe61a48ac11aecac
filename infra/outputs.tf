output "cluster_name" {
  description = "Name of the cluster."
  value       = module.cluster.name
}

output "cluster_endpoint" {
  description = "Address of the API server."
  value       = module.cluster.endpoint
}

output "region" {
  description = "Region of the cluster."
  value       = var.region
}

output "update_kubeconfig" {
  description = "Command that lets kubectl reach the cluster."
  value       = "aws eks update-kubeconfig --region ${var.region} --name ${module.cluster.name} --alias ${module.cluster.name}"
}

output "repository_urls" {
  description = "Where to push images, by repository."
  value       = module.registry.urls
}

output "image_repository" {
  description = "Where to push the workload's image."
  value       = module.registry.urls[var.workload.repository]
}

output "image_platforms" {
  description = "Platforms that the workload's image must be built for, as docker buildx takes them."
  value       = join(",", formatlist("linux/%s", module.cluster.architectures))
}

output "pod_role_arn" {
  description = "Role of the workload's pods."
  value       = module.workload.pod_role_arn
}

output "pod_policy" {
  description = "The pods' policy, as JSON; infra/iam-policy.json is rendered from it."
  value       = jsonencode(module.workload.pod_policy)
}

output "node_role_name" {
  description = "Role of the nodes, which Karpenter's EC2NodeClass names."
  value       = module.cluster.node_role_name
}

output "models_bucket" {
  description = "S3 bucket of models."
  value       = module.workload.models_bucket
}

output "secret_name" {
  description = "Secret in Secrets Manager; put the values in with `aws secretsmanager put-secret-value`."
  value       = module.workload.secret_name
}

output "alarm_topic_arn" {
  description = "SNS topic of alarms and budget warnings."
  value       = module.workload.alarm_topic_arn
}

output "nat_public_ips" {
  description = "Addresses from which pods reach the internet."
  value       = module.network.nat_public_ips
}

output "zone_name_servers" {
  description = "Name servers to set at the registrar when the zone is made here."
  value       = module.workload.zone_name_servers
}

output "install" {
  description = "Variables of infra/install: `terraform output -json install > install/cluster.auto.tfvars.json`."
  value = {
    region                = var.region
    cluster_name          = module.cluster.name
    cluster_endpoint      = module.cluster.endpoint
    cluster_ca            = module.cluster.certificate_authority
    vpc_id                = module.network.vpc_id
    autoscaler            = var.autoscaler
    karpenter_queue       = module.cluster.karpenter_queue
    secrets_delivery      = var.secrets_delivery
    secret_name           = module.workload.secret_name
    namespace             = var.workload.namespace
    service_account       = var.workload.service_account
    preset                = var.workload.preset
    image_repository      = module.registry.urls[var.workload.repository]
    pod_role_arn          = var.identity == "irsa" ? module.workload.pod_role_arn : null
    public_subnet_ids     = module.network.public_subnet_ids
    private_networks      = length(var.interface_endpoints) > 0 ? [var.vpc_cidr] : []
    host_name             = var.host_name
    zone_name             = var.zone_name
    certificate           = var.certificate
    certificate_arn       = module.workload.certificate_arn
    load_balancer_enabled = var.load_balancer_controller
  }
}
