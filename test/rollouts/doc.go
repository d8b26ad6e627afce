// Package rollouts changes RoseyBots twice in a row, in every order and at several distances, and expects that each
// ends as its last spec asks. etcd, the API server, the Deployment controller and the operator are real; a simulated
// kubelet runs the pods.
package rollouts
