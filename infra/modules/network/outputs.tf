output "vpc_id" {
  description = "VPC."
  value       = aws_vpc.this.id
}

output "public_subnet_ids" {
  description = "Public subnets, in the zones' order."
  value       = [for zone in var.availability_zones : aws_subnet.public[zone].id]
}

output "private_subnet_ids" {
  description = "Private subnets, in the zones' order."
  value       = [for zone in var.availability_zones : aws_subnet.private[zone].id]
}

output "nat_public_ips" {
  description = "Addresses from which pods reach the internet."
  value       = [for zone in local.nat_zones : aws_eip.nat[zone].public_ip]
}
