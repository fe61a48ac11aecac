output "release" {
  description = "Helm release of PodSense."
  value       = helm_release.podsense.name
}

output "load_balancer_command" {
  description = "Command that prints the address of the service."
  value = {
    nlb  = "kubectl get service -n ${var.namespace} ${var.preset == "ml-inference" ? "ml-inference-lb" : "podsense-lb"} -o jsonpath='{.status.loadBalancer.ingress[0].hostname}'"
    alb  = "kubectl get ingress -n ${var.namespace} -o jsonpath='{.items[0].status.loadBalancer.ingress[0].hostname}'"
    none = "kubectl port-forward -n ${var.namespace} deployment/podsense 8080:8080"
  }[var.exposure]
}
