// A controller that uses what controller-runtime has: leader election, caches, finalizers, server-side apply, status,
// events, owned objects, and a validating webhook. `.ci/run` builds it for test_controller_runtime.py. By hand:
//
//	go build -o tally . && lockgate up k8s/ -d --external aws-load-balancer-controller
//	eval "$(lockgate env)"; ./tally -certs "$(dirname "$KUBECONFIG")/webhook-certs"
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

const finalizer = "tally.example/finalizer"

type reconciler struct {
	client.Client
	recorder events.EventRecorder
}

func (r *reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	ingress := &networkingv1.Ingress{}
	if err := r.Get(ctx, req.NamespacedName, ingress); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !ingress.DeletionTimestamp.IsZero() {
		patch := client.MergeFrom(ingress.DeepCopy())
		if controllerutil.RemoveFinalizer(ingress, finalizer) {
			return ctrl.Result{}, r.Patch(ctx, ingress, patch)
		}
		return ctrl.Result{}, nil
	}
	patch := client.MergeFromWithOptions(ingress.DeepCopy(), client.MergeFromWithOptimisticLock{})
	if controllerutil.AddFinalizer(ingress, finalizer) {
		if err := r.Patch(ctx, ingress, patch); err != nil {
			return ctrl.Result{}, err
		}
	}
	tally := applycorev1.ConfigMap("tally-"+ingress.Name, ingress.Namespace).
		WithData(map[string]string{"rules": fmt.Sprint(len(ingress.Spec.Rules))})
	if err := r.Apply(ctx, tally, client.FieldOwner("tally"), client.ForceOwnership); err != nil {
		return ctrl.Result{}, err
	}
	owned := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "tally-" + ingress.Name, Namespace: ingress.Namespace}}
	result, err := controllerutil.CreateOrUpdate(ctx, r.Client, owned, func() error {
		owned.StringData = map[string]string{"host": "tally"}
		return controllerutil.SetControllerReference(ingress, owned, r.Scheme())
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	status := client.MergeFrom(ingress.DeepCopy())
	ingress.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{Hostname: "tally.example"}}
	if err := r.Status().Patch(ctx, ingress, status); err != nil {
		return ctrl.Result{}, err
	}
	r.recorder.Eventf(ingress, owned, corev1.EventTypeNormal, "Tallied", "Tally", "secret %s", result)
	return ctrl.Result{}, nil
}

func validate(_ context.Context, req admission.Request) admission.Response {
	if req.Name == "forbidden" {
		return admission.Denied("the name is taken")
	}
	return admission.Allowed("").WithWarnings("seen by tally")
}

func main() {
	certs := flag.String("certs", "", "")
	port := flag.Int("port", 9443, "")
	flag.Parse()
	ctrl.SetLogger(zap.New())
	lease := 15 * time.Second
	manager, err := ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{
		LeaderElection: true, LeaderElectionID: "tally", LeaderElectionNamespace: "default", LeaseDuration: &lease,
		Metrics: server.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		WebhookServer: webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: *port, CertDir: *certs}),
	})
	if err != nil {
		panic(err)
	}
	_ = manager.AddHealthzCheck("ping", healthz.Ping)
	manager.GetWebhookServer().Register("/validate", &webhook.Admission{Handler: admission.HandlerFunc(validate)})
	manager.GetWebhookServer().Register("/ping", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	err = ctrl.NewControllerManagedBy(manager).For(&networkingv1.Ingress{}).Owns(&corev1.Secret{}).
		Complete(&reconciler{manager.GetClient(), manager.GetEventRecorder("tally")})
	if err != nil {
		panic(err)
	}
	if err := manager.Start(ctrl.SetupSignalHandler()); err != nil {
		panic(err)
	}
}
