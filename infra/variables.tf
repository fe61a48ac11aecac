# --- What and where

variable "region" {
  description = "AWS region."
  type        = string
  default     = "ap-southeast-2"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be an AWS region such as ap-southeast-2."
  }
}

variable "cluster_name" {
  description = "Name of the EKS cluster; other names start with it."
  type        = string
  default     = "podsense-eks-cluster"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,38}[a-z0-9]$", var.cluster_name))
    error_message = "cluster_name must have 3 to 40 characters: lower-case letters, digits and hyphens, first a letter, last no hyphen."
  }
}

variable "environment" {
  description = "Value of the tag Environment: `dev`, `staging` or `prod`."
  type        = string
  default     = "prod"

  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "environment must be dev, staging or prod."
  }
}

variable "tags" {
  description = "More tags for everything, such as an owner or a cost centre."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.tags), ["Cluster", "Environment", "ManagedBy", "Project"])) == 0
    error_message = "tags must not set Cluster, Environment, ManagedBy or Project: these are set here."
  }

  validation {
    condition     = length(var.tags) <= 40 && alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "tags may hold 40 tags, and none that starts with aws:."
  }
}

# --- Network

variable "vpc_cidr" {
  description = "IPv4 range of the VPC, /16 to /24, private or shared address space."
  type        = string
  default     = "10.0.0.0/16"
}

variable "availability_zones" {
  description = "Zones, one for each pair of subnets; null: the region's first ones."
  type        = list(string)
  default     = null

  validation {
    condition     = var.availability_zones == null || try(alltrue([for zone in var.availability_zones : startswith(zone, var.region)]), false)
    error_message = "availability_zones must lie in the region, such as ap-southeast-2a in ap-southeast-2."
  }
}

variable "public_subnets" {
  description = "IPv4 ranges of the public subnets, one a zone."
  type        = list(string)
  default     = ["10.0.1.0/24", "10.0.2.0/24"]

  validation {
    condition     = length(var.public_subnets) >= 2 && length(var.public_subnets) == length(var.private_subnets)
    error_message = "public_subnets and private_subnets must have as many ranges, two or more: one a zone."
  }
}

variable "private_subnets" {
  description = "IPv4 ranges of the private subnets, one a zone."
  type        = list(string)
  default     = ["10.0.10.0/24", "10.0.11.0/24"]
}

variable "nat_gateways" {
  description = "`single` (one for all zones), `per-zone` or `none` (then list the interface endpoints that nodes need)."
  type        = string
  default     = "single"
}

variable "interface_endpoints" {
  description = "AWS services reached over private links; each costs per zone and hour. See modules/network for the names."
  type        = set(string)
  default     = []
}

variable "s3_endpoint" {
  description = "Reach S3 by a gateway endpoint, which costs nothing."
  type        = bool
  default     = true
}

variable "flow_logs" {
  description = "Record connections of the VPC in CloudWatch Logs."
  type        = bool
  default     = true
}

# --- Cluster

variable "kubernetes_version" {
  description = "Minor version of Kubernetes: 1.34, 1.35 or 1.36, or 1.33 with extended support."
  type        = string
  default     = "1.35"
}

variable "support_type" {
  description = "When the version's standard support ends: `STANDARD` upgrades, `EXTENDED` charges more."
  type        = string
  default     = "STANDARD"
}

variable "endpoint_public_access_cidrs" {
  description = "Addresses that may reach the API server from outside the VPC; empty: only the private endpoint. scripts/eks-deploy.sh sets it to yours."
  type        = list(string)
  default     = []
}

variable "deletion_protection" {
  description = "Refuse to delete the cluster until this is set to false and applied."
  type        = bool
  default     = false
}

variable "creator_is_admin" {
  description = "The creator of the cluster becomes an administrator of it. Counts only when it is made."
  type        = bool
  default     = true
}

variable "admin_arns" {
  description = "IAM roles or users that administer the cluster."
  type        = set(string)
  default     = []
}

variable "viewer_arns" {
  description = "IAM roles or users that may read all but Secrets."
  type        = set(string)
  default     = []
}

variable "node_os" {
  description = "`bottlerocket` or `al2023`."
  type        = string
  default     = "bottlerocket"
}

variable "node_groups" {
  description = "Managed node groups by name, with instance types of one architecture each. Default: one to four t3.medium, On-Demand."
  type = map(object({
    capacity_type  = optional(string, "ON_DEMAND")
    instance_types = optional(list(string), ["t3.medium"])
    min_size       = optional(number, 1)
    max_size       = optional(number, 4)
    desired_size   = optional(number, 2)
    disk_gib       = optional(number, 30)
    labels         = optional(map(string), {})
    taints = optional(list(object({
      key    = string
      value  = optional(string)
      effect = string
    })), [])
  }))
  default = { on-demand = {} }
}

variable "autoscaler" {
  description = "What adds and removes nodes: `cluster-autoscaler`, `karpenter` or `none`."
  type        = string
  default     = "cluster-autoscaler"
}

variable "container_insights" {
  description = "Container Insights: metrics, container logs, dashboard and alarms in CloudWatch."
  type        = bool
  default     = true
}

variable "control_plane_logs" {
  description = "Logs of the control plane that go to CloudWatch."
  type        = set(string)
  default     = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
}

variable "addon_versions" {
  description = "Versions of EKS add-ons to pin; others get EKS's default."
  type        = map(string)
  default     = {}
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of CloudWatch's: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}

# --- Images and workload

variable "repositories" {
  description = "ECR repositories."
  type        = set(string)
  default     = ["podsense"]
}

variable "create_repositories" {
  description = "Make the ECR repositories; false: use those that another cluster of this account and region has made."
  type        = bool
  default     = true
}

variable "keep_images" {
  description = "Images kept in each repository."
  type        = number
  default     = 30
}

variable "workload" {
  description = "The workload: its name (prefix of roles and secret, which an account has once), namespace, service account, the chart's preset (helm/podsense/values-PRESET.yaml; null: the chart's defaults), and its Deployment (null: the preset's)."
  type = object({
    name            = optional(string, "podsense")
    namespace       = optional(string, "podsense")
    service_account = optional(string, "podsense")
    repository      = optional(string, "podsense")
    preset          = optional(string)
    deployment      = optional(string)
  })
  default = {}

  validation {
    condition     = contains(var.repositories, var.workload.repository)
    error_message = "workload.repository must be one of repositories."
  }
}

variable "identity" {
  description = "How pods get their role: `irsa` or `pod-identity`."
  type        = string
  default     = "irsa"
}

variable "models_bucket" {
  description = "Name of the S3 bucket of models; null: CLUSTER-models-ACCOUNT."
  type        = string
  default     = null
}

variable "secrets_delivery" {
  description = "How the secret reaches the cluster: `external-secrets`, `csi` or `none`."
  type        = string
  default     = "external-secrets"
}

variable "load_balancer_controller" {
  description = "Make the role of the AWS Load Balancer Controller."
  type        = bool
  default     = true
}

variable "force_destroy" {
  description = "`terraform destroy` also deletes images, models and the secret at once. For trials."
  type        = bool
  default     = false
}

# --- Names, certificates, watching

variable "zone_name" {
  description = "Public Route 53 zone of host_name; null: no DNS."
  type        = string
  default     = null
}

variable "host_name" {
  description = "Host name of the service, such as api.example.com; null: the load balancer's own name."
  type        = string
  default     = null
}

variable "create_zone" {
  description = "Make the zone instead of looking it up."
  type        = bool
  default     = false
}

variable "certificate" {
  description = "Who makes the certificate of host_name: `acm`, `cert-manager` or `none`."
  type        = string
  default     = "none"
}

variable "monthly_budget_usd" {
  description = "Budget in US dollars a month; 0: none."
  type        = number
  default     = 250
}

variable "alarm_emails" {
  description = "Addresses that get alarms and budget warnings."
  type        = set(string)
  default     = []
}
