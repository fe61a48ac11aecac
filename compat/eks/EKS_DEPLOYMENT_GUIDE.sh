#!/bin/sh
# Every command from an empty account to an answer, in order; --apply runs them (docs/how-to/eks.md).
exec "$(dirname "$0")/../../scripts/eks-deploy.sh" --var-file ml-inference.tfvars "$@"
