# Each rule refuses what it names. No account is needed: the provider is mocked.

mock_provider "aws" {}

variables {
  name              = "podsense"
  cluster_name      = "test-cluster"
  deployment        = "podsense"
  namespace         = "podsense"
  service_account   = "podsense"
  oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com"
  oidc_issuer       = "oidc.example.com"
  kms_key_arn       = "arn:aws:kms:ap-southeast-2:111122223333:key/test"
  node_count_max    = 4
}

run "a_name_with_underscores" {
  command = plan

  variables {
    name = "pod_sense"
  }

  expect_failures = [var.name]
}

run "a_namespace_with_capitals" {
  command = plan

  variables {
    namespace = "PodSense"
  }

  expect_failures = [var.namespace]
}

run "a_namespace_of_the_system" {
  command = plan

  variables {
    namespace = "kube-system"
  }

  expect_failures = [var.namespace]
}

run "a_service_account_with_spaces" {
  command = plan

  variables {
    service_account = "pod sense"
  }

  expect_failures = [var.service_account]
}

run "an_unknown_identity" {
  command = plan

  variables {
    identity = "keys"
  }

  expect_failures = [var.identity]
}

run "a_bucket_with_capitals" {
  command = plan

  variables {
    models_bucket = "Models"
  }

  expect_failures = [var.models_bucket]
}

run "an_unknown_delivery_of_secrets" {
  command = plan

  variables {
    secrets_delivery = "vault"
  }

  expect_failures = [var.secrets_delivery]
}

run "a_zone_that_is_no_domain" {
  command = plan

  variables {
    zone_name = "example"
  }

  expect_failures = [var.zone_name]
}

run "a_host_outside_the_zone" {
  command = plan

  variables {
    zone_name = "example.com"
    host_name = "api.example.org"
  }

  expect_failures = [var.host_name]
}

run "a_host_without_a_zone" {
  command = plan

  variables {
    host_name = "api.example.com"
  }

  expect_failures = [var.host_name]
}

run "a_new_zone_without_a_name" {
  command = plan

  variables {
    create_zone = true
  }

  expect_failures = [var.create_zone]
}

run "an_unknown_certificate" {
  command = plan

  variables {
    zone_name   = "example.com"
    host_name   = "api.example.com"
    certificate = "self"
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

run "a_negative_budget" {
  command = plan

  variables {
    monthly_budget_usd = -1
  }

  expect_failures = [var.monthly_budget_usd]
}

run "an_address_that_is_none" {
  command = plan

  variables {
    alarm_emails = ["alice"]
  }

  expect_failures = [var.alarm_emails]
}

run "more_addresses_than_a_budget_takes" {
  command = plan

  variables {
    alarm_emails = [for i in range(11) : "a${i}@example.com"]
  }

  expect_failures = [var.alarm_emails]
}
