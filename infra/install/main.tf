# Helm releases on a cluster that is there: controllers first, PodSense last.

locals {
  # Pinned; look for newer ones when the cluster's version changes.
  charts = {
    aws-load-balancer-controller = { repository = "https://aws.github.io/eks-charts", version = "1.14.1", namespace = "kube-system" }
    cluster-autoscaler           = { repository = "https://kubernetes.github.io/autoscaler", version = "9.52.1", namespace = "kube-system" }
    karpenter                    = { repository = "oci://public.ecr.aws/karpenter", version = "1.8.2", namespace = "kube-system" }
    external-secrets             = { repository = "https://charts.external-secrets.io", version = "1.1.0", namespace = "external-secrets" }
    external-dns                 = { repository = "https://kubernetes-sigs.github.io/external-dns", version = "1.19.0", namespace = "external-dns" }
    cert-manager                 = { repository = "oci://quay.io/jetstack/charts", version = "v1.19.1", namespace = "cert-manager" }
    secrets-store-csi-driver     = { repository = "https://kubernetes-sigs.github.io/secrets-store-csi-driver/charts", version = "1.5.4", namespace = "kube-system" }
    secrets-provider-aws         = { repository = "https://aws.github.io/secrets-store-csi-driver-provider-aws", version = "2.1.1", namespace = "kube-system", chart = "secrets-store-csi-driver-provider-aws" }
    prometheus                   = { repository = "https://prometheus-community.github.io/helm-charts", version = "79.5.0", namespace = "monitoring", chart = "kube-prometheus-stack" }
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
    external-secrets         = { serviceAccount = { name = "external-secrets" } }
    secrets-store-csi-driver = { syncSecret = { enabled = true }, enableSecretRotation = true }
    secrets-provider-aws     = { "secrets-store-csi-driver" = { install = false } }
    external-dns = {
      provider       = { name = "aws" }
      serviceAccount = { name = "external-dns" }
      domainFilters  = [var.zone_name]
      txtOwnerId     = var.cluster_name
      policy         = "sync"
      env            = [{ name = "AWS_DEFAULT_REGION", value = var.region }]
    }
    cert-manager = { crds = { enabled = true }, serviceAccount = { name = "cert-manager" } }
    prometheus   = { grafana = { sidecar = { dashboards = { searchNamespace = "ALL" } } } }
  }

  controllers = { for name, values in local.values : name => jsonencode(values) if local.wanted[name] }
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
