# Optional: the zone, and a certificate of ACM for a load balancer.

locals {
  zone_id = try(aws_route53_zone.this[0].zone_id, data.aws_route53_zone.this[0].zone_id, null)
  acm     = var.certificate == "acm"
}

resource "aws_route53_zone" "this" {
  count = var.create_zone ? 1 : 0

  name = var.zone_name
}

data "aws_route53_zone" "this" {
  count = var.zone_name != null && !var.create_zone ? 1 : 0

  name         = var.zone_name
  private_zone = false
}

resource "aws_acm_certificate" "this" {
  count = local.acm ? 1 : 0

  domain_name       = var.host_name
  validation_method = "DNS"

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "validation" {
  count = local.acm ? 1 : 0

  zone_id         = local.zone_id
  name            = one(aws_acm_certificate.this[0].domain_validation_options).resource_record_name
  type            = one(aws_acm_certificate.this[0].domain_validation_options).resource_record_type
  records         = [one(aws_acm_certificate.this[0].domain_validation_options).resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "this" {
  count = local.acm ? 1 : 0

  certificate_arn         = aws_acm_certificate.this[0].arn
  validation_record_fqdns = [aws_route53_record.validation[0].fqdn]
}
