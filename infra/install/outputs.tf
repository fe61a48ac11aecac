output "release" {
  description = "Helm release of PodSense."
  value       = helm_release.podsense.name
}

locals {
  balancer = {
    nlb     = "service -n ${var.namespace} ${var.preset == "ml-inference" ? "ml-inference-lb" : "podsense-lb"} -o jsonpath='{.status.loadBalancer.ingress[0].hostname}'"
    alb     = "ingress -n ${var.namespace} -o jsonpath='{.items[0].status.loadBalancer.ingress[0].hostname}'"
    gateway = "service -n traefik traefik -o jsonpath='{.status.loadBalancer.ingress[0].hostname}'"
    none    = ""
  }[var.exposure]
}

output "url_command" {
  description = "Command that prints the address of the service; empty with exposure none."
  value = (
    var.exposure == "none" ? "" :
    var.host_name != null ? "echo ${var.certificate == "none" ? "http" : "https"}://${var.host_name}" :
    "echo http://$(kubectl --context ${var.cluster_name} get ${local.balancer})"
  )
}
