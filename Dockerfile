# Builds both images: docker build --target rosey . and docker build --target operator .
# An image has a static binary, a numeric user and CA certificates, as those that `hack/cluster/cluster image` builds
# without Docker.
FROM golang:1.26.8-bookworm AS build
ARG VERSION=dev
ENV CGO_ENABLED=0
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api api
COPY cmd cmd
COPY controllers controllers
COPY runtime runtime
RUN go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/ ./cmd/rosey ./cmd/operator

FROM scratch AS base
ARG VERSION=dev
LABEL org.opencontainers.image.version=${VERSION} org.opencontainers.image.licenses=Apache-2.0
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV PATH=/bin
USER 65532:65532

FROM base AS operator
COPY --from=build /out/operator /bin/operator
ENTRYPOINT ["/bin/operator"]

FROM base AS rosey
COPY --from=build /out/rosey /bin/rosey
ENTRYPOINT ["/bin/rosey"]
