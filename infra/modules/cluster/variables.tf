variable "name" {
  description = "Name of the cluster; also the prefix of its roles."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,38}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 40 characters: lower-case letters, digits and hyphens, first a letter, last no hyphen."
  }
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes: 1.34, 1.35 or 1.36, which EKS supports as standard, or 1.33 with extended support."
  type        = string
  default     = "1.35"

  validation {
    condition     = contains(["1.33", "1.34", "1.35", "1.36"], var.kubernetes_version)
    error_message = "kubernetes_version must be 1.33, 1.34, 1.35 or 1.36."
  }

  validation {
    condition     = var.kubernetes_version != "1.33" || var.support_type == "EXTENDED"
    error_message = "kubernetes_version 1.33 is past its standard support: choose a newer one, or support_type EXTENDED at six times the hourly price."
  }
}

variable "support_type" {
  description = "What EKS does when the version's standard support ends: `STANDARD` upgrades the control plane, `EXTENDED` charges more."
  type        = string
  default     = "STANDARD"

  validation {
    condition     = contains(["STANDARD", "EXTENDED"], var.support_type)
    error_message = "support_type must be STANDARD or EXTENDED."
  }
}

variable "subnet_ids" {
  description = "Private subnets of nodes and of the control plane's interfaces, in two or more zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must name subnets in two or more zones."
  }
}

variable "endpoint_public_access_cidrs" {
  description = "Addresses that may reach the API server from outside the VPC; empty: only the private endpoint."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.endpoint_public_access_cidrs : can(cidrhost(cidr, 0))])
    error_message = "endpoint_public_access_cidrs must be IPv4 ranges, such as 203.0.113.7/32."
  }

  validation {
    condition     = !anytrue([for cidr in var.endpoint_public_access_cidrs : endswith(cidr, "/0")])
    error_message = "endpoint_public_access_cidrs must not open the API server to the whole internet: name your own ranges."
  }
}

variable "deletion_protection" {
  description = "Refuse to delete the cluster until this is set to false and applied."
  type        = bool
  default     = false
}

variable "kms_key_arn" {
  description = "KMS key that encrypts Kubernetes Secrets and the control plane's logs."
  type        = string
}

variable "control_plane_logs" {
  description = "Logs of the control plane that go to CloudWatch: api, audit, authenticator, controllerManager, scheduler."
  type        = set(string)
  default     = ["api", "audit", "authenticator", "controllerManager", "scheduler"]

  validation {
    condition     = length(setsubtract(var.control_plane_logs, ["api", "audit", "authenticator", "controllerManager", "scheduler"])) == 0
    error_message = "control_plane_logs may hold api, audit, authenticator, controllerManager and scheduler."
  }
}

variable "log_retention_days" {
  description = "Days that logs are kept; one of the values that CloudWatch knows."
  type        = number
  default     = 30
}

variable "creator_is_admin" {
  description = "The creator of the cluster becomes an administrator of it, by an entry of EKS's own. Counts only when it is made."
  type        = bool
  default     = true
}

variable "admin_arns" {
  description = "IAM roles or users that administer the cluster."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.admin_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[\\w+=,.@/-]+$", arn))])
    error_message = "admin_arns must be ARNs of IAM roles or users, such as arn:aws:iam::111122223333:role/platform."
  }
}

variable "viewer_arns" {
  description = "IAM roles or users that may read all but Secrets."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.viewer_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[\\w+=,.@/-]+$", arn))])
    error_message = "viewer_arns must be ARNs of IAM roles or users, such as arn:aws:iam::111122223333:role/on-call."
  }

  validation {
    condition     = length(setintersection(var.viewer_arns, var.admin_arns)) == 0
    error_message = "viewer_arns must not repeat an ARN of admin_arns."
  }
}

variable "node_groups" {
  description = "Managed node groups by name: instance types (of one architecture in each), On-Demand or Spot, how many. The autoscaler moves between min and max; desired is only where it starts."
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

  validation {
    condition     = length(var.node_groups) > 0 && alltrue([for name in keys(var.node_groups) : can(regex("^[a-z][a-z0-9-]{0,20}$", name))])
    error_message = "node_groups must have one group or more; names have up to 21 lower-case letters, digits and hyphens, first a letter."
  }

  validation {
    condition     = alltrue([for group in var.node_groups : contains(["ON_DEMAND", "SPOT"], group.capacity_type)])
    error_message = "capacity_type must be ON_DEMAND or SPOT."
  }

  validation {
    condition     = alltrue([for group in var.node_groups : group.min_size >= 0 && group.min_size <= group.desired_size && group.desired_size <= group.max_size && group.max_size >= 1 && group.max_size <= 100])
    error_message = "Node groups need 0 ≤ min_size ≤ desired_size ≤ max_size and max_size from 1 to 100."
  }

  validation {
    condition     = anytrue([for group in var.node_groups : group.capacity_type == "ON_DEMAND" && group.min_size >= 1])
    error_message = "One ON_DEMAND node group needs min_size 1 or more: CoreDNS and the controllers must not depend on Spot alone."
  }

  validation {
    condition     = alltrue([for group in var.node_groups : length(group.instance_types) > 0 && alltrue([for type in group.instance_types : can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", type))])])
    error_message = "instance_types must name instance types such as t3.medium."
  }

  validation {
    condition     = alltrue([for group in var.node_groups : length(distinct([for type in group.instance_types : can(regex("^(a1|[a-z]+[0-9]+g[a-z]*)\\.", type))])) == 1])
    error_message = "instance_types of one group must all be arm64 (Graviton, such as t4g.medium) or all x86-64: a group has one machine image."
  }

  validation {
    condition     = alltrue([for group in var.node_groups : group.disk_gib >= 20 && group.disk_gib <= 1000])
    error_message = "disk_gib must be from 20 to 1000."
  }

  validation {
    condition     = alltrue(flatten([for group in var.node_groups : [for taint in group.taints : contains(["NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"], taint.effect)]]))
    error_message = "A taint's effect must be NO_SCHEDULE, NO_EXECUTE or PREFER_NO_SCHEDULE."
  }
}

variable "node_os" {
  description = "`bottlerocket` (small, immutable, no shell) or `al2023` (Amazon Linux 2023); for x86-64 or arm64, as the groups' instance types are."
  type        = string
  default     = "bottlerocket"

  validation {
    condition     = contains(["bottlerocket", "al2023"], var.node_os)
    error_message = "node_os must be bottlerocket or al2023."
  }
}

variable "container_insights" {
  description = "Install amazon-cloudwatch-observability: Container Insights metrics and container logs in CloudWatch."
  type        = bool
  default     = true
}

variable "addon_versions" {
  description = "Versions of EKS add-ons to pin, by add-on; others get EKS's default for the cluster's version."
  type        = map(string)
  default     = {}

  validation {
    condition = length(setsubtract(keys(var.addon_versions), [
      "vpc-cni", "kube-proxy", "eks-pod-identity-agent", "coredns", "aws-ebs-csi-driver", "metrics-server",
      "amazon-cloudwatch-observability",
    ])) == 0
    error_message = "addon_versions may name vpc-cni, kube-proxy, eks-pod-identity-agent, coredns, aws-ebs-csi-driver, metrics-server and amazon-cloudwatch-observability."
  }

  validation {
    condition     = alltrue([for version in values(var.addon_versions) : can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+-eksbuild\\.[0-9]+$", version))])
    error_message = "addon_versions must look like v1.20.4-eksbuild.1."
  }
}

variable "autoscaler" {
  description = "What adds and removes nodes: `cluster-autoscaler`, `karpenter` or `none`. Only its role and queue are made here; infra/install installs it."
  type        = string
  default     = "cluster-autoscaler"

  validation {
    condition     = contains(["cluster-autoscaler", "karpenter", "none"], var.autoscaler)
    error_message = "autoscaler must be cluster-autoscaler, karpenter or none."
  }
}

variable "instance_tags" {
  description = "Tags of instances, volumes and network interfaces, which the provider's default tags do not reach."
  type        = map(string)
  default     = {}
}
