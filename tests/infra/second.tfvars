# A second cluster in the account and region of infra/prod.tfvars, as docs/how-to/eks.md has it.
cluster_name        = "podsense-eks-next"
workload            = { name = "podsense-next", namespace = "podsense", service_account = "podsense", repository = "podsense" }
create_repositories = false
