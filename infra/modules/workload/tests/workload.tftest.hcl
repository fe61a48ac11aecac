# What the workload promises.

mock_provider "aws" {
  # OpenTofu's mocks leave sets of computed blocks null.
  mock_resource "aws_acm_certificate" {
    defaults = {
      domain_validation_options = [{ domain_name = "api.example.com", resource_record_name = "_x.api.example.com", resource_record_type = "CNAME", resource_record_value = "_y.example.com" }]
    }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "ap-southeast-2" }
  }
  mock_data "aws_route53_zone" {
    defaults = { zone_id = "Z0TEST" }
  }
}

variables {
  name              = "ml-inference"
  cluster_name      = "test-cluster"
  namespace         = "ml-inference"
  deployment        = "ml-inference-api"
  service_account   = "ml-inference-sa"
  oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com"
  oidc_issuer       = "oidc.example.com"
  kms_key_arn       = "arn:aws:kms:ap-southeast-2:111122223333:key/test"
  node_count_max    = 8
}

run "only_its_service_account_gets_the_role" {
  command = plan

  assert {
    condition     = aws_iam_role.pod.name == "ml-inference-pod-role" && aws_iam_policy.pod.name == "ml-inference-pod-policy"
    error_message = "names that people's commands use"
  }

  assert {
    condition     = jsondecode(aws_iam_role.pod.assume_role_policy).Statement[0].Condition.StringEquals["oidc.example.com:sub"] == "system:serviceaccount:ml-inference:ml-inference-sa"
    error_message = "the trust names one service account"
  }

  assert {
    condition     = length(aws_eks_pod_identity_association.pod) == 0
    error_message = "IRSA needs no association"
  }
}

run "the_role_by_pod_identity" {
  command = plan

  variables {
    identity = "pod-identity"
  }

  assert {
    condition     = aws_eks_pod_identity_association.pod[0].service_account == "ml-inference-sa" && jsondecode(aws_iam_role.pod.assume_role_policy).Statement[0].Principal.Service == "pods.eks.amazonaws.com"
    error_message = "an association instead of the cluster's issuer"
  }
}

run "pods_may_not_do_anything_at_large" {
  command = plan

  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_policy.pod.policy).Statement : statement.Resource != "*" && !strcontains(jsonencode(statement.Action), "*")])
    error_message = "no action and no resource is a bare wildcard"
  }
}

run "controllers_may_change_only_what_is_ours" {
  command = plan

  assert {
    condition = alltrue(flatten([
      for controller in aws_iam_role_policy.controller : [
        for statement in jsondecode(controller.policy).Statement : statement.Resource != "*" || statement.Sid == "Look"
      ]
    ]))
    error_message = "only reading knows no resource"
  }

  assert {
    condition     = !strcontains(join("", [for controller in aws_iam_role_policy.controller : join(",", flatten([for statement in jsondecode(controller.policy).Statement : statement.Action]))]), "*")
    error_message = "every action is spelled out"
  }

  assert {
    condition     = toset(keys(aws_iam_role.controller)) == toset(["load-balancer-controller", "external-secrets"])
    error_message = "roles only for controllers in use"
  }
}

run "the_bucket_is_private_versioned_and_encrypted" {
  command = plan

  assert {
    condition     = aws_s3_bucket.models.bucket == "test-cluster-models-111122223333" && !aws_s3_bucket.models.force_destroy
    error_message = "a name that no other account has"
  }

  assert {
    condition     = aws_s3_bucket_public_access_block.models.block_public_acls && aws_s3_bucket_public_access_block.models.restrict_public_buckets && aws_s3_bucket_versioning.models.versioning_configuration[0].status == "Enabled"
    error_message = "private and versioned"
  }
}

run "the_secret_can_be_brought_back" {
  command = plan

  assert {
    condition     = aws_secretsmanager_secret.this.name == "test-cluster/ml-inference" && aws_secretsmanager_secret.this.recovery_window_in_days == 7
    error_message = "a week to think about it"
  }
}

run "a_host_with_a_certificate_of_acm" {
  command = plan

  variables {
    zone_name   = "example.com"
    host_name   = "api.example.com"
    certificate = "acm"
  }

  assert {
    condition     = aws_acm_certificate.this[0].domain_name == "api.example.com" && contains(keys(aws_iam_role.controller), "external-dns") && !contains(keys(aws_iam_role.controller), "cert-manager")
    error_message = "certificate and DNS, without cert-manager"
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.controller["external-dns"].policy, "hostedzone/Z0TEST")
    error_message = "external-dns changes this zone alone"
  }
}

run "a_host_with_cert_manager" {
  command = plan

  variables {
    zone_name   = "example.com"
    host_name   = "api.example.com"
    certificate = "cert-manager"
  }

  assert {
    condition     = length(aws_acm_certificate.this) == 0 && contains(keys(aws_iam_role.controller), "cert-manager")
    error_message = "cert-manager gets a role, ACM nothing"
  }
}

run "budget_and_alarms" {
  command = plan

  variables {
    monthly_budget_usd = 100
    alarm_emails       = ["on-call@example.com"]
  }

  assert {
    condition     = aws_budgets_budget.this[0].limit_amount == "100"
    error_message = "the budget that was asked for"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["nodes"].threshold == 7 && length(aws_cloudwatch_metric_alarm.this) == 5
    error_message = "the alarm on nodes rings at the maximum"
  }
}

run "no_budget_no_insights" {
  command = plan

  variables {
    monthly_budget_usd = 0
    container_insights = false
  }

  assert {
    condition     = length(aws_budgets_budget.this) == 0 && length(aws_cloudwatch_metric_alarm.this) == 0 && length(aws_cloudwatch_dashboard.this) == 0
    error_message = "nothing watches metrics that nobody writes"
  }
}

# Which sets of dimensions each metric is published with: GetExpectedDimsToMetrics of amazon-cloudwatch-agent-test.
run "alarms_and_dashboard_look_where_values_are" {
  command = plan

  assert {
    condition = alltrue([
      for seen in concat(
        [for alarm in aws_cloudwatch_metric_alarm.this : [alarm.metric_name, join("-", sort(keys(alarm.dimensions)))]],
        chunklist(flatten([for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : [for metric in widget.properties.metrics : [metric[1], join("-", sort([for i in range(2, length(metric), 2) : metric[i]]))]]]), 2)
        ) : contains(lookup({
          node_cpu_utilization                  = ["ClusterName"]
          node_memory_utilization               = ["ClusterName"]
          cluster_node_count                    = ["ClusterName"]
          cluster_failed_node_count             = ["ClusterName"]
          namespace_number_of_running_pods      = ["ClusterName", "ClusterName-Namespace"]
          pod_cpu_utilization_over_pod_limit    = ["ClusterName", "ClusterName-Namespace", "ClusterName-Namespace-PodName"]
          pod_memory_utilization_over_pod_limit = ["ClusterName", "ClusterName-Namespace", "ClusterName-Namespace-PodName"]
          pod_network_rx_bytes                  = ["ClusterName", "ClusterName-Namespace", "ClusterName-Namespace-PodName"]
          pod_network_tx_bytes                  = ["ClusterName", "ClusterName-Namespace", "ClusterName-Namespace-PodName"]
          pod_number_of_container_restarts      = ["ClusterName", "ClusterName-Namespace-PodName"]
      }, seen[0], []), seen[1])
    ])
    error_message = "a metric is asked for by dimensions that Container Insights does not publish it with"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["restarts"].dimensions["PodName"] == "ml-inference-api" && aws_cloudwatch_metric_alarm.this["restarts"].statistic == "Sum" && aws_cloudwatch_metric_alarm.this["restarts"].period == 900
    error_message = "restarts are counted since the last look, and come every 5 minutes at last"
  }
}
