// Package kubelet holds the tests that run the example, and a service with a startup gate, under a real
// kubelet with containerd: without a cluster, the pods are files in its folder of static pods. They need
// root and run on demand:
//
//	make kubelet
//
// run builds everything and makes the namespaces; without it the tests are skipped. node_test.go starts
// containerd and the kubelet, image_test.go makes the image, pod_test.go observes a pod, scenes_test.go is
// what is expected. A table of what was seen is printed at the end; docs/kubernetes.md has one.
package kubelet
