package hpaoracle

import (
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A case, one a line of the input. docs/reference/hpa-vectors.md has every field.
type testCase struct {
	Name       string                                `json:"name"`
	Mode       string                                `json:"mode"`       // loop (default) or direct
	Kubernetes string                                `json:"kubernetes"` // of another version: skipped
	Features   map[string]bool                       `json:"features"`
	Controller controllerFlags                       `json:"controller"`
	HPA        autoscalingv2.HorizontalPodAutoscaler `json:"hpa"`
	Replicas   int32                                 `json:"replicas"` // of the target at the start
	Ticks      []tick                                `json:"ticks"`
}

// All in seconds.
type controllerFlags struct {
	Sync       float64  `json:"syncPeriod"`
	Down       *float64 `json:"downscaleStabilization"`
	Tolerance  *float64 `json:"tolerance"`
	CPUInit    *float64 `json:"cpuInitializationPeriod"`
	ReadyDelay *float64 `json:"initialReadinessDelay"`
}

// What is so from one look on.
type tick struct {
	At       float64                                `json:"at"`     // direct mode; in loop mode tick k is at (k+1) sync periods
	Spec     *int32                                 `json:"spec"`   // sets the target's spec.replicas
	Status   *int32                                 `json:"status"` // status.replicas; default: number of pods
	Pods     []pod                                  `json:"pods"`
	Custom   map[string]map[string]string           `json:"custom"`   // metric -> pod -> value
	Object   map[string]string                      `json:"object"`   // metric -> value
	External map[string][]string                    `json:"external"` // metric -> values
	Fail     []string                               `json:"fail"`     // of resource, custom, object, external
	HPA      *autoscalingv2.HorizontalPodAutoscaler `json:"hpa"`      // an edit of the spec
}

type pod struct {
	Name            string            `json:"name"`
	Phase           string            `json:"phase"`       // Running by default
	Ready           *bool             `json:"ready"`       // true by default
	ReadyStatus     string            `json:"readyStatus"` // True, False or Unknown instead
	NoReady         bool              `json:"noReady"`     // has no Ready condition at all
	Start           *float64          `json:"start"`       // status.startTime; absent: none
	ReadyAt         float64           `json:"readyAt"`     // last transition of the Ready condition
	Deleted         bool              `json:"deleted"`
	Request         map[string]string `json:"request"`         // of the container "main"
	Sidecar         map[string]string `json:"sidecar"`         // of the container "sidecar", if any
	RestartableInit map[string]string `json:"restartableInit"` // of the init container "restartable-init", if any
	Init            map[string]string `json:"init"`            // of the init container "init", if any
	PodRequest      map[string]string `json:"podRequest"`      // spec.resources.requests
	Overhead        map[string]string `json:"overhead"`
	Usage           map[string]string `json:"usage"` // absent: no sample
	SidecarUsage    map[string]string `json:"sidecarUsage"`
	UsageAt         *float64          `json:"usageAt"` // time stamp of the sample; default: now
	Window          float64           `json:"window"`  // default 60
}

// One look, one line of the output.
type answer struct {
	Case       string            `json:"case"`
	Tick       int               `json:"tick"`
	At         float64           `json:"at"`
	Current    int32             `json:"current"`
	Desired    int32             `json:"desired"`
	Rescaled   bool              `json:"rescaled"`
	Looks      int               `json:"looks"` // since the tick before
	Conditions map[string]string `json:"conditions"`
	Error      string            `json:"error,omitempty"`
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func secondsOr(s *float64, otherwise float64) time.Duration {
	if s == nil {
		return seconds(otherwise)
	}
	return seconds(*s)
}

func resources(in map[string]string) v1.ResourceList {
	out := v1.ResourceList{}
	for name, quantity := range in {
		out[v1.ResourceName(name)] = resource.MustParse(quantity)
	}
	return out
}

func container(name string, requests map[string]string) v1.Container {
	return v1.Container{Name: name, Resources: v1.ResourceRequirements{Requests: resources(requests)}}
}

func (p pod) spec() v1.PodSpec {
	spec := v1.PodSpec{Containers: []v1.Container{container("main", p.Request)}}
	if p.Sidecar != nil {
		spec.Containers = append(spec.Containers, container("sidecar", p.Sidecar))
	}
	if p.RestartableInit != nil {
		always := v1.ContainerRestartPolicyAlways
		one := container("restartable-init", p.RestartableInit)
		one.RestartPolicy = &always
		spec.InitContainers = append(spec.InitContainers, one)
	}
	if p.Init != nil {
		spec.InitContainers = append(spec.InitContainers, container("init", p.Init))
	}
	if p.PodRequest != nil {
		spec.Resources = &v1.ResourceRequirements{Requests: resources(p.PodRequest)}
	}
	if p.Overhead != nil {
		spec.Overhead = resources(p.Overhead)
	}
	return spec
}

func (p pod) object(at func(float64) metav1.Time) *v1.Pod {
	out := &v1.Pod{Spec: p.spec()}
	out.Name, out.Namespace, out.Labels = p.Name, namespace, map[string]string{podLabel: "x"}
	out.Status.Phase = v1.PodRunning
	if p.Phase != "" {
		out.Status.Phase = v1.PodPhase(p.Phase)
	}
	if p.Start != nil {
		start := at(*p.Start)
		out.Status.StartTime = &start
	}
	if !p.NoReady {
		status := v1.ConditionTrue
		if p.Ready != nil && !*p.Ready {
			status = v1.ConditionFalse
		}
		if p.ReadyStatus != "" {
			status = v1.ConditionStatus(p.ReadyStatus)
		}
		out.Status.Conditions = []v1.PodCondition{{Type: v1.PodReady, Status: status, LastTransitionTime: at(p.ReadyAt)}}
	}
	if p.Deleted {
		now := metav1.Now()
		out.DeletionTimestamp = &now
	}
	return out
}
