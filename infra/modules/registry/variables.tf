variable "repositories" {
  description = "Names of the ECR repositories."
  type        = set(string)

  validation {
    condition     = length(var.repositories) > 0 && alltrue([for name in var.repositories : can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", name)) && length(name) >= 2])
    error_message = "repositories must name one repository or more, in lower-case letters and digits, parted by single dots, dashes, underscores or slashes."
  }
}

variable "create" {
  description = "Make the repositories; false: they are there, made by another cluster of this account and region."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the images. A change makes the repositories anew."
  type        = string
}

variable "keep_images" {
  description = "Tagged images kept in each repository; older ones expire."
  type        = number
  default     = 30

  validation {
    condition     = var.keep_images >= 5 && var.keep_images <= 1000
    error_message = "keep_images must be from 5 to 1000: a roll-back needs some."
  }
}

variable "force_delete" {
  description = "Delete repositories that still hold images."
  type        = bool
  default     = false
}
