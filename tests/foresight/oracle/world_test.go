package hpaoracle

import (
	"context"
	"errors"
	"slices"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	autoscalingclient "k8s.io/client-go/kubernetes/typed/autoscaling/v2"
	v1core "k8s.io/client-go/kubernetes/typed/core/v1"
	autoscalinglisters "k8s.io/client-go/listers/autoscaling/v2"
	corelisters "k8s.io/client-go/listers/core/v1"
	scaleclient "k8s.io/client-go/scale"
	"k8s.io/client-go/tools/cache"
	fcache "k8s.io/client-go/tools/cache/testing"
	customapi "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	externalapi "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"
	metricsapi "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	resourceclient "k8s.io/metrics/pkg/client/clientset/versioned/typed/metrics/v1beta1"
	customclient "k8s.io/metrics/pkg/client/custom_metrics"
	externalclient "k8s.io/metrics/pkg/client/external_metrics"
)

const namespace, podLabel = "ns", "app"

// What the controller sees and writes.
type world struct {
	start    time.Time
	tick     tick
	spec     int32 // replicas of the target
	rescaled bool
	looks    int
	hpa      *autoscalingv2.HorizontalPodAutoscaler
	source   *fcache.FakeControllerSource // loop mode
}

func (w *world) at(s float64) metav1.Time { return metav1.NewTime(w.start.Add(seconds(s))) }

func (w *world) failure(api string) error {
	if slices.Contains(w.tick.Fail, api) {
		return errors.New("the server is currently unable to handle the request")
	}
	return nil
}

// metrics.k8s.io
type resourceMetrics struct {
	resourceclient.PodMetricsInterface
	w *world
}

func (m resourceMetrics) PodMetricses(string) resourceclient.PodMetricsInterface { return m }
func (m resourceMetrics) List(context.Context, metav1.ListOptions) (*metricsapi.PodMetricsList, error) {
	out := &metricsapi.PodMetricsList{}
	for _, p := range m.w.tick.Pods {
		if p.Usage == nil {
			continue
		}
		item := metricsapi.PodMetrics{Timestamp: metav1.Now(), Window: metav1.Duration{Duration: time.Minute}}
		item.Name, item.Namespace = p.Name, namespace
		if p.UsageAt != nil {
			item.Timestamp = m.w.at(*p.UsageAt)
		}
		if p.Window > 0 {
			item.Window.Duration = seconds(p.Window)
		}
		item.Containers = []metricsapi.ContainerMetrics{{Name: "main", Usage: resources(p.Usage)}}
		if p.SidecarUsage != nil {
			item.Containers = append(item.Containers, metricsapi.ContainerMetrics{Name: "sidecar", Usage: resources(p.SidecarUsage)})
		}
		out.Items = append(out.Items, item)
	}
	return out, m.w.failure("resource")
}

// custom.metrics.k8s.io
type customMetrics struct {
	customclient.MetricsInterface
	w *world
}

func (m customMetrics) RootScopedMetrics() customclient.MetricsInterface       { return m }
func (m customMetrics) NamespacedMetrics(string) customclient.MetricsInterface { return m }
func (m customMetrics) GetForObject(_ schema.GroupKind, _ string, metric string, _ labels.Selector) (*customapi.MetricValue, error) {
	value, found := m.w.tick.Object[metric]
	if !found {
		return nil, errors.New("no such metric")
	}
	return &customapi.MetricValue{Timestamp: metav1.Now(), Value: resource.MustParse(value)}, m.w.failure("object")
}
func (m customMetrics) GetForObjects(_ schema.GroupKind, _ labels.Selector, metric string, _ labels.Selector) (*customapi.MetricValueList, error) {
	out := &customapi.MetricValueList{}
	for name, value := range m.w.tick.Custom[metric] {
		out.Items = append(out.Items, customapi.MetricValue{DescribedObject: v1.ObjectReference{Name: name}, Timestamp: metav1.Now(), Value: resource.MustParse(value)})
	}
	return out, m.w.failure("custom")
}

// external.metrics.k8s.io
type externalMetrics struct {
	externalclient.MetricsInterface
	w *world
}

func (m externalMetrics) NamespacedMetrics(string) externalclient.MetricsInterface { return m }
func (m externalMetrics) List(metric string, _ labels.Selector) (*externalapi.ExternalMetricValueList, error) {
	out := &externalapi.ExternalMetricValueList{}
	for _, value := range m.w.tick.External[metric] {
		out.Items = append(out.Items, externalapi.ExternalMetricValue{Timestamp: metav1.Now(), Value: resource.MustParse(value)})
	}
	return out, m.w.failure("external")
}

// The target's scale subresource.
type scales struct {
	scaleclient.ScaleInterface
	w *world
}

func (s scales) Scales(string) scaleclient.ScaleInterface { return s }
func (s scales) Get(context.Context, schema.GroupResource, string, metav1.GetOptions) (*autoscalingv1.Scale, error) {
	s.w.looks++
	status := int32(len(s.w.tick.Pods))
	if s.w.tick.Status != nil {
		status = *s.w.tick.Status
	}
	return &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: s.w.spec},
		Status: autoscalingv1.ScaleStatus{Replicas: status, Selector: podLabel + "=x"}}, nil
}
func (s scales) Update(_ context.Context, _ schema.GroupResource, scale *autoscalingv1.Scale, _ metav1.UpdateOptions) (*autoscalingv1.Scale, error) {
	s.w.spec, s.w.rescaled = scale.Spec.Replicas, true
	return scale, nil
}

// The autoscaler's own object.
type hpas struct {
	autoscalingclient.HorizontalPodAutoscalerInterface
	w *world
}

func (h hpas) HorizontalPodAutoscalers(string) autoscalingclient.HorizontalPodAutoscalerInterface {
	return h
}

// UpdateStatus stores what the API server would: the answer has the resource version that the watch shows.
func (h hpas) UpdateStatus(_ context.Context, hpa *autoscalingv2.HorizontalPodAutoscaler, _ metav1.UpdateOptions) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	h.w.hpa.Status = *hpa.Status.DeepCopy()
	stored := h.w.hpa.DeepCopy()
	if h.w.source != nil {
		h.w.source.Modify(stored)
	}
	return stored.DeepCopy(), nil
}

type events struct{ v1core.EventInterface }

func (e events) Events(string) v1core.EventInterface                      { return e }
func (e events) CreateWithEventNamespace(ev *v1.Event) (*v1.Event, error) { return ev, nil }
func (e events) CreateWithEventNamespaceWithContext(_ context.Context, ev *v1.Event) (*v1.Event, error) {
	return ev, nil
}
func (e events) PatchWithEventNamespace(ev *v1.Event, _ []byte) (*v1.Event, error) { return ev, nil }
func (e events) PatchWithEventNamespaceWithContext(_ context.Context, ev *v1.Event, _ []byte) (*v1.Event, error) {
	return ev, nil
}
func (e events) Patch(context.Context, string, types.PatchType, []byte, metav1.PatchOptions, ...string) (*v1.Event, error) {
	return &v1.Event{}, nil
}

type hpaInformer struct{ cache.SharedIndexInformer }

func (i hpaInformer) Informer() cache.SharedIndexInformer { return i.SharedIndexInformer }
func (i hpaInformer) Lister() autoscalinglisters.HorizontalPodAutoscalerLister {
	return autoscalinglisters.NewHorizontalPodAutoscalerLister(i.GetIndexer())
}

type podInformer struct{ cache.SharedIndexInformer }

func (i podInformer) Informer() cache.SharedIndexInformer { return i.SharedIndexInformer }
func (i podInformer) Lister() corelisters.PodLister       { return corelisters.NewPodLister(i.GetIndexer()) }
