// kube-state-metrics as scripts/kube-state-metrics.sh builds it, for tests alone. go.sum: as
// `go build -mod=mod k8s.io/kube-state-metrics/v2` writes it.
module podsense.test/ksm

go 1.24

require k8s.io/kube-state-metrics/v2 v2.15.0
