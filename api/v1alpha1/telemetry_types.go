//nolint:lll // a marker cannot be wrapped
package v1alpha1

// TelemetryProtocol specifies how traces are sent. The values are those of OTEL_EXPORTER_OTLP_PROTOCOL.
// +kubebuilder:validation:Enum=http/protobuf;grpc
type TelemetryProtocol string

// AttributeValue is the value of an attribute.
// +kubebuilder:validation:MaxLength=200
// +kubebuilder:validation:XValidation:rule="!self.matches('[[:cntrl:]]')",message="expected one line of text"
type AttributeValue string

// Telemetry specifies where the traces of the pods are sent, which show the way of each chat line and request through
// NATS, the database service and the database.
// +kubebuilder:validation:XValidation:rule="self.protocol != 'grpc' || !self.endpoint.matches('^[a-z]+://[^/]+/.')",message="endpoint: expected no path with protocol grpc"
type Telemetry struct {
	// endpoint is the URL of a receiver of the OpenTelemetry protocol (OTLP), such as an OpenTelemetry Collector:
	// http:// or https:// followed by host[:port], without credentials. With protocol http/protobuf, a path may follow, to
	// which /v1/traces is added.
	// +required
	// +kubebuilder:validation:MaxLength=300
	// +kubebuilder:validation:XValidation:rule="!self.contains('@')",message="expected no user or password in the URL: headersSecretRef refers to a Secret with what authenticates"
	// +kubebuilder:validation:XValidation:rule="self.contains('@') || self.matches('^https?://([A-Za-z0-9._-]+|\\\\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\\\\])(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}))?(/[A-Za-z0-9._~/-]*)?$')",message="expected http:// or https://, host[:port] and an optional path, for example http://collector.observability.svc:4318"
	Endpoint string `json:"endpoint"`

	// protocol specifies how traces are sent: http/protobuf, for which receivers usually listen at port 4318, or grpc,
	// usually at port 4317. Defaults to http/protobuf.
	// +optional
	// +default="http/protobuf"
	Protocol TelemetryProtocol `json:"protocol,omitempty"`

	// samplingRatio is the part of the traces that is recorded: a decimal number from "0", for none, to "1", for all of
	// them, with at most 6 digits after the point. A request that comes with a trace of its own is recorded if that trace
	// is. Defaults to "1".
	// +optional
	// +default="1"
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0([.][0-9]{1,6})?|1([.]0{1,6})?)$')",message="expected a decimal number from 0 to 1 with at most 6 digits after the point, for example \"0.01\""
	SamplingRatio string `json:"samplingRatio,omitempty"`

	// headersSecretRef refers to headers that are sent with the traces, for example to authenticate: one key=value on each
	// line, or several separated by commas, as in OTEL_EXPORTER_OTLP_HEADERS. The Secret may be created later; a new value
	// takes effect without a restart. While it is missing, the bot works, and the message of BotAvailable says so.
	// +optional
	HeadersSecretRef *SecretKeyRef `json:"headersSecretRef,omitempty"`

	// tlsSecretRef refers to a Secret with certificates for an https endpoint: ca.crt contains the trusted certificate
	// authorities; tls.crt and tls.key contain the client certificate, if the receiver requires one. If it is not set, the
	// image's certificate authorities are trusted.
	// +optional
	TLSSecretRef *ObjectRef `json:"tlsSecretRef,omitempty"`

	// resourceAttributes are additional attributes of the processes in their traces, for example
	// deployment.environment.name. The keys are lower case words separated by '.' or '_'. Those that the operator and the
	// processes set cannot be given: service.name, service.version, service.instance.id, and all that begin with k8s.,
	// otel., rosey. and telemetry.
	// +optional
	// +kubebuilder:validation:MaxProperties=20
	// +kubebuilder:validation:XValidation:rule="self.all(key, key.size() <= 100 && key.matches('^[a-z][a-z0-9]*([._][a-z0-9]+)*$'))",message="expected keys of at most 100 characters: lower case words separated by '.' or '_', for example deployment.environment.name"
	// +kubebuilder:validation:XValidation:rule="self.all(key, !key.matches('^((k8s|otel|rosey|telemetry)[.]|service[.](name|version|instance[.]id)$)'))",message="expected none of the attributes that are set already: service.name, service.version, service.instance.id, k8s.*, otel.*, rosey.* and telemetry.*"
	ResourceAttributes map[string]AttributeValue `json:"resourceAttributes,omitempty"`
}
