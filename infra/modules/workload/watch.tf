# Alarms that someone should act on, a dashboard to look at, and a budget.

locals {
  # Dimensions as Container Insights publishes them: a metric has some of these sets and no other, and an alarm on another one
  # never sees a value. The sets of each metric: GetExpectedDimsToMetrics in amazon-cloudwatch-agent-test (eks_resources).
  # PodName is what the pods belong to: the Deployment.
  in_cluster   = tomap({ ClusterName = var.cluster_name })
  in_namespace = tomap({ ClusterName = var.cluster_name, Namespace = var.namespace })
  in_workload  = tomap({ ClusterName = var.cluster_name, Namespace = var.namespace, PodName = var.deployment })

  alarms = var.container_insights ? {
    node-cpu = {
      description = "Nodes are busy: more than 85 % of their CPU for 15 minutes"
      metric      = "node_cpu_utilization", statistic = "Average", threshold = 85, dimensions = local.in_cluster
    }
    node-memory = {
      description = "Nodes are short of memory: more than 85 % for 15 minutes"
      metric      = "node_memory_utilization", statistic = "Average", threshold = 85, dimensions = local.in_cluster
    }
    failed-nodes = {
      description = "A node has failed"
      metric      = "cluster_failed_node_count", statistic = "Maximum", threshold = 0, dimensions = local.in_cluster
    }
    restarts = {
      # The agent reports restarts since its last look. Kubernetes waits up to 5 minutes before the next one.
      description = "Containers of ${var.deployment} in ${var.namespace} restart again and again: 3 times in 15 minutes"
      metric      = "pod_number_of_container_restarts", statistic = "Sum", threshold = 2, dimensions = local.in_workload
    }
    nodes = {
      description = "All node groups are at their maximum: pods may wait for room"
      metric      = "cluster_node_count", statistic = "Minimum", threshold = var.node_count_max - 1, dimensions = local.in_cluster
    }
  } : {}
}

resource "aws_sns_topic" "alarms" {
  name              = "${var.cluster_name}-alarms"
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AlarmsAndBudgetsPublish"
      Effect    = "Allow"
      Principal = { Service = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"] }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.alarms.arn
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.alarm_emails

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.key
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.cluster_name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = "ContainerInsights"
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  period              = each.value.statistic == "Sum" ? 900 : 300
  evaluation_periods  = each.value.statistic == "Sum" ? 1 : 3
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

locals {
  panels = [
    { title = "Node CPU and memory, %", metrics = ["node_cpu_utilization", "node_memory_utilization"], dimensions = local.in_cluster, stat = "Average" },
    { title = "Nodes", metrics = ["cluster_node_count", "cluster_failed_node_count"], dimensions = local.in_cluster, stat = "Maximum" },
    { title = "Pod CPU and memory of ${var.namespace}, % of limit", metrics = ["pod_cpu_utilization_over_pod_limit", "pod_memory_utilization_over_pod_limit"], dimensions = local.in_namespace, stat = "Average" },
    { title = "Running pods of ${var.namespace}", metrics = ["namespace_number_of_running_pods"], dimensions = local.in_namespace, stat = "Maximum" },
    { title = "Restarts of ${var.deployment}", metrics = ["pod_number_of_container_restarts"], dimensions = local.in_workload, stat = "Sum" },
    { title = "Network of ${var.namespace}, bytes/s", metrics = ["pod_network_rx_bytes", "pod_network_tx_bytes"], dimensions = local.in_namespace, stat = "Average" },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.container_insights ? 1 : 0

  dashboard_name = var.cluster_name
  dashboard_body = jsonencode({
    widgets = [
      for i, panel in local.panels : {
        type   = "metric"
        x      = (i % 2) * 12
        y      = floor(i / 2) * 6
        width  = 12
        height = 6
        properties = {
          title  = panel.title
          region = local.region
          stat   = panel.stat
          period = 60
          metrics = [
            for metric in panel.metrics :
            concat(["ContainerInsights", metric], flatten([for key, value in panel.dimensions : [key, value]]))
          ]
        }
      }
    ]
  })
}

resource "aws_budgets_budget" "this" {
  count = var.monthly_budget_usd > 0 ? 1 : 0

  name         = var.cluster_name
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  # Needs the tag `Cluster` activated once as a cost allocation tag in the billing console.
  cost_filter {
    name   = "TagKeyValue"
    values = [format("user:Cluster$%s", var.cluster_name)]
  }

  dynamic "notification" {
    for_each = [
      { type = "ACTUAL", percent = 80 },
      { type = "ACTUAL", percent = 100 },
      { type = "FORECASTED", percent = 100 },
    ]

    content {
      comparison_operator        = "GREATER_THAN"
      notification_type          = notification.value.type
      threshold                  = notification.value.percent
      threshold_type             = "PERCENTAGE"
      subscriber_email_addresses = sort(var.alarm_emails)
      subscriber_sns_topic_arns  = [aws_sns_topic.alarms.arn]
    }
  }
}
