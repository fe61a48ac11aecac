# No way to or from the internet: no NAT, no public endpoint of the API server; nodes reach AWS by private links. Images of the
# controllers must be in ECR, and who administers must be inside the VPC or linked to it.

module "podsense" {
  source = "../.."

  cluster_name = "podsense-private"
  nat_gateways = "none"
  interface_endpoints = [
    "ecr.api", "ecr.dkr", "sts", "ec2", "eks", "eks-auth", "logs", "elasticloadbalancing", "autoscaling", "secretsmanager",
    "monitoring", "kms",
  ]
  identity            = "pod-identity"
  deletion_protection = true
  admin_arns          = var.admin_arns
}

variable "admin_arns" {
  description = "IAM roles or users that administer the cluster."
  type        = set(string)
}

output "update_kubeconfig" {
  description = "Command that lets kubectl reach the cluster."
  value       = module.podsense.update_kubeconfig
}
