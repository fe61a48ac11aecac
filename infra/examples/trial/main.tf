# The least that serves: one node, one NAT gateway, no Container Insights; everything goes at `terraform destroy`.
# For trying out, not best practice.

module "podsense" {
  source = "../.."

  cluster_name                 = "podsense-trial"
  environment                  = "dev"
  endpoint_public_access_cidrs = var.admin_cidrs
  node_groups                  = { on-demand = { desired_size = 1, max_size = 2 } }
  autoscaler                   = "none"
  container_insights           = false
  control_plane_logs           = []
  flow_logs                    = false
  secrets_delivery             = "none"
  force_destroy                = true
  monthly_budget_usd           = 50
}

variable "admin_cidrs" {
  description = "Addresses that may reach the API server."
  type        = list(string)
}

output "update_kubeconfig" {
  description = "Command that lets kubectl reach the cluster."
  value       = module.podsense.update_kubeconfig
}
