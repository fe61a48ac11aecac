variable "name" {
  description = "Prefix of every name in this network."
  type        = string
}

variable "cluster_name" {
  description = "EKS cluster whose load balancers and nodes find the subnets by tag."
  type        = string
}

variable "vpc_cidr" {
  description = "IPv4 range of the VPC, /16 to /24."
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && can(regex("/(1[6-9]|2[0-4])$", var.vpc_cidr))
    error_message = "vpc_cidr must be an IPv4 range from /16 to /24, such as 10.0.0.0/16."
  }

  validation {
    condition     = can(regex("^(10\\.|192\\.168\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|100\\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\\.)", var.vpc_cidr))
    error_message = "vpc_cidr must be private (10/8, 172.16/12, 192.168/16) or shared (100.64/10) address space."
  }
}

variable "availability_zones" {
  description = "Zones, one for each pair of subnets; two or more."
  type        = list(string)

  validation {
    condition     = length(var.availability_zones) >= 2 && length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "availability_zones must name two or more different zones: EKS asks for two."
  }
}

variable "public_subnets" {
  description = "IPv4 ranges of the public subnets (load balancers, NAT), one a zone, in the zones' order."
  type        = list(string)

  validation {
    condition     = length(var.public_subnets) == length(var.availability_zones)
    error_message = "public_subnets must have one range for each availability zone."
  }

  validation {
    condition     = alltrue([for cidr in var.public_subnets : can(cidrhost(cidr, 0)) && can(regex("/(1[6-9]|2[0-8])$", cidr))])
    error_message = "public_subnets must be IPv4 ranges from /16 to /28, such as 10.0.1.0/24."
  }
}

variable "private_subnets" {
  description = "IPv4 ranges of the private subnets (nodes, pods, control plane interfaces), one a zone, in the zones' order."
  type        = list(string)

  validation {
    condition     = length(var.private_subnets) == length(var.availability_zones)
    error_message = "private_subnets must have one range for each availability zone."
  }

  validation {
    condition     = alltrue([for cidr in var.private_subnets : can(cidrhost(cidr, 0)) && can(regex("/(1[6-9]|2[0-8])$", cidr))])
    error_message = "private_subnets must be IPv4 ranges from /16 to /28, such as 10.0.10.0/24."
  }

  # A range lies inside the VPC when the VPC's mask makes the VPC's first address of its first address.
  validation {
    condition = alltrue([
      for cidr in concat(var.public_subnets, var.private_subnets) :
      try(
        tonumber(split("/", cidr)[1]) >= tonumber(split("/", var.vpc_cidr)[1]) &&
        cidrhost("${cidrhost(cidr, 0)}/${split("/", var.vpc_cidr)[1]}", 0) == cidrhost(var.vpc_cidr, 0),
        false
      )
    ])
    error_message = "Every subnet must lie inside vpc_cidr."
  }

  # Two ranges overlap when the wider one's mask makes the same address of both.
  validation {
    condition = alltrue(flatten([
      for i, a in concat(var.public_subnets, var.private_subnets) : [
        for j, b in concat(var.public_subnets, var.private_subnets) :
        i >= j || try(
          cidrhost("${cidrhost(a, 0)}/${min(split("/", a)[1], split("/", b)[1])}", 0) !=
          cidrhost("${cidrhost(b, 0)}/${min(split("/", a)[1], split("/", b)[1])}", 0),
          false
        )
      ]
    ]))
    error_message = "Subnets must not overlap."
  }
}

variable "nat_gateways" {
  description = "`single` (one for all zones: cheaper), `per-zone` (survives the loss of a zone) or `none` (needs VPC endpoints for all that nodes call)."
  type        = string
  default     = "single"

  validation {
    condition     = contains(["none", "single", "per-zone"], var.nat_gateways)
    error_message = "nat_gateways must be none, single or per-zone."
  }
}

variable "interface_endpoints" {
  description = "AWS services reached over private links instead of NAT; each costs per zone and hour. Accepted: ecr.api, ecr.dkr, sts, logs, ec2, eks, eks-auth, elasticloadbalancing, autoscaling, secretsmanager, monitoring, kms, sqs."
  type        = set(string)
  default     = []

  validation {
    condition = length(setsubtract(var.interface_endpoints, [
      "ecr.api", "ecr.dkr", "sts", "logs", "ec2", "eks", "eks-auth", "elasticloadbalancing", "autoscaling",
      "secretsmanager", "monitoring", "kms", "sqs",
    ])) == 0
    error_message = "interface_endpoints may hold ecr.api, ecr.dkr, sts, logs, ec2, eks, eks-auth, elasticloadbalancing, autoscaling, secretsmanager, monitoring, kms and sqs."
  }

  validation {
    condition     = var.nat_gateways != "none" || length(setsubtract(["ecr.api", "ecr.dkr", "sts", "ec2", "eks"], var.interface_endpoints)) == 0
    error_message = "Without NAT gateways nodes need the interface endpoints ecr.api, ecr.dkr, sts, ec2 and eks to join the cluster."
  }
}

variable "s3_endpoint" {
  description = "Reach S3 (models, layers of images) by a gateway endpoint, which costs nothing."
  type        = bool
  default     = true
}

variable "flow_logs" {
  description = "Record accepted and rejected connections of the VPC in CloudWatch Logs."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "Days that flow logs are kept; one of the values that CloudWatch knows."
  type        = number
  default     = 30
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the flow logs."
  type        = string
}
