# What the network promises.

mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { region = "ap-southeast-2" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
}

variables {
  name               = "test"
  cluster_name       = "test"
  availability_zones = ["ap-southeast-2a", "ap-southeast-2b"]
  public_subnets     = ["10.0.1.0/24", "10.0.2.0/24"]
  private_subnets    = ["10.0.10.0/24", "10.0.11.0/24"]
  kms_key_arn        = "arn:aws:kms:ap-southeast-2:111122223333:key/test"
}

run "subnets_lie_in_their_zones_and_are_found_by_tag" {
  command = plan

  assert {
    condition     = aws_subnet.public["ap-southeast-2b"].cidr_block == "10.0.2.0/24" && aws_subnet.private["ap-southeast-2a"].cidr_block == "10.0.10.0/24"
    error_message = "zones and ranges are paired in order"
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.public : subnet.tags["kubernetes.io/role/elb"] == "1" && !subnet.map_public_ip_on_launch])
    error_message = "public subnets are found by load balancers and give no public address"
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.private : subnet.tags["kubernetes.io/role/internal-elb"] == "1" && subnet.tags["karpenter.sh/discovery"] == "test"])
    error_message = "private subnets are found by internal load balancers and Karpenter"
  }
}

run "one_nat_gateway_serves_all_zones" {
  command = plan

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.nat) == 2
    error_message = "single: one gateway, a route in each zone"
  }
}

run "a_nat_gateway_in_each_zone" {
  command = plan

  variables {
    nat_gateways = "per-zone"
  }

  assert {
    condition     = toset(keys(aws_nat_gateway.this)) == toset(["ap-southeast-2a", "ap-southeast-2b"])
    error_message = "per-zone: one gateway in each zone"
  }
}

run "no_nat_gateway_leaves_no_way_out" {
  command = plan

  variables {
    nat_gateways        = "none"
    interface_endpoints = ["ecr.api", "ecr.dkr", "sts", "ec2", "eks", "logs"]
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_eip.nat) == 0 && length(aws_route.nat) == 0
    error_message = "none: no gateway, no address, no route"
  }

  assert {
    condition     = aws_vpc_endpoint.interface["ecr.dkr"].service_name == "com.amazonaws.ap-southeast-2.ecr.dkr" && length(aws_vpc_endpoint.interface) == 6
    error_message = "endpoints carry the region's service names"
  }
}

run "flow_logs_and_s3_can_be_left_out" {
  command = plan

  variables {
    flow_logs   = false
    s3_endpoint = false
  }

  assert {
    condition     = length(aws_flow_log.this) == 0 && length(aws_cloudwatch_log_group.flow) == 0 && length(aws_vpc_endpoint.s3) == 0
    error_message = "flags leave out all that they name"
  }
}

run "three_zones" {
  command = plan

  variables {
    availability_zones = ["ap-southeast-2a", "ap-southeast-2b", "ap-southeast-2c"]
    public_subnets     = ["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"]
    private_subnets    = ["10.0.10.0/24", "10.0.11.0/24", "10.0.12.0/24"]
  }

  assert {
    condition     = length(aws_subnet.private) == 3 && length(aws_route_table.private) == 3
    error_message = "a third zone gets its subnets and table"
  }
}

run "flow_logs_get_what_the_service_asks_for" {
  command = plan

  assert {
    condition     = jsondecode(aws_iam_role.flow[0].assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "111122223333"
    error_message = "the service acts for this account alone"
  }
}

# The policy names the group's ARN, which is there when it is made.
run "flow_logs_may_look_whether_their_group_is_there" {
  assert {
    condition     = toset(flatten([for statement in jsondecode(aws_iam_role_policy.flow[0].policy).Statement : statement.Action])) == toset(["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams", "logs:DescribeLogGroups"])
    error_message = "all that delivery to a group that is there needs, and no group is made again after it was destroyed"
  }
}
