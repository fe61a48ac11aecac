variable "name" {
  description = "Name of the workload: prefix of its roles, policies and secret, such as ml-inference-pod-role."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,38}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 40 characters: lower-case letters, digits and hyphens, first a letter, last no hyphen."
  }
}

variable "cluster_name" {
  description = "EKS cluster that runs the workload."
  type        = string
}

variable "namespace" {
  description = "Kubernetes namespace of the workload."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace)) && !startswith(var.namespace, "kube-")
    error_message = "namespace must be a Kubernetes name (up to 63 lower-case letters, digits and hyphens) that does not start with kube-."
  }
}

variable "deployment" {
  description = "Deployment of the workload, as alarms and dashboard know its pods."
  type        = string
}

variable "service_account" {
  description = "ServiceAccount of the workload's pods."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", var.service_account))
    error_message = "service_account must be a Kubernetes name: lower-case letters, digits, hyphens and dots."
  }
}

variable "identity" {
  description = "How pods get their role: `irsa` (an annotation names it) or `pod-identity` (an association in EKS)."
  type        = string
  default     = "irsa"

  validation {
    condition     = contains(["irsa", "pod-identity"], var.identity)
    error_message = "identity must be irsa or pod-identity."
  }
}

variable "oidc_provider_arn" {
  description = "IAM OIDC provider of the cluster."
  type        = string
}

variable "oidc_issuer" {
  description = "Issuer of the cluster's service account tokens, without https://."
  type        = string
}

variable "kms_key_arn" {
  description = "KMS key that encrypts models, secret and notifications."
  type        = string
}

variable "models_bucket" {
  description = "Name of the S3 bucket of models; null: CLUSTER-models-ACCOUNT."
  type        = string
  default     = null

  validation {
    condition     = var.models_bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.models_bucket))
    error_message = "models_bucket must be a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens."
  }
}

variable "force_destroy" {
  description = "Delete the bucket with the models in it, and the secret at once instead of after a week."
  type        = bool
  default     = false
}

variable "secrets_delivery" {
  description = "How the Secrets Manager secret becomes the chart's Secret: `external-secrets`, `csi` (Secrets Store CSI driver) or `none`."
  type        = string
  default     = "external-secrets"

  validation {
    condition     = contains(["external-secrets", "csi", "none"], var.secrets_delivery)
    error_message = "secrets_delivery must be external-secrets, csi or none."
  }
}

variable "load_balancer_controller" {
  description = "Make the role of the AWS Load Balancer Controller."
  type        = bool
  default     = true
}

variable "zone_name" {
  description = "Public Route 53 zone that holds the service's host name; null: no DNS, no certificate."
  type        = string
  default     = null

  validation {
    condition     = var.zone_name == null || can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.zone_name))
    error_message = "zone_name must be a domain name such as example.com."
  }
}

variable "host_name" {
  description = "Host name of the service inside zone_name, such as api.example.com; null: none."
  type        = string
  default     = null

  validation {
    condition     = var.host_name == null || (var.zone_name != null && try(endswith(var.host_name, ".${var.zone_name}") || var.host_name == var.zone_name, false))
    error_message = "host_name must lie in zone_name, which must be set."
  }
}

variable "create_zone" {
  description = "Make the zone (its name servers must then be set at the registrar) instead of looking it up."
  type        = bool
  default     = false

  validation {
    condition     = !var.create_zone || var.zone_name != null
    error_message = "create_zone needs zone_name."
  }
}

variable "certificate" {
  description = "Who makes the certificate of host_name: `acm` (for ALB and NLB), `cert-manager` (in the cluster) or `none`."
  type        = string
  default     = "none"

  validation {
    condition     = contains(["acm", "cert-manager", "none"], var.certificate)
    error_message = "certificate must be acm, cert-manager or none."
  }

  validation {
    condition     = var.certificate == "none" || var.host_name != null
    error_message = "certificate needs host_name and zone_name: it is proved by a record in the zone."
  }
}

variable "monthly_budget_usd" {
  description = "Budget for all that carries this cluster's tag, in US dollars a month; 0: none."
  type        = number
  default     = 250

  validation {
    condition     = var.monthly_budget_usd >= 0 && var.monthly_budget_usd <= 1000000
    error_message = "monthly_budget_usd must be from 0 (none) to 1000000."
  }
}

variable "alarm_emails" {
  description = "Addresses that get alarms and budget warnings."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.alarm_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "alarm_emails must be e-mail addresses."
  }

  validation {
    condition     = length(var.alarm_emails) <= 10
    error_message = "alarm_emails may hold 10 addresses: AWS Budgets takes no more."
  }
}

variable "container_insights" {
  description = "Container Insights is on: its metrics feed dashboard and alarms."
  type        = bool
  default     = true
}

variable "node_count_max" {
  description = "Most nodes of all groups together: the alarm on nodes rings there."
  type        = number
}
