# Values of PodSense's chart that the cluster decides.

locals {
  image = split("/", var.image_repository)

  balancer_annotations = {
    "service.beta.kubernetes.io/aws-load-balancer-scheme"                            = "internet-facing"
    "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type"                   = "ip"
    "service.beta.kubernetes.io/aws-load-balancer-cross-zone-load-balancing-enabled" = "true"
    "service.beta.kubernetes.io/aws-load-balancer-additional-resource-tags"          = "Cluster=${var.cluster_name}"
    "service.beta.kubernetes.io/aws-load-balancer-subnets"                           = join(",", var.public_subnet_ids)
  }
  health_annotations = {
    "service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol" = "http"
    "service.beta.kubernetes.io/aws-load-balancer-healthcheck-path"     = "/readyz"
  }
  tls_annotations = var.certificate == "acm" && var.exposure == "nlb" ? {
    "service.beta.kubernetes.io/aws-load-balancer-ssl-cert"  = var.certificate_arn
    "service.beta.kubernetes.io/aws-load-balancer-ssl-ports" = "443"
  } : {}
  name_annotations = var.host_name == null ? {} : { "external-dns.alpha.kubernetes.io/hostname" = var.host_name }

  # The Secret that the preset reads, filled from Secrets Manager.
  kubernetes_secret = var.preset == "ml-inference" ? "ml-inference-secrets" : "podsense-secrets"

  secret_objects = var.secrets_delivery != "external-secrets" ? [] : [
    yamlencode({
      apiVersion = "external-secrets.io/v1"
      kind       = "SecretStore"
      metadata   = { name = "aws-secrets-manager" }
      spec       = { provider = { aws = { service = "SecretsManager", region = var.region } } }
    }),
    yamlencode({
      apiVersion = "external-secrets.io/v1"
      kind       = "ExternalSecret"
      metadata   = { name = local.kubernetes_secret }
      spec = {
        refreshInterval = "1h"
        secretStoreRef  = { name = "aws-secrets-manager", kind = "SecretStore" }
        target          = { name = local.kubernetes_secret, creationPolicy = "Owner" }
        dataFrom        = [{ extract = { key = var.secret_name } }]
      }
    }),
  ]

  # The driver copies each key of the secret's JSON to the Secret while a pod mounts the volume.
  csi_objects = var.secrets_delivery != "csi" ? [] : [
    yamlencode({
      apiVersion = "secrets-store.csi.x-k8s.io/v1"
      kind       = "SecretProviderClass"
      metadata   = { name = local.kubernetes_secret }
      spec = {
        provider = "aws"
        parameters = {
          region         = var.region
          usePodIdentity = tostring(var.pod_role_arn == null)
          objects = yamlencode([{
            objectName = var.secret_name
            objectType = "secretsmanager"
            jmesPath   = [for key in var.secret_keys : { path = key, objectAlias = key }]
          }])
        }
        secretObjects = [{
          secretName = local.kubernetes_secret
          type       = "Opaque"
          data       = [for key in var.secret_keys : { objectName = key, key = key }]
        }]
      }
    }),
  ]

  # Traefik's listeners have the ports of its entry points; its Service makes 80 and 443 of them.
  gateway_tls = var.exposure == "gateway" && var.certificate == "cert-manager"
  gateway_objects = var.exposure != "gateway" ? [] : [
    yamlencode({
      apiVersion = "gateway.networking.k8s.io/v1"
      kind       = "Gateway"
      metadata   = { name = "podsense" }
      spec = {
        gatewayClassName = "traefik"
        listeners = [
          for listener in [
            { name = "web", port = 8000, protocol = "HTTP" },
            { name = "websecure", port = 8443, protocol = "HTTPS", hostname = var.host_name, tls = { certificateRefs = [{ name = "podsense-tls" }] } },
          ] : { for key, value in listener : key => value if value != null } if local.gateway_tls || listener.name == "web"
        ]
      }
    }),
  ]
  certificate_objects = !local.gateway_tls ? [] : [
    # A ClusterIssuer: cert-manager lends its own role to no other kind.
    yamlencode({
      apiVersion = "cert-manager.io/v1"
      kind       = "ClusterIssuer"
      metadata   = { name = "podsense" }
      spec = {
        acme = {
          server              = var.acme_server
          privateKeySecretRef = { name = "podsense-acme-account" }
          solvers             = [{ selector = { dnsZones = [var.zone_name] }, dns01 = { route53 = { region = var.region } } }]
        }
      }
    }),
    yamlencode({
      apiVersion = "cert-manager.io/v1"
      kind       = "Certificate"
      metadata   = { name = "podsense" }
      spec = {
        secretName = "podsense-tls"
        dnsNames   = [var.host_name]
        privateKey = { algorithm = "ECDSA", rotationPolicy = "Always" }
        issuerRef  = { kind = "ClusterIssuer", name = "podsense" }
      }
    }),
  ]

  podsense = merge(
    {
      image = merge(
        { registry = local.image[0], repository = join("/", slice(local.image, 1, length(local.image))) },
        var.image_tag == null ? {} : { tag = var.image_tag },
      )
      serviceAccount = {
        create      = true
        name        = var.service_account
        annotations = var.pod_role_arn == null ? {} : { "eks.amazonaws.com/role-arn" = var.pod_role_arn }
      }
      # Private DNS gives sts.REGION.amazonaws.com an address of the VPC, which the chart's policy closes with all of 10/8.
      networkPolicy = { egress = { podIdentity = var.pod_role_arn == null, privateNetworks = var.private_networks } }
      loadBalancer = {
        enabled      = var.exposure == "nlb"
        port         = length(local.tls_annotations) > 0 ? 443 : 80
        class        = "service.k8s.aws/nlb"
        sourceRanges = var.allowed_cidrs
        annotations  = merge(local.balancer_annotations, local.health_annotations, local.tls_annotations, local.name_annotations)
      }
      metrics = {
        serviceMonitor = { enabled = var.monitoring, labels = { release = "prometheus" } }
        prometheusRule = { enabled = var.monitoring, labels = { release = "prometheus" } }
        dashboards     = { enabled = var.monitoring }
      }
      extraObjects = concat(local.secret_objects, local.csi_objects, local.gateway_objects, local.certificate_objects)
    },
    { for key, value in local.optional : key => value if local.optional_wanted[key] },
  )

  optional_wanted = {
    # The preset ml-inference names its Secret itself.
    envFrom           = var.secrets_delivery == "csi" || var.secrets_delivery == "external-secrets" && var.preset != "ml-inference"
    extraVolumes      = var.secrets_delivery == "csi"
    extraVolumeMounts = var.secrets_delivery == "csi"
    ingress           = var.exposure == "alb"
    gateway           = var.exposure == "gateway"
  }

  optional = {
    # With the CSI driver a container must wait for the Secret, which its own pod's volume brings.
    envFrom = [{ secretRef = { name = local.kubernetes_secret, optional = var.secrets_delivery != "csi" } }]
    extraVolumes = [{
      name = "secrets"
      csi  = { driver = "secrets-store.csi.k8s.io", readOnly = true, volumeAttributes = { secretProviderClass = local.kubernetes_secret } }
    }]
    extraVolumeMounts = [{ name = "secrets", mountPath = "/etc/podsense/aws-secrets", readOnly = true }]
    gateway = {
      enabled    = true
      parentRefs = [{ name = "podsense", sectionName = local.gateway_tls ? "websecure" : "web" }]
      hostnames  = var.host_name == null ? [] : [var.host_name]
      # A listener cannot take the same host for gRPC too.
      grpc = false
    }
    ingress = {
      enabled   = true
      className = "alb"
      nginx     = { enabled = false }
      alb       = { enabled = true, certificateArn = var.certificate_arn == null ? "" : var.certificate_arn }
      hosts     = [{ host = var.host_name == null ? "" : var.host_name, paths = [] }]
      annotations = merge(
        { "alb.ingress.kubernetes.io/tags" = "Cluster=${var.cluster_name}" },
        length(var.allowed_cidrs) > 0 ? { "alb.ingress.kubernetes.io/inbound-cidrs" = join(",", var.allowed_cidrs) } : {},
      )
    }
  }
}
