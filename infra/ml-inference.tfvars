# ml-inference-prod-cluster: the random forest for tables behind a network load balancer.
#   terraform workspace select -or-create ml-inference-prod-cluster
#   terraform apply -var-file=ml-inference.tfvars

region       = "ap-southeast-2"
cluster_name = "ml-inference-prod-cluster"
environment  = "prod"

vpc_cidr           = "10.0.0.0/16"
availability_zones = ["ap-southeast-2a", "ap-southeast-2b"]
public_subnets     = ["10.0.1.0/24", "10.0.2.0/24"]
private_subnets    = ["10.0.10.0/24", "10.0.11.0/24"]
nat_gateways       = "per-zone"

node_groups = {
  on-demand = { instance_types = ["t3.medium"], min_size = 1, max_size = 4, desired_size = 2 }
  spot      = { capacity_type = "SPOT", instance_types = ["t3.medium", "t3a.medium"], min_size = 0, max_size = 4, desired_size = 0 }
}

repositories = ["ml-inference-service"]
workload = {
  name            = "ml-inference"
  namespace       = "ml-inference"
  service_account = "ml-inference-sa"
  repository      = "ml-inference-service"
  preset          = "ml-inference"
}
