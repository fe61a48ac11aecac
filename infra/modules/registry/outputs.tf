output "urls" {
  description = "Addresses of the repositories, by name."
  value       = { for name, repository in merge(aws_ecr_repository.this, data.aws_ecr_repository.there) : name => repository.repository_url }
}
