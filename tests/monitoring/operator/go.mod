// The Prometheus Operator and its reloader as scripts/prometheus-operator.sh builds them, for tests alone. go.sum: as
// `go list -mod=mod -deps` of both writes it.
module podsense.test/operator

go 1.24.0

require (
	github.com/prometheus-operator/prometheus-operator v0.85.0
	github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring v0.85.0
	github.com/prometheus-operator/prometheus-operator/pkg/client v0.85.0
)
