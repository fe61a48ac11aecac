# --- From `terraform output -json install` of infra/ (scripts/eks-deploy.sh writes cluster.auto.tfvars.json)

variable "region" {
  description = "AWS region."
  type        = string
}

variable "cluster_name" {
  description = "EKS cluster."
  type        = string
}

variable "cluster_endpoint" {
  description = "Address of the API server."
  type        = string

  validation {
    condition     = startswith(var.cluster_endpoint, "https://")
    error_message = "cluster_endpoint must be an https:// address."
  }
}

variable "cluster_ca" {
  description = "The API server's certificate authority, base64."
  type        = string

  validation {
    condition     = can(base64decode(var.cluster_ca))
    error_message = "cluster_ca must be base64."
  }
}

variable "private_networks" {
  description = "Networks in which AWS's names lead to interface endpoints: the chart's NetworkPolicy lets pods reach STS and their models there."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.private_networks : can(cidrhost(cidr, 0))])
    error_message = "private_networks must be IPv4 ranges, such as 10.0.0.0/16."
  }
}

variable "vpc_id" {
  description = "VPC of the cluster. Pods cannot ask the instance for it."
  type        = string
}

variable "autoscaler" {
  description = "`cluster-autoscaler`, `karpenter` or `none`."
  type        = string
  default     = "cluster-autoscaler"

  validation {
    condition     = contains(["cluster-autoscaler", "karpenter", "none"], var.autoscaler)
    error_message = "autoscaler must be cluster-autoscaler, karpenter or none."
  }
}

variable "karpenter_queue" {
  description = "Queue of interruption notices, with Karpenter."
  type        = string
  default     = null

  validation {
    condition     = var.autoscaler != "karpenter" || var.karpenter_queue != null
    error_message = "karpenter_queue must be set with autoscaler karpenter."
  }
}

variable "secrets_delivery" {
  description = "`external-secrets`, `csi` or `none`."
  type        = string
  default     = "none"

  validation {
    condition     = contains(["external-secrets", "csi", "none"], var.secrets_delivery)
    error_message = "secrets_delivery must be external-secrets, csi or none."
  }
}

variable "secret_name" {
  description = "Secret in Secrets Manager."
  type        = string
  default     = null

  validation {
    condition     = var.secrets_delivery == "none" || var.secret_name != null
    error_message = "secret_name must be set with secrets_delivery external-secrets and csi."
  }
}

variable "namespace" {
  description = "Namespace of PodSense."
  type        = string
}

variable "service_account" {
  description = "ServiceAccount of PodSense's pods."
  type        = string
}

variable "preset" {
  description = "Preset of the chart: helm/podsense/values-PRESET.yaml; null: none."
  type        = string
  default     = null

  validation {
    condition     = var.preset == null || try(contains(["ml-inference", "model-api", "platform", "production", "simulator"], var.preset), false)
    error_message = "preset must be ml-inference, model-api, platform, production or simulator."
  }
}

variable "image_repository" {
  description = "ECR repository of the image, REGISTRY/NAME."
  type        = string

  validation {
    condition     = can(regex("^[^/]+/.+$", var.image_repository))
    error_message = "image_repository must be REGISTRY/NAME."
  }
}

variable "pod_role_arn" {
  description = "Role for the ServiceAccount's annotation (IRSA); null with Pod Identity."
  type        = string
  default     = null
}

variable "public_subnet_ids" {
  description = "Public subnets for load balancers."
  type        = list(string)
  default     = []
}

variable "host_name" {
  description = "Host name of the service; null: the load balancer's own."
  type        = string
  default     = null
}

variable "zone_name" {
  description = "Route 53 zone of host_name."
  type        = string
  default     = null
}

variable "certificate" {
  description = "`acm`, `cert-manager` or `none`."
  type        = string
  default     = "none"

  validation {
    condition     = contains(["acm", "cert-manager", "none"], var.certificate)
    error_message = "certificate must be acm, cert-manager or none."
  }

  validation {
    condition     = var.certificate == "none" || (var.host_name != null && var.zone_name != null)
    error_message = "certificate needs host_name and zone_name: it is proved by a record in the zone."
  }
}

variable "certificate_arn" {
  description = "Certificate in ACM."
  type        = string
  default     = null
}

variable "load_balancer_enabled" {
  description = "The load balancer controller has its role."
  type        = bool
  default     = true
}

# --- Chosen here

variable "image_tag" {
  description = "Tag of the image; null: the chart's version. Tags of the repository never change their image."
  type        = string
  default     = null

  validation {
    condition     = var.image_tag == null || try(can(regex("^[\\w][\\w.-]{0,127}$", var.image_tag)) && var.image_tag != "latest", false)
    error_message = "image_tag must be a tag, and not latest: it must name one image for good."
  }
}

variable "exposure" {
  description = "How the world reaches PodSense: `nlb` (a network load balancer), `alb` (an Ingress of the AWS controller, for host names and ACM), `gateway` (Gateway API by Traefik behind a network load balancer, for host names and cert-manager) or `none`."
  type        = string
  default     = "nlb"

  validation {
    condition     = contains(["nlb", "alb", "gateway", "none"], var.exposure)
    error_message = "exposure must be nlb, alb, gateway or none."
  }

  validation {
    condition     = var.exposure == "none" || var.load_balancer_enabled
    error_message = "exposure nlb, alb and gateway need the load balancer controller."
  }

  validation {
    condition     = var.certificate != "cert-manager" || contains(["gateway", "none"], var.exposure)
    error_message = "certificate cert-manager needs exposure gateway: a balancer of AWS cannot read a certificate in the cluster."
  }

  validation {
    condition     = var.certificate != "acm" || var.exposure != "gateway"
    error_message = "exposure gateway takes its certificate from cert-manager: Traefik cannot read one of ACM."
  }
}

variable "allowed_cidrs" {
  description = "Addresses that may reach the load balancer; empty: all."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.allowed_cidrs : can(cidrhost(cidr, 0))])
    error_message = "allowed_cidrs must be ranges such as 203.0.113.0/24."
  }
}

variable "secret_keys" {
  description = "With secrets_delivery csi: the keys of the secret's JSON that the chart's Secret gets. External Secrets takes all."
  type        = set(string)
  default     = []

  validation {
    condition     = var.secrets_delivery != "csi" || length(var.secret_keys) > 0
    error_message = "secret_keys must name the secret's keys with secrets_delivery csi: the driver copies only what is named."
  }

  validation {
    condition     = alltrue([for key in var.secret_keys : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", key))])
    error_message = "secret_keys must be names of environment variables, such as API_KEY."
  }
}

variable "acme_server" {
  description = "With certificate cert-manager: who signs it, by ACME."
  type        = string
  default     = "https://acme-v02.api.letsencrypt.org/directory"

  validation {
    condition     = startswith(var.acme_server, "https://")
    error_message = "acme_server must be an https:// address of an ACME directory."
  }
}

variable "monitoring" {
  description = "Install kube-prometheus-stack, and PodSense's rules and dashboards."
  type        = bool
  default     = true
}

variable "values" {
  description = "More values for PodSense's chart, as YAML; they win over all others."
  type        = string
  default     = ""

  validation {
    condition     = can(yamldecode(var.values == "" ? "{}" : var.values))
    error_message = "values must be YAML."
  }
}
