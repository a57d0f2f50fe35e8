// Package kubelet contains tests that run the example, and a service with a startup gate, under a real
// kubelet with containerd. There is no cluster. The pods are files in the kubelet's folder for static pods.
// The tests need root and run only on demand:
//
//	make kubelet
//
// The script run builds everything and makes the namespaces. Without it the tests are skipped. node_test.go
// starts containerd and the kubelet. image_test.go makes the image. pod_test.go observes a pod.
// scenes_test.go contains what the tests expect. At the end, the tests print a table of what they observed.
// docs/kubernetes.md contains such a table.
package kubelet
