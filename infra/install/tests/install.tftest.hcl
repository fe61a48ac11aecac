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
