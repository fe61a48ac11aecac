output "pod_role_arn" {
  description = "Role of the workload's pods, for the annotation eks.amazonaws.com/role-arn."
  value       = aws_iam_role.pod.arn
}

output "pod_policy" {
  description = "The pods' policy."
  value       = local.pod_policy
}

output "models_bucket" {
  description = "S3 bucket of models."
  value       = aws_s3_bucket.models.bucket
}

output "secret_name" {
  description = "Secret in Secrets Manager whose keys become the chart's Secret."
  value       = aws_secretsmanager_secret.this.name
}

output "alarm_topic_arn" {
  description = "SNS topic of alarms and budget warnings."
  value       = aws_sns_topic.alarms.arn
}

output "certificate_arn" {
  description = "Certificate in ACM; null without one."
  value       = one([for validation in aws_acm_certificate_validation.this : validation.certificate_arn])
}

output "zone_name_servers" {
  description = "Name servers to set at the registrar; empty unless the zone is made here."
  value       = flatten([for zone in aws_route53_zone.this : zone.name_servers])
}

output "controllers" {
  description = "Controllers that have a role here."
  value       = keys(local.controllers)
}
