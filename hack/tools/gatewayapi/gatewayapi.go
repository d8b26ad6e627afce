// Package gatewayapi names the version of the Gateway API against whose schemas the manifests in the documentation are
// checked.
package gatewayapi

import _ "sigs.k8s.io/gateway-api/pkg/consts" // it needs no other module; the schemas are files of its own
