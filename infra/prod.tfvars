# podsense-eks-cluster: image classification behind an ingress.
#   terraform apply -var-file=prod.tfvars

region       = "ap-southeast-2"
cluster_name = "podsense-eks-cluster"
environment  = "prod"

vpc_cidr           = "10.0.0.0/16"
availability_zones = ["ap-southeast-2a", "ap-southeast-2b"]
public_subnets     = ["10.0.1.0/24", "10.0.2.0/24"]
private_subnets    = ["10.0.10.0/24", "10.0.11.0/24"]
nat_gateways       = "single"

node_groups = {
  on-demand = { instance_types = ["t3.medium"], min_size = 1, max_size = 4, desired_size = 2 }
  spot      = { capacity_type = "SPOT", instance_types = ["t3.medium", "t3a.medium"], min_size = 0, max_size = 4, desired_size = 0 }
}

repositories = ["podsense"]
workload     = { name = "podsense", namespace = "podsense", service_account = "podsense", repository = "podsense" }
