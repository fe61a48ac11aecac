// Package hpaoracle asks the real HorizontalPodAutoscaler controller, in virtual time. README.md says how.
package hpaoracle

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"hpaoracle/podautoscaler"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/tools/cache"
	fcache "k8s.io/client-go/tools/cache/testing"
	"k8s.io/component-base/featuregate"
	"k8s.io/klog/v2"
	defaults "k8s.io/kubernetes/pkg/apis/autoscaling/v2"
	podmetrics "k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
	_ "k8s.io/kubernetes/pkg/features"
)

const hpaKey = namespace + "/hpa"

// Shared informers without a resync wait on a channel from outside the bubble, which is a deadlock in it.
const never = 10000 * time.Hour

// One run of a case.
type run struct {
	w          *world
	controller *podautoscaler.HorizontalController
	hpas, pods *fcache.FakeControllerSource
	podCache   cache.SharedIndexInformer
	isLoop     bool
	sync       float64
	known      map[string]bool // names of pods that the cache holds
}

func newRun(ctx context.Context, c *testCase) *run {
	r := &run{hpas: fcache.NewFakeControllerSource(), pods: fcache.NewFakeControllerSource(),
		isLoop: c.Mode != "direct", sync: c.Controller.Sync, known: map[string]bool{}}
	if r.sync == 0 {
		r.sync = 15
	}
	tolerance := 0.1
	if c.Controller.Tolerance != nil {
		tolerance = *c.Controller.Tolerance
	}
	complete(&c.HPA)
	r.w = &world{start: time.Now(), spec: c.Replicas, hpa: &c.HPA}
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{{Group: "apps", Version: "v1"}})
	mapper.Add(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, meta.RESTScopeNamespace)
	byNamespace := cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}
	hpaCache := cache.NewSharedIndexInformer(r.hpas, &autoscalingv2.HorizontalPodAutoscaler{}, never, byNamespace)
	r.podCache = cache.NewSharedIndexInformer(r.pods, &v1.Pod{}, never, byNamespace)
	r.controller = podautoscaler.NewHorizontalController(ctx, events{}, scales{w: r.w}, hpas{w: r.w}, mapper,
		podmetrics.NewRESTMetricsClient(resourceMetrics{w: r.w}, customMetrics{w: r.w}, externalMetrics{w: r.w}),
		hpaInformer{hpaCache}, podInformer{r.podCache}, seconds(r.sync), secondsOr(c.Controller.Down, 300),
		tolerance, secondsOr(c.Controller.CPUInit, 300), secondsOr(c.Controller.ReadyDelay, 30))
	if r.isLoop {
		r.w.source = r.hpas
		r.hpas.Add(r.w.hpa.DeepCopy())
		go hpaCache.Run(ctx.Done())
		go r.podCache.Run(ctx.Done())
		synctest.Wait()
		// With full caches, or it asks again 0.1 s later; from 1.37 on all its looks would be that late.
		go r.controller.Run(ctx, 1)
		synctest.Wait()
	}
	return r
}

// complete fills in what the API server would.
func complete(hpa *autoscalingv2.HorizontalPodAutoscaler) {
	hpa.Name, hpa.Namespace, hpa.UID = "hpa", namespace, "1"
	hpa.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "target"}
	defaults.SetDefaults_HorizontalPodAutoscaler(hpa)
}

func (r *run) sleepUntil(s float64) { time.Sleep(time.Until(r.w.start.Add(seconds(s)))) }

// showPods brings the controller's cache to the tick's pods.
func (r *run) showPods(t tick) {
	now := map[string]bool{}
	for _, p := range t.Pods {
		now[p.Name] = true
		object := p.object(r.w.at)
		switch {
		case !r.isLoop:
			r.podCache.GetIndexer().Update(object)
		case r.known[p.Name]:
			r.pods.Modify(object)
		default:
			r.pods.Add(object)
		}
	}
	for name := range r.known {
		if gone := (pod{Name: name}).object(r.w.at); now[name] {
			continue
		} else if r.isLoop {
			r.pods.Delete(gone)
		} else {
			r.podCache.GetIndexer().Delete(gone)
		}
	}
	r.known = now
	if r.isLoop {
		synctest.Wait()
	}
}

// editSpec is somebody's edit of the autoscaler; the API server counts its generations.
func (r *run) editSpec(edited *autoscalingv2.HorizontalPodAutoscaler) {
	edited = edited.DeepCopy()
	complete(edited)
	edited.Status, edited.Generation = r.w.hpa.Status, r.w.hpa.Generation+1
	r.w.hpa = edited
	if r.isLoop {
		r.hpas.Modify(edited.DeepCopy())
		synctest.Wait()
	}
}

func (r *run) look(ctx context.Context, name string, index int, t tick) answer {
	at := t.At
	if r.isLoop {
		at = float64(index+1) * r.sync
		// Half a period early, so that the cache knows it by the look.
		r.sleepUntil(at - r.sync/2)
	} else {
		r.sleepUntil(at)
	}
	r.w.tick, r.w.rescaled, r.w.looks = t, false, 0
	if t.Spec != nil {
		r.w.spec = *t.Spec
	}
	out := answer{Case: name, Tick: index, Current: r.w.spec, Conditions: map[string]string{}}
	r.showPods(t)
	if t.HPA != nil {
		r.editSpec(t.HPA)
	}
	if r.isLoop {
		r.sleepUntil(at)
		synctest.Wait()
	} else if err := r.controller.OracleReconcile(ctx, r.w.hpa, hpaKey); err != nil {
		out.Error = err.Error()
	}
	out.At, out.Desired, out.Rescaled, out.Looks = time.Since(r.w.start).Seconds(), r.w.spec, r.w.rescaled, r.w.looks
	for _, one := range r.w.hpa.Status.Conditions {
		out.Conditions[string(one.Type)] = string(one.Status) + " " + one.Reason
	}
	return out
}

// setGates sets a case's feature gates and answers how to set them back.
func setGates(t *testing.T, gates map[string]bool) func() {
	set := func(name string, on bool) {
		if err := utilfeature.DefaultMutableFeatureGate.Set(fmt.Sprintf("%s=%v", name, on)); err != nil {
			t.Fatal(err)
		}
	}
	before := map[string]bool{}
	for name, on := range gates {
		before[name] = utilfeature.DefaultFeatureGate.Enabled(featuregate.Feature(name))
		set(name, on)
	}
	return func() {
		for name, on := range before {
			set(name, on)
		}
	}
}

func answerCase(t *testing.T, c *testCase, out *json.Encoder) {
	defer setGates(t, c.Features)()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		r := newRun(ctx, c)
		for i, one := range c.Ticks {
			if err := out.Encode(r.look(ctx, c.Name, i, one)); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		r.hpas.Shutdown()
		r.pods.Shutdown()
		r.controller.OracleClose()
		synctest.Wait()
	})
}

func silence() {
	utilruntime.ErrorHandlers = nil // they keep a clock from outside the bubble
	klog.SetOutput(io.Discard)
	flags := flag.NewFlagSet("klog", flag.PanicOnError)
	klog.InitFlags(flags)
	if err := flags.Set("logtostderr", "false"); err != nil {
		panic(err)
	}
}

// TestOracle reads cases from the file VECTORS and writes answers to the file RESULTS. KUBERNETES is the
// version that was built in, such as 1.34.
func TestOracle(t *testing.T) {
	silence()
	in, err := os.Open(os.Getenv("VECTORS"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	file, err := os.Create(os.Getenv("RESULTS"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	buffered := bufio.NewWriter(file)
	defer buffered.Flush()
	out := json.NewEncoder(buffered)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 256<<20)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		c := new(testCase)
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(c); err != nil {
			t.Fatal(err)
		}
		if c.Kubernetes == "" || c.Kubernetes == os.Getenv("KUBERNETES") {
			answerCase(t, c, out)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}
