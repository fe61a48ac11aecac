# What is installed, and with which values.

mock_provider "helm" {}

variables {
  region           = "ap-southeast-2"
  cluster_name     = "podsense-eks-cluster"
  cluster_endpoint = "https://eks.example.com"
  cluster_ca       = "Y2E="
  vpc_id           = "vpc-1"
  namespace        = "podsense"
  service_account  = "podsense"
  image_repository = "111122223333.dkr.ecr.ap-southeast-2.amazonaws.com/podsense"
}

run "only_controllers_in_use" {
  command = plan

  assert {
    condition     = toset(keys(helm_release.controller)) == toset(["aws-load-balancer-controller", "cluster-autoscaler", "prometheus"])
    error_message = "nothing is installed that was not asked for"
  }

  assert {
    condition     = alltrue([for release in helm_release.controller : release.version != null && release.atomic])
    error_message = "charts are pinned, and a failed release leaves nothing behind"
  }
}

run "the_image_comes_from_our_repository" {
  command = plan

  variables {
    image_tag    = "1.2.3"
    pod_role_arn = "arn:aws:iam::111122223333:role/podsense-pod-role"
  }

  assert {
    condition     = local.podsense.image.registry == "111122223333.dkr.ecr.ap-southeast-2.amazonaws.com" && local.podsense.image.repository == "podsense" && local.podsense.image.tag == "1.2.3"
    error_message = "registry, repository and tag are parted as the chart wants them"
  }

  assert {
    condition     = local.podsense.serviceAccount.annotations["eks.amazonaws.com/role-arn"] == var.pod_role_arn && !local.podsense.networkPolicy.egress.podIdentity
    error_message = "IRSA by annotation"
  }
}

run "ml_inference" {
  command = plan

  variables {
    preset           = "ml-inference"
    namespace        = "ml-inference"
    service_account  = "ml-inference-sa"
    secrets_delivery = "external-secrets"
    secret_name      = "ml-inference-prod-cluster/ml-inference"
  }

  assert {
    condition     = helm_release.podsense.name == "ml-inference" && length(helm_release.podsense.values) == 2 && contains(keys(helm_release.controller), "external-secrets")
    error_message = "the preset comes first, what the cluster decides after it"
  }

  assert {
    condition     = yamldecode(local.podsense.extraObjects[1]).spec.target.name == "ml-inference-secrets"
    error_message = "the secret gets the name that the preset reads"
  }
}

run "csi_fills_the_same_secret" {
  command = plan

  variables {
    secrets_delivery = "csi"
    secret_name      = "podsense-eks-cluster/podsense"
    secret_keys      = ["API_KEY", "DATABASE_URL"]
  }

  assert {
    condition     = toset(keys(helm_release.controller)) == toset(["aws-load-balancer-controller", "cluster-autoscaler", "prometheus", "secrets-provider-aws", "secrets-store-csi-driver"])
    error_message = "driver and provider instead of External Secrets"
  }

  assert {
    condition     = yamldecode(local.podsense.extraObjects[0]).spec.secretObjects[0] == { secretName = "podsense-secrets", type = "Opaque", data = [{ objectName = "API_KEY", key = "API_KEY" }, { objectName = "DATABASE_URL", key = "DATABASE_URL" }] }
    error_message = "each named key reaches the Secret"
  }

  assert {
    condition     = yamldecode(local.podsense.extraObjects[0]).spec.parameters.usePodIdentity == "true" && !local.podsense.envFrom[0].secretRef.optional
    error_message = "without a role's annotation by Pod Identity; pods wait for the Secret"
  }

  assert {
    condition     = toset(jsondecode(helm_release.controller["secrets-store-csi-driver"].values[0]).tokenRequests[*].audience) == toset(["sts.amazonaws.com", "pods.eks.amazonaws.com"])
    error_message = "without the pod's tokens the provider has no role"
  }
}

run "a_gateway_with_cert_manager" {
  command = plan

  variables {
    exposure      = "gateway"
    certificate   = "cert-manager"
    host_name     = "api.example.com"
    zone_name     = "example.com"
    allowed_cidrs = ["203.0.113.0/24"]
  }

  assert {
    condition     = [for object in local.podsense.extraObjects : yamldecode(object).kind] == ["Gateway", "ClusterIssuer", "Certificate"] && length(helm_release.gateway_api) == 1
    error_message = "the gateway, who signs for it, and its certificate"
  }

  assert {
    condition     = yamldecode(local.podsense.extraObjects[0]).spec.listeners[1].tls.certificateRefs[0].name == yamldecode(local.podsense.extraObjects[2]).spec.secretName
    error_message = "the listener reads the certificate that is made"
  }

  assert {
    condition     = local.podsense.gateway.parentRefs[0].sectionName == "websecure" && !local.podsense.loadBalancer.enabled
    error_message = "requests come by TLS, and by no second balancer"
  }

  assert {
    condition     = jsondecode(helm_release.controller["traefik"].values[0]).service.spec.loadBalancerSourceRanges == ["203.0.113.0/24"] && contains(jsondecode(helm_release.controller["external-dns"].values[0]).sources, "gateway-httproute")
    error_message = "Traefik's balancer is open to the same addresses, and the route's host gets its record"
  }

  assert {
    condition     = output.url_command == "echo https://api.example.com"
    error_message = "the address is the host's"
  }
}

run "a_gateway_without_a_certificate" {
  command = plan

  variables {
    exposure = "gateway"
  }

  assert {
    condition     = yamldecode(local.podsense.extraObjects[0]).spec.listeners == [{ name = "web", port = 8000, protocol = "HTTP" }] && local.podsense.gateway.parentRefs[0].sectionName == "web"
    error_message = "one listener, without TLS"
  }
}

run "an_sts_endpoint_inside_the_vpc_is_reached" {
  command = plan

  variables {
    private_networks = ["10.0.0.0/16"]
    pod_role_arn     = "arn:aws:iam::111122223333:role/podsense-pod-role"
  }

  assert {
    condition     = tolist(local.podsense.networkPolicy.egress.privateNetworks) == tolist(["10.0.0.0/16"])
    error_message = "the chart closes 10/8 but for these"
  }
}
