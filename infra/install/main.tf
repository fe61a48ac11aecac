# Helm releases on a cluster that is there: controllers first, PodSense last.

locals {
  # Pinned; look for newer ones when the cluster's version changes. After a change: scripts/chart-values.py --charts.
  charts = {
    aws-load-balancer-controller = { repository = "https://aws.github.io/eks-charts", version = "3.5.0", namespace = "kube-system" }
    cluster-autoscaler           = { repository = "https://kubernetes.github.io/autoscaler", version = "9.59.0", namespace = "kube-system" }
    karpenter                    = { repository = "oci://public.ecr.aws/karpenter", version = "1.14.1", namespace = "kube-system" }
    external-secrets             = { repository = "https://charts.external-secrets.io", version = "2.9.0", namespace = "external-secrets" }
    external-dns                 = { repository = "https://kubernetes-sigs.github.io/external-dns", version = "1.21.1", namespace = "external-dns" }
    cert-manager                 = { repository = "oci://quay.io/jetstack/charts", version = "v1.21.1", namespace = "cert-manager" }
    secrets-store-csi-driver     = { repository = "https://kubernetes-sigs.github.io/secrets-store-csi-driver/charts", version = "1.6.0", namespace = "kube-system" }
    secrets-provider-aws         = { repository = "https://aws.github.io/secrets-store-csi-driver-provider-aws", version = "3.1.1", namespace = "kube-system", chart = "secrets-store-csi-driver-provider-aws" }
    traefik                      = { repository = "https://traefik.github.io/charts", version = "41.3.0", namespace = "traefik" }
    prometheus                   = { repository = "https://prometheus-community.github.io/helm-charts", version = "88.5.3", namespace = "monitoring", chart = "kube-prometheus-stack" }
  }

  wanted = {
    aws-load-balancer-controller = var.load_balancer_enabled
    cluster-autoscaler           = var.autoscaler == "cluster-autoscaler"
    karpenter                    = var.autoscaler == "karpenter"
    external-secrets             = var.secrets_delivery == "external-secrets"
    secrets-store-csi-driver     = var.secrets_delivery == "csi"
    secrets-provider-aws         = var.secrets_delivery == "csi"
    external-dns                 = var.zone_name != null
    cert-manager                 = var.certificate == "cert-manager"
    traefik                      = var.exposure == "gateway"
    prometheus                   = var.monitoring
  }

  values = {
    aws-load-balancer-controller = {
      clusterName    = var.cluster_name
      region         = var.region
      vpcId          = var.vpc_id
      serviceAccount = { name = "aws-load-balancer-controller" }
      # Services of type LoadBalancer name their class; others are left alone.
      enableServiceMutatorWebhook = false
      # Its role has no rights on these. Gateways are Traefik's.
      enableShield     = false
      enableWaf        = false
      enableWafv2      = false
      controllerConfig = { featureGates = { ALBGatewayAPI = false, NLBGatewayAPI = false } }
    }
    cluster-autoscaler = {
      awsRegion     = var.region
      autoDiscovery = { clusterName = var.cluster_name }
      rbac          = { serviceAccount = { name = "cluster-autoscaler" } }
      extraArgs     = { "balance-similar-node-groups" = true, "skip-nodes-with-system-pods" = false, expander = "least-waste" }
    }
    karpenter = {
      serviceAccount = { name = "karpenter" }
      settings       = { clusterName = var.cluster_name, interruptionQueue = var.karpenter_queue }
    }
    external-secrets = { serviceAccount = { name = "external-secrets" } }
    secrets-store-csi-driver = {
      syncSecret           = { enabled = true }
      enableSecretRotation = true
      # Tokens of the pod, with which the provider takes the pod's role: by IRSA, and by Pod Identity.
      tokenRequests = [{ audience = "sts.amazonaws.com" }, { audience = "pods.eks.amazonaws.com" }]
    }
    secrets-provider-aws = { "secrets-store-csi-driver" = { install = false } }
    external-dns = {
      provider       = { name = "aws" }
      serviceAccount = { name = "external-dns" }
      sources        = concat(["service", "ingress"], var.exposure == "gateway" ? ["gateway-httproute"] : [])
      domainFilters  = [var.zone_name]
      txtOwnerId     = var.cluster_name
      policy         = "sync"
      env            = [{ name = "AWS_DEFAULT_REGION", value = var.region }]
    }
    cert-manager = { crds = { enabled = true }, serviceAccount = { name = "cert-manager" } }
    traefik = {
      deployment   = { replicas = 2 }
      ingressClass = { enabled = false }
      providers = {
        kubernetesGateway = { enabled = true }
        kubernetesIngress = { enabled = false }
        kubernetesCRD     = { enabled = false }
      }
      # Ours stands beside the workload: podsense.tf.
      gateway = { enabled = false }
      service = {
        annotations = local.balancer_annotations
        spec = {
          type                     = "LoadBalancer"
          loadBalancerClass        = "service.k8s.aws/nlb"
          loadBalancerSourceRanges = var.allowed_cidrs
        }
      }
      ports = {
        web = { http = { redirections = { entryPoint = local.gateway_tls ? { to = "websecure", scheme = "https", permanent = true } : {} } } }
      }
    }
    # EKS runs the control plane where Prometheus cannot look; its own alarms would ring for ever.
    prometheus = {
      kubeControllerManager = { enabled = false }
      kubeScheduler         = { enabled = false }
      kubeEtcd              = { enabled = false }
      kubeProxy             = { enabled = false }
    }
  }

  controllers = { for name, values in local.values : name => jsonencode(values) if local.wanted[name] }
}

# Kinds that Traefik, external-dns and PodSense's route need to be there before them.
resource "helm_release" "gateway_api" {
  count = var.exposure == "gateway" ? 1 : 0

  name             = "gateway-api"
  repository       = local.charts.traefik.repository
  chart            = "traefik-crds"
  version          = "1.18.0"
  namespace        = local.charts.traefik.namespace
  create_namespace = true
  atomic           = true
  timeout          = 600
  values           = [jsonencode({ traefik = false, gatewayAPI = true })]
}

resource "helm_release" "controller" {
  for_each = local.controllers

  name             = each.key
  repository       = local.charts[each.key].repository
  chart            = lookup(local.charts[each.key], "chart", each.key)
  version          = local.charts[each.key].version
  namespace        = local.charts[each.key].namespace
  create_namespace = true
  atomic           = true
  timeout          = 600
  values           = [each.value]

  depends_on = [helm_release.gateway_api]
}

resource "helm_release" "podsense" {
  name             = var.preset == null ? "podsense" : var.preset
  chart            = "${path.module}/../../helm/podsense"
  namespace        = var.namespace
  create_namespace = true
  atomic           = true
  timeout          = 600
  values = concat(
    var.preset == null ? [] : [file("${path.module}/../../helm/podsense/values-${var.preset}.yaml")],
    [jsonencode(local.podsense)],
    var.values == "" ? [] : [var.values],
  )

  depends_on = [helm_release.controller]
}
