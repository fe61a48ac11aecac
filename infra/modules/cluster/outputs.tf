output "name" {
  description = "Name of the cluster, known when it is there."
  value       = aws_eks_cluster.this.name
}

output "arn" {
  description = "ARN of the cluster."
  value       = local.cluster_arn
}

output "endpoint" {
  description = "Address of the API server."
  value       = aws_eks_cluster.this.endpoint
}

output "certificate_authority" {
  description = "The API server's certificate authority, base64."
  value       = aws_eks_cluster.this.certificate_authority[0].data
}

output "version" {
  description = "Minor version of Kubernetes."
  value       = aws_eks_cluster.this.version
}

output "architectures" {
  description = "What the nodes' processors are: amd64, arm64 or both. Images must be made for these."
  value       = sort(distinct(values(local.architectures)))
}

output "oidc_issuer" {
  description = "Issuer of service account tokens, without https://."
  value       = local.issuer
}

output "oidc_provider_arn" {
  description = "IAM OIDC provider that IRSA roles trust."
  value       = aws_iam_openid_connect_provider.this.arn
}

output "security_group_id" {
  description = "Security group that EKS gives to nodes and control plane."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}

output "node_role_name" {
  description = "Role of the nodes."
  value       = aws_iam_role.node.name
}

output "karpenter_queue" {
  description = "Queue of interruption notices; null without Karpenter."
  value       = one([for queue in aws_sqs_queue.karpenter : queue.name])
}

output "log_groups" {
  description = "Log groups of the control plane and of Container Insights."
  value       = local.log_groups
}
