# Copyright 2026 The caddy-kube-identity authors
# SPDX-License-Identifier: Apache-2.0
#
# Caddy with its standard modules and this plugin, and nothing else: no shell, no package manager.
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=v0.1.0 .
#
# It runs as 65532, with a read-only root and without a capability. The binary has no file
# capability either: with one it would not start where a pod drops them all, as PodSecurity
# "restricted" wants. So ports are 1024 or higher.

# The digest is that of the index for all platforms. Each platform is compiled on the builder's own.
FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26.8-bookworm@sha256:dc9ad6c05acc7a88e5b71bde60a5fe3bd4b9f0db209011711b464107438a8107 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION=unknown
RUN .ci/release binary "$VERSION" "$TARGETOS" "$TARGETARCH" /out/usr/bin/caddy
# The image has what is in this folder. /config and /data are for any user, as in Caddy's own image.
RUN mkdir -p /out/etc/ssl/certs /out/etc/caddy /out/srv \
	&& install -d -m 1777 /out/tmp /out/config /out/data \
	&& cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ \
	&& cp LICENSE /out/LICENSE \
	&& echo 'nonroot:x:65532:65532:nonroot:/srv:/sbin/nologin' >/out/etc/passwd \
	&& echo 'nonroot:x:65532:' >/out/etc/group

FROM scratch
COPY --from=build /out/ /
ENV PATH=/usr/bin XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
WORKDIR /srv
USER 65532:65532
EXPOSE 8080 8443
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
ARG VERSION=unknown REVISION=unknown
LABEL org.opencontainers.image.title="caddy-kube-identity" \
	org.opencontainers.image.description="Caddy as the authenticating reverse proxy in front of Kubernetes dashboards" \
	org.opencontainers.image.source="https://github.com/caddy-kube-identity/caddy-kube-identity" \
	org.opencontainers.image.licenses="Apache-2.0" \
	org.opencontainers.image.version="$VERSION" \
	org.opencontainers.image.revision="$REVISION"
