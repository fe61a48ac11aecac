# Each rule refuses what it names.

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

run "an_endpoint_without_tls" {
  command = plan

  variables {
    cluster_endpoint = "http://eks.example.com"
  }

  expect_failures = [var.cluster_endpoint]
}

run "a_certificate_that_is_no_base64" {
  command = plan

  variables {
    cluster_ca = "???"
  }

  expect_failures = [var.cluster_ca]
}

run "an_unknown_autoscaler" {
  command = plan

  variables {
    autoscaler = "keda"
  }

  expect_failures = [var.autoscaler]
}

run "karpenter_without_its_queue" {
  command = plan

  variables {
    autoscaler = "karpenter"
  }

  expect_failures = [var.karpenter_queue]
}

run "an_unknown_delivery_of_secrets" {
  command = plan

  variables {
    secrets_delivery = "vault"
  }

  expect_failures = [var.secrets_delivery]
}

run "a_preset_that_the_chart_lacks" {
  command = plan

  variables {
    preset = "gpu"
  }

  expect_failures = [var.preset]
}

run "an_image_without_a_registry" {
  command = plan

  variables {
    image_repository = "podsense"
  }

  expect_failures = [var.image_repository]
}

run "a_tag_that_moves" {
  command = plan

  variables {
    image_tag = "latest"
  }

  expect_failures = [var.image_tag]
}

run "an_unknown_exposure" {
  command = plan

  variables {
    exposure = "nodeport"
  }

  expect_failures = [var.exposure]
}

run "a_balancer_without_its_controller" {
  command = plan

  variables {
    load_balancer_enabled = false
  }

  expect_failures = [var.exposure]
}

run "an_address_that_is_no_range" {
  command = plan

  variables {
    allowed_cidrs = ["home"]
  }

  expect_failures = [var.allowed_cidrs]
}

run "values_that_are_no_yaml" {
  command = plan

  variables {
    values = "a: [1"
  }

  expect_failures = [var.values]
}

run "a_secret_without_a_name" {
  command = plan

  variables {
    secrets_delivery = "external-secrets"
  }

  expect_failures = [var.secret_name]
}

run "csi_without_the_keys_to_copy" {
  command = plan

  variables {
    secrets_delivery = "csi"
    secret_name      = "podsense-eks-cluster/podsense"
  }

  expect_failures = [var.secret_keys]
}

run "a_key_that_is_no_variable" {
  command = plan

  variables {
    secrets_delivery = "csi"
    secret_name      = "podsense-eks-cluster/podsense"
    secret_keys      = ["api-key"]
  }

  expect_failures = [var.secret_keys]
}

run "an_unknown_certificate" {
  command = plan

  variables {
    certificate = "self-signed"
    host_name   = "api.example.com"
    zone_name   = "example.com"
  }

  expect_failures = [var.certificate]
}

run "a_certificate_for_no_host" {
  command = plan

  variables {
    certificate = "acm"
  }

  expect_failures = [var.certificate]
}

run "a_balancer_that_cannot_read_the_certificate" {
  command = plan

  variables {
    certificate = "cert-manager"
    host_name   = "api.example.com"
    zone_name   = "example.com"
  }

  expect_failures = [var.exposure]
}

run "a_gateway_that_cannot_read_the_certificate" {
  command = plan

  variables {
    exposure    = "gateway"
    certificate = "acm"
    host_name   = "api.example.com"
    zone_name   = "example.com"
  }

  expect_failures = [var.exposure]
}

run "an_acme_server_without_tls" {
  command = plan

  variables {
    acme_server = "http://acme.example.com"
  }

  expect_failures = [var.acme_server]
}
