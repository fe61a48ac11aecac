# The rules that tflint brings along, all of them; its AWS rules are a plugin that has to be downloaded.
config {
  call_module_type = "local"
}

plugin "terraform" {
  enabled = true
  preset  = "all"
}

# Variables, outputs and resources are kept by subject where a module has several.
rule "terraform_standard_module_structure" {
  enabled = false
}
